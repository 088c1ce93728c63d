package pathmanager

import (
	"encoding/binary"
	"slices"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// Instructions of classic BPF (linux/bpf_common.h).
const (
	bpfLoadHalf = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS
	bpfLoadByte = unix.BPF_LD | unix.BPF_B | unix.BPF_ABS
	bpfJumpEq   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	bpfReturn   = unix.BPF_RET | unix.BPF_K

	bpfAccept = 0x40000 // more bytes than any message has
)

// filterProgram returns the socket filter that lets through events of these types only, nil
// for all of them. An event that is filtered out takes no room in the receive buffer and
// wakes nobody. Messages of another family pass, so that the receiver counts them as
// refused.
func filterProgram(family uint16, types []mptcp.EventType) []unix.SockFilter {
	var kernel []mptcp.EventType
	for _, t := range types {
		if t < mptcp.EventLost && !slices.Contains(kernel, t) {
			kernel = append(kernel, t)
		}
	}
	all := !slices.ContainsFunc(mptcp.EventTypes(), func(t mptcp.EventType) bool { return !slices.Contains(kernel, t) })
	if len(types) == 0 || all {
		return nil
	}
	// A filter loads a half word in network order.
	var typ [2]byte
	binary.NativeEndian.PutUint16(typ[:], family)
	n := len(kernel)
	p := []unix.SockFilter{
		{Code: bpfLoadHalf, K: 4}, // nlmsg_type
		{Code: bpfJumpEq, K: uint32(binary.BigEndian.Uint16(typ[:])), Jf: uint8(n + 2)},
		{Code: bpfLoadByte, K: nlmsg.HeaderSize}, // genlmsghdr.cmd
	}
	for i, t := range kernel {
		p = append(p, unix.SockFilter{Code: bpfJumpEq, K: uint32(t), Jt: uint8(n - i)})
	}
	return append(p,
		unix.SockFilter{Code: bpfReturn, K: 0},
		unix.SockFilter{Code: bpfReturn, K: bpfAccept})
}
