package sockdiag

import (
	"encoding/binary"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
)

// ConnectionDetail is a connection with what only a detailed request asks for.
type ConnectionDetail struct {
	Connection
	Memory Memory
}

// SubflowDetail is a subflow with what only a detailed request asks for: the figures that
// say what limits its rate. Lists leave them out, because a list of very many subflows
// should not pay for figures that it does not show.
type SubflowDetail struct {
	Subflow
	Memory     Memory
	Congestion Congestion
	Limits     TCPLimits
}

// Memory is the memory of a socket in bytes (sock_diag_put_meminfo, INET_DIAG_SKMEMINFO). The
// kernel counts whole buffers, so that small segments take several times their length.
type Memory struct {
	Known bool // the kernel sent it

	Received      uint32 // unread data and, of a connection, data that came before what precedes it
	ReceiveBuffer uint32 // how much Received may be: the receive buffer
	Sent          uint32 // handed to the device
	SendBuffer    uint32 // how much Queued may be: the send buffer
	Queued        uint32 // written by the process, not acknowledged
	Backlog       uint32 // waits for a process that has locked the socket
	Drops         uint32 // packets that the socket refused; since Linux 4.7
}

// Congestion is the congestion control of a subflow, with its own figures. Only one of BBR,
// DCTCP and Vegas is there, or none: most algorithms export nothing.
type Congestion struct {
	Name string // such as "cubic"; "" if the kernel did not send it

	BBRBandwidth  uint64 // bytes/s, the highest that BBR measured lately
	BBRMinRTT     uint32 // µs
	BBRPacingGain uint32 // 256 is 1
	BBRCwndGain   uint32 // 256 is 1

	DCTCPEnabled bool
	DCTCPAlpha   uint32 // share of marked segments, 1024 is all

	VegasEnabled bool
	VegasRTT     uint32 // µs
	VegasMinRTT  uint32 // µs
}

// TCPLimits is the part of the kernel's struct tcp_info (tcp_get_info) that tells what holds
// a subflow back. Fields that the running kernel does not have are 0.
//
// The times of TCP mislead on subflows (measured on Linux 6.18): while the window at the peer
// limits a connection, its subflows show SndbufLimitedMicros, because the kernel sees that the
// process waits and that their queues are empty. On a connection that fell back to plain TCP
// they mean what they say.
type TCPLimits struct {
	// The rate was measured while the process had too little to send. Subflows do not set it:
	// only BBR does there, for a purpose of its own, and each is born with it.
	AppLimited bool

	Reordering    uint32 // segments that a segment may be late before it counts as lost
	RcvSpace      uint32 // bytes that the process read in a round trip
	RcvWnd        uint32 // the window that this host announces, in bytes; since Linux 6.2
	NotSent       uint32 // bytes in the subflow's queue that were not sent yet
	DataSegsIn    uint32 // segments with data
	DataSegsOut   uint32 // segments with data
	DeliveredCE   uint32 // segments that arrived with a mark of congestion
	DSACKDups     uint32 // segments that arrived twice: needless retransmissions
	ReorderSeen   uint32 // times that segments came out of order
	RcvOutOfOrder uint32 // segments received out of order
	Rehash        uint32 // times that the flow label or hash changed for another path; since Linux 6.2

	TotalRTO           uint16 // retransmission timeouts; since Linux 6.7, as the next two
	TotalRTORecoveries uint16 // times that the subflow recovered from them
	TotalRTOMS         uint32 // time spent in those

	MaxPacingRate       uint64 // bytes/s; all ones: no limit
	RwndLimitedMicros   uint64 // part of BusyMicros in which the peer's window held data back
	SndbufLimitedMicros uint64 // part of BusyMicros in which the process waited and the queue was empty
}

// detailExt asks for what a detailed request returns. The figures of BBR and DCTCP come for the
// bit of Vegas.
const detailExt = 1<<(uapi.InetDiagInfo-1) | 1<<(uapi.InetDiagVegasinfo-1) | 1<<(uapi.InetDiagCong-1) |
	1<<(uapi.InetDiagSkmeminfo-1)

// DecodeConnectionDetail is [DecodeConnection] for the answer to a detailed request.
func DecodeConnectionDetail(payload []byte, c *ConnectionDetail) error {
	c.Memory = Memory{}
	if err := DecodeConnection(payload, &c.Connection); err != nil {
		return err
	}
	for b := payload[uapi.InetDiagMsgSize:]; ; {
		typ, value, rest, ok := nlmsg.NextAttribute(b)
		if !ok {
			return nil
		}
		if typ == uapi.InetDiagSkmeminfo {
			decodeMemory(value, &c.Memory)
		}
		b = rest
	}
}

// DecodeSubflowDetail is [DecodeSubflow] for the answer to a detailed request.
func DecodeSubflowDetail(payload []byte, s *SubflowDetail) error {
	s.Memory, s.Congestion, s.Limits = Memory{}, Congestion{}, TCPLimits{}
	if err := DecodeSubflow(payload, &s.Subflow); err != nil {
		return err
	}
	for b := payload[uapi.InetDiagMsgSize:]; ; {
		typ, value, rest, ok := nlmsg.NextAttribute(b)
		if !ok {
			return nil
		}
		switch typ {
		case uapi.InetDiagInfo:
			decodeTCPLimits(value, &s.Limits)
		case uapi.InetDiagSkmeminfo:
			decodeMemory(value, &s.Memory)
		case uapi.InetDiagCong:
			s.Congestion.Name = ulpName(value)
		default:
			decodeCongestion(typ, value, &s.Congestion)
		}
		b = rest
	}
}

// decodeMemory reads the array of INET_DIAG_SKMEMINFO, as far as the kernel sent it.
func decodeMemory(b []byte, m *Memory) {
	var raw [4 * (uapi.SkMeminfoDrops + 1)]byte
	copy(raw[:], b[:len(b)&^3])
	at := func(place int) uint32 { return binary.NativeEndian.Uint32(raw[4*place:]) }
	*m = Memory{
		Known:         len(b) > 0,
		Received:      at(uapi.SkMeminfoRmemAlloc),
		ReceiveBuffer: at(uapi.SkMeminfoRcvbuf),
		Sent:          at(uapi.SkMeminfoWmemAlloc),
		SendBuffer:    at(uapi.SkMeminfoSndbuf),
		Queued:        at(uapi.SkMeminfoWmemQueued),
		Backlog:       at(uapi.SkMeminfoBacklog),
		Drops:         at(uapi.SkMeminfoDrops),
	}
}

// decodeCongestion reads the attribute with the figures of an algorithm, one of
// INET_DIAG_BBRINFO, INET_DIAG_DCTCPINFO and INET_DIAG_VEGASINFO.
func decodeCongestion(typ uint16, b []byte, c *Congestion) {
	ne := binary.NativeEndian
	switch {
	case typ == uapi.InetDiagBbrinfo && len(b) >= 20:
		c.BBRBandwidth = uint64(ne.Uint32(b)) | uint64(ne.Uint32(b[4:]))<<32
		c.BBRMinRTT, c.BBRPacingGain, c.BBRCwndGain = ne.Uint32(b[8:]), ne.Uint32(b[12:]), ne.Uint32(b[16:])
	case typ == uapi.InetDiagDctcpinfo && len(b) >= 16:
		c.DCTCPEnabled, c.DCTCPAlpha = ne.Uint16(b) != 0, ne.Uint32(b[4:])
	case typ == uapi.InetDiagVegasinfo && len(b) >= 16:
		c.VegasEnabled, c.VegasRTT, c.VegasMinRTT = ne.Uint32(b) != 0, ne.Uint32(b[8:]), ne.Uint32(b[12:])
	}
}

// tcpLimitsSize is the size of the part of struct tcp_info that decodeTCPLimits reads.
const tcpLimitsSize = 248

// decodeTCPLimits reads a struct tcp_info of any size, as far as both sides know it.
func decodeTCPLimits(b []byte, t *TCPLimits) {
	var raw [tcpLimitsSize]byte
	copy(raw[:], b[:len(b)&^7]) // no field straddles a multiple of 8: none is read in half
	ne := binary.NativeEndian
	t.AppLimited = raw[uapi.TCPInfoFlags]&1 != 0
	t.Reordering = ne.Uint32(raw[uapi.TCPInfoReordering:])
	t.RcvSpace = ne.Uint32(raw[uapi.TCPInfoRcvSpace:])
	t.MaxPacingRate = ne.Uint64(raw[uapi.TCPInfoMaxPacingRate:])
	t.NotSent = ne.Uint32(raw[uapi.TCPInfoNotSentBytes:])
	t.DataSegsIn = ne.Uint32(raw[uapi.TCPInfoDataSegsIn:])
	t.DataSegsOut = ne.Uint32(raw[uapi.TCPInfoDataSegsOut:])
	t.RwndLimitedMicros = ne.Uint64(raw[uapi.TCPInfoRwndLimited:])
	t.SndbufLimitedMicros = ne.Uint64(raw[uapi.TCPInfoSndbufLimited:])
	t.DeliveredCE = ne.Uint32(raw[uapi.TCPInfoDeliveredCE:])
	t.DSACKDups = ne.Uint32(raw[uapi.TCPInfoDSACKDups:])
	t.ReorderSeen = ne.Uint32(raw[uapi.TCPInfoReordSeen:])
	t.RcvOutOfOrder = ne.Uint32(raw[uapi.TCPInfoRcvOooPack:])
	t.RcvWnd = ne.Uint32(raw[uapi.TCPInfoRcvWnd:])
	t.Rehash = ne.Uint32(raw[uapi.TCPInfoRehash:])
	t.TotalRTO = ne.Uint16(raw[uapi.TCPInfoTotalRTO:])
	t.TotalRTORecoveries = ne.Uint16(raw[uapi.TCPInfoTotalRTORecoveries:])
	t.TotalRTOMS = ne.Uint32(raw[uapi.TCPInfoTotalRTOTime:])
}
