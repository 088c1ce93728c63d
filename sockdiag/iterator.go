package sockdiag

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"mptcpctl/internal/bpf"
	"mptcpctl/mptcp"
)

// What the iterator writes about a subflow: these fields, and then the part of struct
// mptcp_subflow_context that has all the members that are wanted.
const (
	recordAddresses   = 0  // the remote and the local IPv4 address, in network order
	recordPorts       = 8  // the remote port in network order, the local one in the host's
	recordFamily      = 12 // u32, as the next two
	recordState       = 16
	recordDevice      = 20
	recordRemote6     = 24
	recordLocal6      = 40
	recordRTT         = 56 // u32, eighths of a microsecond
	recordRTTVar      = 60 // u32, quarters
	recordCwnd        = 64
	recordBackoff     = 68
	recordSent        = 72 // u64, as the next two
	recordReceived    = 80
	recordRetransmits = 88
	recordNow         = 96 // u32, ticks of the kernel's clock
	recordAck         = 100
	recordUnacked     = 104 // u32, and as many bytes of padding
	recordContext     = 112

	// mostContext is the longest part of the context that is read.
	mostContext = 192
)

// flagCount is the number of SubflowFlags.
const flagCount = 9

// flagNames returns the members of struct mptcp_subflow_context that become SubflowFlags, in
// the order of their bits there (subflow_get_info).
func flagNames() [flagCount]string {
	return [...]string{
		"mp_capable", "request_mptcp", "mp_join", "request_join", "backup", "request_bkup",
		"fully_established", "conn_finished", "map_valid",
	}
}

// flagPlace is where a flag is in a structure.
type flagPlace struct {
	at  uint32 // bytes
	bit uint8
}

// subflowLayout is where the running kernel has what the iterator reads.
type subflowLayout struct {
	program uint32 // BTF type of bpf_iter_tcp

	// Members of struct sock_common, inet_connection_sock and tcp_sock. All three begin
	// where the TCP socket begins.
	remote4, remotePort, family, state, device, remote6, local6 uint32
	ulpData, backoff                                            uint32
	isMPTCP, rtt, rttVar, cwnd                                  uint32
	sent, received, retransmitted, acknowledged, unacked        uint32

	// Members of struct mptcp_subflow_context, to which ulpData points.
	token, localID, remoteID uint32
	flags                    [flagCount]flagPlace
	wideID                   bool   // the local id has 16 bits, and is below 0 while there is none
	first, size              uint32 // the part of the context that has them all

	hertz uint32 // ticks of the kernel's clock a second
}

// subflowLayouts are the questions that newSubflowLayout takes the answers of.
func subflowLayouts() []bpf.Layout {
	flags := flagNames()
	return []bpf.Layout{
		{Kind: bpf.KindFunction, Name: "bpf_iter_tcp"},
		{Kind: bpf.KindStruct, Name: "sock_common", Deep: true, Members: []string{
			"skc_daddr", "skc_dport", "skc_family", "skc_state", "skc_bound_dev_if", "skc_v6_daddr", "skc_v6_rcv_saddr",
		}},
		{Kind: bpf.KindStruct, Name: "inet_connection_sock", Members: []string{"icsk_ulp_data", "icsk_backoff"}},
		{Kind: bpf.KindStruct, Name: "tcp_sock", Members: []string{
			"is_mptcp", "srtt_us", "mdev_us", "snd_cwnd", "bytes_sent", "bytes_received", "bytes_retrans", "rcv_tstamp",
			"packets_out",
		}},
		{Kind: bpf.KindStruct, Name: "mptcp_subflow_context", Deep: true, Members: slices.Concat(
			[]string{"token", "local_id", "remote_id"}, flags[:],
		)},
	}
}

// newSubflowLayout puts the answers together, for a kernel whose clock ticks every so
// often. The error is [mptcp.ErrNotSupported] where an answer is missing.
func newSubflowLayout(all []bpf.Layout, tick time.Duration) (*subflowLayout, error) {
	if tick <= 0 || tick > time.Second || !bpf.Complete(all) {
		return nil, mptcp.ErrNotSupported
	}
	program, common, inet, tcp, context := &all[0], &all[1], &all[2], &all[3], &all[4]
	l := &subflowLayout{
		program: program.ID,
		remote4: common.Offset("skc_daddr"), remotePort: common.Offset("skc_dport"),
		family: common.Offset(
			"skc_family",
		), state: common.Offset("skc_state"), device: common.Offset("skc_bound_dev_if"),
		remote6: common.Offset("skc_v6_daddr"), local6: common.Offset("skc_v6_rcv_saddr"),
		ulpData: inet.Offset("icsk_ulp_data"), backoff: inet.Offset("icsk_backoff"),
		isMPTCP: tcp.Offset("is_mptcp"), cwnd: tcp.Offset("snd_cwnd"),
		rtt: tcp.Offset("srtt_us"), rttVar: tcp.Offset("mdev_us"),
		sent: tcp.Offset(
			"bytes_sent",
		), received: tcp.Offset("bytes_received"), retransmitted: tcp.Offset("bytes_retrans"),
		acknowledged: tcp.Offset("rcv_tstamp"), unacked: tcp.Offset("packets_out"),
		token: context.Offset(
			"token",
		), localID: context.Offset("local_id"), remoteID: context.Offset("remote_id"),
		hertz: uint32((time.Second + tick/2) / tick),
	}
	for i, name := range flagNames() {
		l.flags[i] = flagPlace{context.Offset(name), context.Bit(name)}
	}
	return l, l.frame()
}

// frame finds the part of the context that has all members.
func (l *subflowLayout) frame() error {
	const longest = 4 // bytes that are read of a member: the token's
	places := []uint32{l.token, l.localID, l.remoteID}
	for _, flag := range l.flags {
		places = append(places, flag.at)
	}
	l.first = slices.Min(places)
	l.size = slices.Max(places) + longest - l.first
	l.wideID = l.remoteID != l.localID+1
	if l.size > mostContext {
		return mptcp.ErrNotSupported
	}
	return nil
}

// record returns the size of a record.
func (l *subflowLayout) record() int { return recordContext + int(l.size+7)&^7 }

// code returns the program, which the kernel runs for each TCP socket of the namespace.
// Its context is struct bpf_iter__tcp: meta, socket. It writes a record for those that
// are subflows, as the socket's diagnostics see them: sockets of their own (not
// requests nor in TIME-WAIT), which do not listen and are MPTCP's.
//
// Its registers: 6 the seq_file, 7 the TCP socket.
func (l *subflowLayout) code() []byte {
	const meta, socket = 0, 8
	p := &bpf.Program{}
	record := -int16(l.record())
	field := func(read, write uint8, from uint32, to int16) {
		p.Op(read, 2, 7, int16(from), 0)
		p.Op(write, 10, 2, record+to, 0)
	}
	p.Op(bpf.Read8, 6, 1, meta, 0)
	p.Op(bpf.Read8, 6, 6, 0, 0) // bpf_iter_meta.seq
	p.Op(bpf.Read8, 1, 1, socket, 0)
	p.Jump(bpf.IfEqual, 1, 0, "next")
	p.Op(bpf.Call, 0, 0, 0, bpf.ToTCPSocket)
	p.Jump(bpf.IfEqual, 0, 0, "next")
	p.Op(bpf.Copy, 7, 0, 0, 0)
	p.Op(bpf.Read1, 2, 7, int16(l.isMPTCP), 0)
	p.Jump(bpf.IfEqual, 2, 0, "next")
	p.Op(bpf.Read1, 2, 7, int16(l.state), 0)
	p.Jump(bpf.IfEqual, 2, int32(mptcp.StateListen), "next")
	p.Op(bpf.Write4, 10, 2, record+recordState, 0)
	p.Op(bpf.Read8, 3, 7, int16(l.ulpData), 0)
	p.Jump(bpf.IfEqual, 3, 0, "next")
	p.Op(bpf.Zero8, 10, 0, -8, 0) // the last bytes may be padding
	p.Op(bpf.Copy, 1, 10, 0, 0)
	p.Op(bpf.Add, 1, 0, 0, int32(record+recordContext))
	p.Op(bpf.Set, 2, 0, 0, int32(l.size))
	p.Op(bpf.Add, 3, 0, 0, int32(l.first))
	p.Op(bpf.Call, 0, 0, 0, bpf.ProbeReadKernel)
	p.Jump(bpf.IfNot, 0, 0, "next")
	field(bpf.Read8, bpf.Write8, l.remote4, recordAddresses)
	field(bpf.Read4, bpf.Write4, l.remotePort, recordPorts)
	field(bpf.Read2, bpf.Write4, l.family, recordFamily)
	field(bpf.Read4, bpf.Write4, l.device, recordDevice)
	for half := range uint32(2) {
		field(bpf.Read8, bpf.Write8, l.remote6+8*half, recordRemote6+8*int16(half))
		field(bpf.Read8, bpf.Write8, l.local6+8*half, recordLocal6+8*int16(half))
	}
	field(bpf.Read4, bpf.Write4, l.rtt, recordRTT)
	field(bpf.Read4, bpf.Write4, l.rttVar, recordRTTVar)
	field(bpf.Read4, bpf.Write4, l.cwnd, recordCwnd)
	field(bpf.Read1, bpf.Write4, l.backoff, recordBackoff)
	field(bpf.Read8, bpf.Write8, l.sent, recordSent)
	field(bpf.Read8, bpf.Write8, l.received, recordReceived)
	field(bpf.Read8, bpf.Write8, l.retransmitted, recordRetransmits)
	field(bpf.Read4, bpf.Write4, l.acknowledged, recordAck)
	p.Op(bpf.Read4, 2, 7, int16(l.unacked), 0)
	p.Op(bpf.Write8, 10, 2, record+recordUnacked, 0) // with the padding
	p.Op(bpf.Call, 0, 0, 0, bpf.Jiffies)
	p.Op(bpf.Write4, 10, 0, record+recordNow, 0)
	p.Op(bpf.Copy, 1, 6, 0, 0)
	p.Op(bpf.Copy, 2, 10, 0, 0)
	p.Op(bpf.Add, 2, 0, 0, int32(record))
	p.Op(bpf.Set, 3, 0, 0, int32(l.record()))
	p.Op(bpf.Call, 0, 0, 0, bpf.SeqWrite) // without room the kernel runs it for the socket again
	p.Label("next")
	p.Op(bpf.Set, 0, 0, 0, 0)
	p.Op(bpf.Exit, 0, 0, 0, 0)
	return p.Bytes()
}

// decode reads a record into what Request.Brief promises, and clears the rest. It
// returns what tells the socket from others.
func (l *subflowLayout) decode(b []byte, s *Subflow) (key uint64) {
	ne := binary.NativeEndian
	b = b[:l.record()]
	*s = Subflow{ULP: ulpMPTCP, HasMPTCP: true}
	s.Family = mptcp.Family(ne.Uint32(b[recordFamily:]))
	s.State = mptcp.SocketState(ne.Uint32(b[recordState:]))
	s.IfIndex = ne.Uint32(b[recordDevice:])
	local, remote := ne.Uint16(b[recordPorts+2:]), binary.BigEndian.Uint16(b[recordPorts:])
	key = spread(uint64(s.IfIndex)<<32|uint64(ne.Uint32(b[recordPorts:]))) ^ uint64(s.Family)
	if s.Family == mptcp.FamilyINET6 {
		from, to := netip.AddrFrom16([16]byte(b[recordLocal6:])), netip.AddrFrom16([16]byte(b[recordRemote6:]))
		s.Mapped = from.Is4In6() || to.Is4In6()
		s.Local, s.Remote = netip.AddrPortFrom(from.Unmap(), local), netip.AddrPortFrom(to.Unmap(), remote)
		for at := recordRemote6; at < recordRTT; at += 8 {
			key = spread(key) ^ ne.Uint64(b[at:])
		}
	} else {
		s.Local = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[recordAddresses+4:])), local)
		s.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[recordAddresses:])), remote)
		key = spread(key) ^ ne.Uint64(b[recordAddresses:])
	}
	s.TCP.RTTMicros, s.TCP.RTTVarMicros = ne.Uint32(b[recordRTT:])>>3, ne.Uint32(b[recordRTTVar:])>>2
	s.TCP.Cwnd, s.TCP.Backoff = ne.Uint32(b[recordCwnd:]), b[recordBackoff]
	s.TCP.Unacked = ne.Uint32(b[recordUnacked:])
	s.TCP.BytesSent, s.TCP.BytesReceived = ne.Uint64(b[recordSent:]), ne.Uint64(b[recordReceived:])
	s.TCP.BytesRetransmitted = ne.Uint64(b[recordRetransmits:])
	ticks := ne.Uint32(b[recordNow:]) - ne.Uint32(b[recordAck:])
	s.TCP.LastAckRecvMS = uint32(uint64(ticks) * 1000 / uint64(l.hertz))
	l.decodeContext(b[recordContext:], &s.MPTCP)
	return spread(key) ^ uint64(s.MPTCP.TokenLocal)
}

// decodeContext reads the part of the context, as subflow_get_info reports it.
func (l *subflowLayout) decodeContext(b []byte, i *SubflowInfo) {
	ne := binary.NativeEndian
	i.TokenLocal = mptcp.Token(ne.Uint32(b[l.token-l.first:]))
	i.RemoteID = mptcp.AddressID(b[l.remoteID-l.first])
	if id := b[l.localID-l.first:]; !l.wideID || int16(ne.Uint16(id)) >= 0 {
		i.LocalID = mptcp.AddressID(id[0])
	}
	for bit, flag := range l.flags {
		i.Flags |= SubflowFlags(b[flag.at-l.first]>>flag.bit&1) << bit
	}
}
