package track

import (
	"math"

	"mptcpctl/mptcp"
)

// core is what is held of every connection. It has no pointers, so that the
// garbage collector passes a million of them by.
type core struct {
	since    int64 // Unix nanoseconds; 0: not known
	token    uint32
	remote   uint32 // IPv4 address, or number in the table of IPv6 addresses
	local    uint32 // number in the table of local addresses
	join     uint32 // first of the joined subflows, plus one
	history  uint32 // last entry in the history, low bits, plus one
	sport    uint16
	dport    uint16
	instance uint16
	flags    coreFlags
	state    uint8 // SocketState in the low 4 bits, Side above
	cause    uint8 // word of FallbackCause
	manager  uint8 // word of PathManager
}

type coreFlags uint16

const (
	coreHere        coreFlags = 1 << iota // the record is in use
	coreV6                                // the remote address is in the table of IPv6 addresses
	coreINET6                             // the socket's family
	coreFallback                          // plain TCP
	coreChecksum                          // DSS checksums
	coreCreated                           // CREATED was seen
	coreEstablished                       // ESTABLISHED was seen
	coreClosed                            // CLOSED was seen
	coreUntold                            // the first dump showed it fallen back already

	coreKept = coreCreated | coreEstablished | coreClosed | coreUntold // not told by the rest of the record
)

// figures is what is held of every subflow, and all of the initial one, whose
// addresses are the connection's.
type figures struct {
	rtt, rttvar, minRTT uint32
	cwnd                uint32
	ifindex             uint32
	sent, received      [6]byte // little endian; they stop at 256 TB
	retransmitted       [6]byte
	lastAck, lastSent   uint16 // age
	unacked, lost       uint16 // stop at 65535
	state               uint8  // SubflowState in the low 4 bits, SocketState above
	flags               uint8  // figure flags below, Backoff above
}

const (
	figureHere         = 1 << iota // the record is in use
	figureBackupLocal              // Subflow.BackupLocal
	figureBackupRemote             // Subflow.BackupRemote
	figureFully                    // Subflow.FullyEstablished
)

// join is a subflow other than the initial one.
type join struct {
	figures
	remote      uint32
	local       uint32
	next        uint32 // plus one
	tokenRemote uint32
	sport       uint16
	dport       uint16
	localID     uint8
	remoteID    uint8
	flags       coreFlags // coreV6, joinInitial
}

// joinInitial marks an initial subflow between other addresses than the
// connection's, which is held like a join.
const joinInitial coreFlags = 1 << 15

// detail holds the figures of a connection that only a close look needs.
type detail struct {
	sent, received       uint64
	retransmitted, acked uint64
	cookie               uint64
	inode, uid           uint32
	limits               mptcp.ConnectionLimits
	pair                 mptcp.Pair
	ages                 [3]uint16 // of the last data sent, data received, acknowledgement
}

// packFigures squeezes the figures of a subflow.
func packFigures(s *mptcp.Subflow) figures {
	f := figures{
		rtt: s.RTTMicros, rttvar: s.RTTVarMicros, minRTT: s.MinRTTMicros,
		cwnd: s.Cwnd, ifindex: s.IfIndex,
		sent: pack48(s.BytesSent), received: pack48(s.BytesReceived), retransmitted: pack48(s.BytesRetransmitted),
		lastAck: packAge(s.LastAckMS), lastSent: packAge(s.LastDataSentMS),
		unacked: uint16(min(s.Unacked, math.MaxUint16)), lost: uint16(min(s.Lost, math.MaxUint16)),
		state: uint8(s.State)&0xf | uint8(s.TCP)<<4,
		flags: figureHere | min(s.Backoff, 15)<<4,
	}
	if s.BackupLocal {
		f.flags |= figureBackupLocal
	}
	if s.BackupRemote {
		f.flags |= figureBackupRemote
	}
	if s.FullyEstablished {
		f.flags |= figureFully
	}
	return f
}

// unpack fills in what packFigures kept.
func (f *figures) unpack(s *mptcp.Subflow) {
	s.RTTMicros, s.RTTVarMicros, s.MinRTTMicros = f.rtt, f.rttvar, f.minRTT
	s.Cwnd, s.IfIndex, s.Bound = f.cwnd, f.ifindex, f.ifindex != 0
	s.BytesSent, s.BytesReceived, s.BytesRetransmitted = unpack48(
		f.sent,
	), unpack48(
		f.received,
	), unpack48(
		f.retransmitted,
	)
	s.LastAckMS, s.LastDataSentMS = unpackAge(f.lastAck), unpackAge(f.lastSent)
	s.Unacked, s.Lost = uint32(f.unacked), uint32(f.lost)
	s.State, s.TCP = mptcp.SubflowState(f.state&0xf), mptcp.SocketState(f.state>>4)
	s.Backoff = f.flags >> 4
	s.BackupLocal = f.flags&figureBackupLocal != 0
	s.BackupRemote = f.flags&figureBackupRemote != 0
	s.FullyEstablished = f.flags&figureFully != 0
}

// packDetail takes the figures of the connection itself.
func packDetail(c *mptcp.Connection) detail {
	return detail{
		sent: c.BytesSent, received: c.BytesReceived, retransmitted: c.BytesRetransmitted, acked: c.BytesAcked,
		cookie: c.Cookie, inode: c.Inode, uid: c.UID, limits: c.Limits, pair: c.Pair,
		ages: [3]uint16{packAge(c.LastDataSentMS), packAge(c.LastDataRecvMS), packAge(c.LastAckRecvMS)},
	}
}

// unpack fills in what packDetail kept.
func (d *detail) unpack(c *mptcp.Connection) {
	c.BytesSent, c.BytesReceived, c.BytesRetransmitted, c.BytesAcked = d.sent, d.received, d.retransmitted, d.acked
	c.Cookie, c.Inode, c.UID, c.Limits, c.Pair = d.cookie, d.inode, d.uid, d.limits, d.pair
	c.LastDataSentMS, c.LastDataRecvMS, c.LastAckRecvMS = unpackAge(
		d.ages[0],
	), unpackAge(
		d.ages[1],
	), unpackAge(
		d.ages[2],
	)
}

// max48 is the largest number that 48 bits hold.
const max48 = 1<<48 - 1

func pack48(n uint64) (b [6]byte) {
	n = min(n, max48)
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return b
}

func unpack48(b [6]byte) (n uint64) {
	for i := range b {
		n |= uint64(b[i]) << (8 * i)
	}
	return n
}

// coarseAge marks an age that is held in seconds: milliseconds up to half a
// minute, whole seconds up to nine hours.
const coarseAge = 1 << 15

func packAge(ms uint32) uint16 {
	if ms < coarseAge {
		return uint16(ms)
	}
	return coarseAge | uint16(min(ms/1000, coarseAge-1))
}

func unpackAge(a uint16) uint32 {
	if a < coarseAge {
		return uint32(a)
	}
	return uint32(a&^coarseAge) * 1000
}
