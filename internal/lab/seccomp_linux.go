package lab

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"mptcpctl/internal/uapi"

	"golang.org/x/sys/unix"
)

// confine makes the calling thread, and what it starts, one to which MPTCP sockets
// are forbidden, as the seccomp profile of a container does it.
func confine() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	const number, arguments = 0, 16 // in struct seccomp_data
	third := uint32(arguments + 2*8)
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		third += 4 // the lower half
	}
	load, equal, give := uint16(
		unix.BPF_LD|unix.BPF_W|unix.BPF_ABS,
	), uint16(
		unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K,
	), uint16(
		unix.BPF_RET|unix.BPF_K,
	)
	filter := []unix.SockFilter{
		{Code: load, K: number}, {Code: equal, K: unix.SYS_SOCKET, Jf: 3}, {Code: load, K: third},
		{Code: equal, K: uapi.IPPROTO_MPTCP, Jf: 1}, {Code: give, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: give, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}
