package dump

import (
	"cmp"
	"encoding/binary"
	"iter"
	"math"
	"net/netip"
	"slices"

	"mptcpctl/internal/pages"
	"mptcpctl/internal/radix"
	"mptcpctl/mptcp"
)

// Listing is a snapshot in little memory, for lists that are read once or twice. It yields
// what [Join] returns, one connection after the other. A hundred thousand connections take
// a fifth of the memory that a [Snapshot] takes, and no allocation each.
//
// Add all connections first, then the subflows. The zero value, with Facts filled in, is
// ready to use. Several goroutines must not use it at once.
type Listing struct {
	// Facts is what the connections have in common: all but Connections and
	// Subflows. It must be complete before [Listing.All].
	Facts Snapshot

	// Brief leaves out what only a close look needs: Cookie, UID, Limits, Checksum, Pair,
	// the ages, BytesRetransmitted and BytesAcked of connections; Cookie, Inode,
	// TokenRemote, MinRTTMicros, LastDataSentMS and Lost of subflows. Set it
	// before the first connection is added.
	Brief bool

	// Records have numbers, in the order in which they were added:
	//
	//	connections       [ 0 | 1 | 2 ]   connectionDetails the same, empty if Brief
	//	subflows          [ 0 | 1 | 2 | 3 ]   subflowDetails the same
	//
	// A strand has all subflows of a token, from the last to the first. Here the token of
	// connection 1 has the subflows 3 and 0:
	//
	//	strands[token & mask …] { token, last: 4 } ──► subflows[3] { before: 1 } ──► subflows[0] { before: 0 }
	//
	// (numbers plus one, 0: none). The list is in the order of keys, one for each connection,
	// with the connection's number: sorting moves the small keys and leaves the records.
	connections       pages.Arena[listedConnection]
	connectionDetails pages.Arena[connectionDetail]
	subflows          pages.Arena[listedSubflow]
	subflowDetails    pages.Arena[subflowDetail]
	v6                pages.Arena[[16]byte] // IPv6 addresses
	strands           []strand              // open addressing, a power of two of them

	keys   []radix.Key // nil until the connections are sorted
	linked bool        // the subflows are in their strands

	settled int  // connections whose initial subflow tells their side
	unsure  bool // an initial subflow does not
}

// strand is the subflows of a token, linked from the last to the first.
type strand struct {
	token uint32 // 0: free
	last  uint32 // number of the subflow plus one, 0: none; strandSettled
}

// strandSettled marks a strand with an initial subflow that tells the side.
const strandSettled = 1 << 31

// listedConnection is what is held of a connection: one line of the processor's
// cache, for the list is gone through in another order than it was made.
type listedConnection struct {
	local, remote  listedAddress
	token, inode   uint32
	sent, received uint64
	family         uint16
	state          mptcp.SocketState
	fallback       bool
}

// connectionDetail is what else a dump tells of a connection.
type connectionDetail struct {
	cookie, retransmitted, acked uint64
	uid                          uint32
	ages                         [3]uint32
	limits                       mptcp.ConnectionLimits
	pair                         mptcp.Pair
	checksum                     bool
}

// listedSubflow is what is held of a subflow: 80 bytes.
type listedSubflow struct {
	local, remote                 listedAddress
	token                         uint32
	before                        uint32 // number plus one of the one before it in the strand
	ifindex                       uint32
	sent, received, retransmitted uint64
	rtt, rttvar, cwnd, lastAck    uint32
	unacked                       uint32 // without it the state of a silent subflow cannot be told
	localID, remoteID             mptcp.AddressID
	state                         mptcp.SubflowState
	tcp                           mptcp.SocketState
	backoff                       uint8
	flags                         uint8
}

// The flags of a listedSubflow.
const (
	listedJoin = 1 << iota
	listedRequested
	listedBackupLocal
	listedBackupRemote
	listedFully
)

// subflowDetail is what else a dump tells of a subflow.
type subflowDetail struct {
	cookie             uint64
	inode, tokenRemote uint32
	minRTT, lastSent   uint32
	lost               uint32
}

// listedAddress is an address with its port. Zones are not kept: the kernel's dumps
// have none.
type listedAddress struct {
	addr uint32 // IPv4, or number in the table of IPv6 addresses
	port uint16
	kind uint16 // 0: none
}

const (
	kindIPv4 = 4
	kindIPv6 = 6
)

// address packs an address, unmapped.
func (l *Listing) address(a netip.AddrPort) listedAddress {
	p := listedAddress{port: a.Port()}
	switch addr := a.Addr(); {
	case addr.Is4(), addr.Is4In6():
		b := addr.As4()
		p.addr, p.kind = binary.BigEndian.Uint32(b[:]), kindIPv4
	case addr.Is6():
		p.addr, p.kind = uint32(l.v6.Len()), kindIPv6
		*l.v6.Add() = addr.As16()
	}
	return p
}

// addrPort unpacks an address.
func (l *Listing) addrPort(p listedAddress) netip.AddrPort {
	var addr netip.Addr
	switch p.kind {
	case kindIPv4:
		addr = netip.AddrFrom4([4]byte{byte(p.addr >> 24), byte(p.addr >> 16), byte(p.addr >> 8), byte(p.addr)})
	case kindIPv6:
		addr = netip.AddrFrom16(*l.v6.At(int(p.addr)))
	}
	return netip.AddrPortFrom(addr, p.port)
}

// Len returns the number of connections.
func (l *Listing) Len() int { return l.connections.Len() }

// NoSubflows reports whether there are connections, and not one subflow.
func (l *Listing) NoSubflows() bool { return l.connections.Len() > 0 && l.subflows.Len() == 0 }

// AddConnection adds a connection as a dump shows it. What only an observer or the
// join can tell is not kept: Netns, Side, FallbackCause, Processes, Since,
// PathManager and Subflows.
func (l *Listing) AddConnection(c *mptcp.Connection) {
	*l.connections.Add() = listedConnection{
		local: l.address(c.Local), remote: l.address(c.Remote), token: uint32(c.Token), inode: c.Inode,
		sent: c.BytesSent, received: c.BytesReceived,
		family: uint16(c.Family), state: c.State, fallback: c.Fallback,
	}
	l.keys, l.linked = nil, false
	if l.Brief {
		return
	}
	*l.connectionDetails.Add() = connectionDetail{
		cookie: c.Cookie, retransmitted: c.BytesRetransmitted, acked: c.BytesAcked, uid: c.UID,
		ages: [3]uint32{c.LastDataSentMS, c.LastDataRecvMS, c.LastAckRecvMS}, limits: c.Limits, checksum: c.Checksum,
		pair: c.Pair,
	}
}

// load fills in a connection, without its subflows, of which it keeps the slice.
func (l *Listing) load(number int, c *mptcp.Connection) {
	p := l.connections.At(number)
	*c = mptcp.Connection{
		Token: mptcp.Token(
			p.token,
		), Netns: l.Facts.Netns, Family: mptcp.Family(p.family), State: p.state, Fallback: p.fallback,
		Local: l.addrPort(p.local), Remote: l.addrPort(p.remote), Inode: p.inode,
		BytesSent: p.sent, BytesReceived: p.received, Subflows: c.Subflows[:0],
	}
	if l.Brief {
		return
	}
	d := l.connectionDetails.At(number)
	c.Cookie, c.BytesRetransmitted, c.BytesAcked, c.UID = d.cookie, d.retransmitted, d.acked, d.uid
	c.LastDataSentMS, c.LastDataRecvMS, c.LastAckRecvMS = d.ages[0], d.ages[1], d.ages[2]
	c.Limits, c.Checksum, c.Pair = d.limits, d.checksum, d.pair
}

// AddSubflow adds a subflow. One that belongs to none of the connections is what is
// left of another. Device, Bound, Initial and Share are not kept.
func (l *Listing) AddSubflow(s *SubflowRow) {
	if !s.HasToken || s.Token == 0 {
		return
	}
	*l.subflows.Add() = listedSubflow{
		local: l.address(s.Local), remote: l.address(s.Remote), token: uint32(s.Token), ifindex: s.IfIndex,
		sent: s.BytesSent, received: s.BytesReceived, retransmitted: s.BytesRetransmitted,
		rtt: s.RTTMicros, rttvar: s.RTTVarMicros, cwnd: s.Cwnd, lastAck: s.LastAckMS, unacked: s.Unacked,
		localID: s.LocalID, remoteID: s.RemoteID, state: s.State, tcp: s.TCP, backoff: s.Backoff,
		flags: bit(s.Join, listedJoin) | bit(s.Requested, listedRequested) | bit(s.FullyEstablished, listedFully) |
			bit(s.BackupLocal, listedBackupLocal) | bit(s.BackupRemote, listedBackupRemote),
	}
	l.linked = false
	if !l.Brief {
		*l.subflowDetails.Add() = subflowDetail{
			cookie: s.Cookie, inode: s.Inode, tokenRemote: uint32(s.TokenRemote),
			minRTT: s.MinRTTMicros, lastSent: s.LastDataSentMS, lost: s.Lost,
		}
	}
}

// link puts the subflows into the strands of their tokens. All at once: the places
// in memory are far apart, and so the processor can wait for several together.
func (l *Listing) link() {
	if l.linked {
		return
	}
	l.indexTokens()
	l.linked, l.settled, l.unsure = true, 0, false
	for i := range l.subflows.Len() {
		s := l.subflows.At(i)
		own := l.strand(s.token)
		if own.token == 0 {
			continue // what is left of a connection that is gone
		}
		s.before = own.last &^ strandSettled
		settled := own.last & strandSettled
		if t := s.tie(); !t.join {
			switch {
			case initialSide(t, s.tcp) == mptcp.SideUnknown:
				l.unsure = true
			case settled == 0:
				settled = strandSettled
				l.settled++
			}
		}
		own.last = uint32(i+1) | settled
	}
	l.fillAddresses()
}

// fillAddresses gives connections that the kernel told no addresses of those of their
// initial subflows, as [Join] does.
func (l *Listing) fillAddresses() {
	for i := range l.connections.Len() {
		c := l.connections.At(i)
		if c.remote.port != 0 {
			continue
		}
		for next := l.strand(c.token).last &^ strandSettled; next != 0; {
			s := l.subflows.At(int(next - 1))
			if !s.tie().join { // of several the first, which comes last here
				c.local, c.remote = s.local, s.remote
			}
			next = s.before
		}
	}
}

func (s *listedSubflow) tie() tie { return tie{s.flags&listedJoin != 0, s.flags&listedRequested != 0} }

func bit(b bool, flag uint8) uint8 {
	if b {
		return flag
	}
	return 0
}

// loadSubflow fills in a subflow, and returns the number plus one of the one before.
func (l *Listing) loadSubflow(number int, r *mptcp.Subflow) (t tie, before uint32) {
	s := l.subflows.At(number)
	*r = mptcp.Subflow{
		Local: l.addrPort(s.local), Remote: l.addrPort(s.remote), LocalID: s.localID, RemoteID: s.remoteID,
		State: s.state, TCP: s.tcp, IfIndex: s.ifindex,
		BackupLocal: s.flags&listedBackupLocal != 0, BackupRemote: s.flags&listedBackupRemote != 0,
		FullyEstablished: s.flags&listedFully != 0,
		RTTMicros:        s.rtt, RTTVarMicros: s.rttvar, Cwnd: s.cwnd,
		LastAckMS: s.lastAck, Unacked: s.unacked, Backoff: s.backoff,
		BytesSent: s.sent, BytesReceived: s.received, BytesRetransmitted: s.retransmitted,
	}
	if !l.Brief {
		d := l.subflowDetails.At(number)
		r.Cookie, r.Inode, r.TokenRemote = d.cookie, d.inode, mptcp.Token(d.tokenRemote)
		r.MinRTTMicros, r.LastDataSentMS, r.Lost = d.minRTT, d.lastSent, d.lost
	}
	return s.tie(), s.before
}

// indexTokens makes the table of strands.
func (l *Listing) indexTokens() {
	size := 16
	for size < l.connections.Len()+l.connections.Len()/2 {
		size *= 2
	}
	l.strands = make([]strand, size)
	for i := range l.connections.Len() {
		if token := l.connections.At(i).token; token != 0 {
			l.strand(token).token = token
		}
	}
}

// strand returns the strand of the token, or a free one. Tokens are parts of hashes:
// their bits are as good as random.
func (l *Listing) strand(token uint32) *strand {
	mask := uint32(len(l.strands) - 1)
	for i := token & mask; ; i = (i + 1) & mask {
		if c := &l.strands[i]; c.token == token || c.token == 0 {
			return c
		}
	}
}

// Inodes yields the inodes of the connections, 0 for those that no process has.
func (l *Listing) Inodes() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i := range l.connections.Len() {
			if !yield(l.connections.At(i).inode) {
				return
			}
		}
	}
}

// together is how many connections are looked for in memory at once.
const together = 16

// foundStrand is the strand of a connection, followed to its end.
type foundStrand struct {
	last     uint32 // number of the last subflow plus one, 0: none
	subflows int
}

// All yields the connections as [Join] returns them, in its order. One, with its
// subflows, is valid until the next.
func (l *Listing) All() iter.Seq[*mptcp.Connection] {
	return func(yield func(*mptcp.Connection) bool) {
		l.link()
		facts := NewFacts(&l.Facts)
		c := mptcp.Connection{Subflows: make([]mptcp.Subflow, 0, 8)}
		ties := make([]tie, 0, 8)
		var strands [together]foundStrand
		for group := range slices.Chunk(l.sorted(), together) {
			l.follow(group, &strands)
			for i, key := range group {
				l.load(int(key.Number), &c)
				ties = l.loadSubflows(&c, strands[i], ties)
				joinOne(&c, ties, facts)
				if !yield(&c) {
					return
				}
			}
		}
	}
}

// follow finds the strands of the connections and counts their subflows, step by step
// for all connections together. In the order of the list the records lie anywhere in
// memory: taken together the processor waits for them a few times, one after the other it
// waits at every step, which makes a list of 50,000 connections take 1.15 times as long.
func (l *Listing) follow(group []radix.Key, found *[together]foundStrand) {
	var tokens [together]uint32
	for i, key := range group {
		tokens[i] = l.connections.At(int(key.Number)).token
	}
	for i := range group {
		found[i] = foundStrand{}
		if tokens[i] != 0 {
			found[i].last = l.strand(tokens[i]).last &^ strandSettled
		}
	}
	for i := range group {
		for next := found[i].last; next != 0; next = l.subflows.At(int(next - 1)).before {
			found[i].subflows++
		}
	}
}

// NeedsListeners reports whether a connection's side can be told only by who
// listens: [Snapshot.Listeners] of Facts is of use then.
func (l *Listing) NeedsListeners() bool {
	l.link()
	return l.unsure || l.settled < l.connections.Len()
}

// loadSubflows gives the connection the subflows of its strand, and returns their ties,
// in the order in which they were added. It reuses the memory of ties.
func (l *Listing) loadSubflows(c *mptcp.Connection, found foundStrand, ties []tie) []tie {
	n := found.subflows
	c.Subflows = slices.Grow(c.Subflows[:0], n)[:n]
	ties = slices.Grow(ties[:0], n)[:n]
	for next := found.last; next != 0; {
		n--
		ties[n], next = l.loadSubflow(int(next-1), &c.Subflows[n])
	}
	return ties
}

// sorted returns the connections in the order of [Join].
func (l *Listing) sorted() []radix.Key {
	if l.keys != nil {
		return l.keys
	}
	// IPv4, and what has no address at all, comes before IPv6.
	l.keys = make([]radix.Key, 0, l.connections.Len())
	for _, six := range []bool{false, true} {
		start := len(l.keys)
		for i := range l.connections.Len() {
			if c := l.connections.At(i); six == (c.local.kind == kindIPv6) {
				high, low := l.sortKey(c)
				l.keys = append(l.keys, radix.Key{High: high, Low: low, Number: uint32(i)})
			}
		}
		radix.Sort(l.keys[start:], l.compare)
	}
	return l.keys
}

func (l *Listing) sortKey(c *listedConnection) (high, low uint64) {
	local := uint64(c.local.addr)<<32 | uint64(c.local.port)<<16
	switch {
	case c.local.kind == kindIPv6:
		addr := l.v6.At(int(c.local.addr))
		return binary.BigEndian.Uint64(addr[:]), binary.BigEndian.Uint64(addr[8:])
	case c.local.kind != kindIPv4:
		return 0, 0
	case c.remote.kind == kindIPv4:
		remote := c.remote.addr
		return local | uint64(remote>>16), uint64(remote&0xffff)<<48 | uint64(c.remote.port)<<32 | uint64(c.token)
	case c.remote.kind == kindIPv6: // after all that have an IPv4 remote
		return local | 0xffff, math.MaxUint64
	}
	return local, 0
}

// compare orders as CompareConnections does within one namespace.
func (l *Listing) compare(a, b radix.Key) int {
	if a.High != b.High {
		return cmp.Compare(a.High, b.High)
	}
	if a.Low != b.Low {
		return cmp.Compare(a.Low, b.Low)
	}
	x, y := l.connections.At(int(a.Number)), l.connections.At(int(b.Number))
	return cmp.Or(
		l.addrPort(x.local).Compare(l.addrPort(y.local)), l.addrPort(x.remote).Compare(l.addrPort(y.remote)),
		cmp.Compare(x.token, y.token), cmp.Compare(a.Number, b.Number),
	)
}
