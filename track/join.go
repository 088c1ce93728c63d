package track

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	"mptcpctl/mptcp"
)

// Join makes the tree of connections and their subflows of a snapshot. Subflows
// belong to the connection that has their local token; those whose token no
// connection has any more are left out, for they are the remains of one.
//
// It fills in what only the two together tell: which subflow is the initial one,
// the side, the device, the subflow's state and its share of the bytes. What the
// snapshot knows already is kept. Connections are ordered by local address, remote
// address and token; the initial subflow comes first, then by address ids and
// addresses. The snapshot is not changed.
func Join(s Snapshot) []mptcp.Connection {
	facts := newFacts(&s)
	rows := make(map[mptcp.Token][]SubflowRow, len(s.Connections))
	for _, c := range s.Connections {
		rows[c.Token] = nil
	}
	for _, r := range s.Subflows {
		if _, live := rows[r.Token]; live && r.HasToken {
			rows[r.Token] = append(rows[r.Token], r)
		}
	}
	connections := make([]mptcp.Connection, 0, len(s.Connections))
	for _, c := range s.Connections {
		c.Netns = cmp.Or(c.Netns, s.Netns)
		joinRows(&c, rows[c.Token], facts)
		connections = append(connections, c)
	}
	slices.SortFunc(connections, compareConnections)
	return connections
}

// tie is what a row says about its connection besides the token: see [SubflowRow].
type tie struct{ join, requested bool }

// joinRows gives the connection the subflows of the rows.
func joinRows(c *mptcp.Connection, rows []SubflowRow, f *facts) {
	c.Subflows = make([]mptcp.Subflow, len(rows))
	ties := make([]tie, len(rows))
	for i := range rows {
		c.Subflows[i], ties[i] = rows[i].Subflow, tie{rows[i].Join, rows[i].Requested}
	}
	joinOne(c, ties, f)
}

// joinOne works out what only the connection and its subflows tell together. There
// is a tie for each subflow; both are in the order of the dump.
func joinOne(c *mptcp.Connection, ties []tie, f *facts) {
	c.Local, c.Remote = mptcp.Unmap(c.Local), mptcp.Unmap(c.Remote)
	for i := range c.Subflows {
		sub := &c.Subflows[i]
		sub.Local, sub.Remote = mptcp.Unmap(sub.Local), mptcp.Unmap(sub.Remote)
		sub.Initial = false
	}
	c.PathManager = cmp.Or(c.PathManager, f.pathManager)
	initial := initialSubflow(c, ties)
	if initial >= 0 && unaddressed(c) {
		c.Local, c.Remote = c.Subflows[initial].Local, c.Subflows[initial].Remote
	}
	if c.Side == mptcp.SideUnknown {
		c.Side = f.side(c, ties, initial)
	}
	if initial >= 0 {
		c.Subflows[initial].Initial = true
	}
	for i := range c.Subflows {
		sub := &c.Subflows[i]
		f.device(sub)
		if sub.State == mptcp.SubflowUnknown {
			sub.State = subflowState(sub.TCP)
		}
		if sub.State == mptcp.SubflowEstablished {
			if _, sure := f.silence(sub); sure > ConfidenceNone {
				sub.State = mptcp.SubflowSilent
			}
		}
	}
	if len(c.Subflows) > 1 {
		slices.SortFunc(c.Subflows, compareSubflows)
	}
	setShares(c.Subflows)
	countBytes(c)
}

// countBytes gives a connection the bytes of the subflows that it has, where the kernel
// does not count its own (before Linux 6.5).
func countBytes(c *mptcp.Connection) {
	if c.BytesSent != 0 || c.BytesReceived != 0 {
		return
	}
	for i := range c.Subflows {
		s := &c.Subflows[i]
		c.BytesSent += s.BytesSent - min(s.BytesSent, s.BytesRetransmitted)
		c.BytesReceived += s.BytesReceived
	}
}

// initialSubflow returns the index of the initial subflow, or -1. It is the one that
// no join made; where an old kernel tells no flags and there are several, the one
// between the connection's own addresses.
func initialSubflow(c *mptcp.Connection, ties []tie) int {
	found := -1
	for i := range ties {
		if ties[i].join {
			continue
		}
		if c.Subflows[i].Local == c.Local && c.Subflows[i].Remote == c.Remote {
			return i
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

// subflowState derives the state of a subflow from the state of its socket.
func subflowState(s mptcp.SocketState) mptcp.SubflowState {
	switch {
	case s == mptcp.StateEstablished:
		return mptcp.SubflowEstablished
	case s == mptcp.StateSynSent, s == mptcp.StateSynRecv, s == mptcp.StateNewSynRecv:
		return mptcp.SubflowPending
	case s == mptcp.StateClosed:
		return mptcp.SubflowClosed
	case s.Closing():
		return mptcp.SubflowClosing
	}
	return mptcp.SubflowUnknown
}

// setShares gives each subflow its part of the bytes of all of them.
func setShares(subflows []mptcp.Subflow) {
	var total uint64
	for i := range subflows {
		total += subflows[i].BytesSent + subflows[i].BytesReceived
	}
	for i := range subflows {
		subflows[i].Share = 0
		if total > 0 {
			subflows[i].Share = float64(subflows[i].BytesSent+subflows[i].BytesReceived) / float64(total)
		}
	}
}

func compareConnections(a, b mptcp.Connection) int {
	return cmp.Or(
		cmp.Compare(a.Netns, b.Netns),
		a.Local.Compare(b.Local),
		a.Remote.Compare(b.Remote),
		cmp.Compare(a.Token, b.Token),
	)
}

func compareSubflows(a, b mptcp.Subflow) int {
	if a.Initial != b.Initial {
		if a.Initial {
			return -1
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.LocalID, b.LocalID),
		cmp.Compare(a.RemoteID, b.RemoteID),
		a.Local.Compare(b.Local),
		a.Remote.Compare(b.Remote),
		cmp.Compare(a.Cookie, b.Cookie),
	)
}

// facts are the parts of a snapshot that all of its connections share, ready for
// questions.
type facts struct {
	pathManager string
	links       map[uint32]LinkFact
	holders     map[netip.Addr]uint32    // device by address
	few         []AddressFact            // holders, where a look at each is cheaper than the map
	routes      map[[2]netip.Addr]uint32 // device by source and destination; nil: nobody asked
	gone        map[netip.Addr]bool      // addresses that were here before
	listening   map[uint16]int           // MPTCP listeners by port
	knowsLinks  bool
	knowsAddrs  bool
}

func newFacts(s *Snapshot) *facts {
	f := &facts{
		pathManager: s.PathManager,
		links:       make(map[uint32]LinkFact, len(s.Links)),
		holders:     make(map[netip.Addr]uint32, len(s.Addresses)),
		listening:   make(map[uint16]int, len(s.Listeners)),
		knowsLinks:  len(s.Links) > 0,
		knowsAddrs:  len(s.Addresses) > 0,
	}
	for _, l := range s.Links {
		f.links[l.Index] = l
	}
	for _, a := range s.Addresses {
		if _, twice := f.holders[a.Addr.Unmap().WithZone("")]; !twice {
			f.holders[a.Addr.Unmap().WithZone("")] = a.IfIndex
		}
	}
	if len(f.holders) <= fewHolders {
		for a, index := range f.holders {
			f.few = append(f.few, AddressFact{a, index})
		}
	}
	for _, l := range s.Listeners {
		f.listening[l.Port()]++
	}
	if s.Routes != nil {
		f.routes = make(map[[2]netip.Addr]uint32, len(s.Routes))
	}
	for _, r := range s.Routes {
		f.routes[[2]netip.Addr{r.Source, r.Destination}] = r.IfIndex
	}
	return f
}

// mostGone bounds how many addresses are remembered that have gone.
const mostGone = 1 << 10

// succeed takes over from earlier facts which addresses have gone.
func (f *facts) succeed(before *facts) {
	if f.routes == nil {
		f.routes = before.routes
	}
	f.gone = make(map[netip.Addr]bool)
	note := func(a netip.Addr) {
		if _, here := f.holders[a]; !here && len(f.gone) < mostGone {
			f.gone[a] = true
		}
	}
	for a := range before.holders {
		note(a)
	}
	for a := range before.gone {
		note(a)
	}
}

const fewHolders = 8

// holder returns the device that holds the address.
func (f *facts) holder(a netip.Addr) (index uint32, ok bool) {
	if a.Zone() != "" {
		a = a.WithZone("")
	}
	if len(f.holders) > fewHolders {
		index, ok = f.holders[a]
		return index, ok
	}
	for i := range f.few {
		if f.few[i].Addr == a {
			return f.few[i].IfIndex, true
		}
	}
	return 0, false
}

// side tells which end this host is. The initial subflow says it: the client has
// asked for MPTCP on it. Where that one has gone, a listener on the local port
// makes a server, and a join from here to the peer's initial address a client:
// servers make joins too, but only to addresses that the client announced.
func (f *facts) side(c *mptcp.Connection, ties []tie, initial int) mptcp.Side {
	if initial >= 0 {
		if side := initialSide(ties[initial], c.Subflows[initial].TCP); side != mptcp.SideUnknown {
			return side
		}
	}
	if f.listening[c.Local.Port()] > 0 {
		return mptcp.SideServer
	}
	for i := range ties {
		if ties[i].join && ties[i].requested && c.Subflows[i].RemoteID == 0 {
			return mptcp.SideClient
		}
	}
	return mptcp.SideUnknown
}

// initialSide tells the side as far as the initial subflow does.
func initialSide(t tie, state mptcp.SocketState) mptcp.Side {
	switch {
	case t.requested:
		return mptcp.SideClient
	case state == mptcp.StateEstablished:
		return mptcp.SideServer
	}
	return mptcp.SideUnknown
}

// device names the device of a subflow: the one that it is bound to, else the one by
// which the routes send its packets. Where routes were not asked, as in recordings, it is
// the one that has the local address.
func (f *facts) device(sub *mptcp.Subflow) {
	index := sub.IfIndex
	sub.Bound = index != 0
	if sub.Device != "" {
		return
	}
	switch {
	case index != 0:
	case f.routes != nil:
		index = f.routes[[2]netip.Addr{sub.Local.Addr(), sub.Remote.Addr()}]
	default:
		index, _ = f.holder(sub.Local.Addr())
	}
	if l, ok := f.links[index]; ok {
		sub.Device = l.Name
	} else if index != 0 {
		sub.Device = "if" + strconv.FormatUint(uint64(index), 10)
	}
}
