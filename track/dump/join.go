package dump

import (
	"cmp"
	"slices"

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
	facts := NewFacts(&s)
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
		Rows(&c, rows[c.Token], facts)
		connections = append(connections, c)
	}
	slices.SortFunc(connections, CompareConnections)
	return connections
}

// tie is what a row says about its connection besides the token: see [SubflowRow].
type tie struct{ join, requested bool }

// Rows gives the connection the subflows of the rows.
func Rows(c *mptcp.Connection, rows []SubflowRow, f *Facts) {
	c.Subflows = make([]mptcp.Subflow, len(rows))
	ties := make([]tie, len(rows))
	for i := range rows {
		c.Subflows[i], ties[i] = rows[i].Subflow, tie{rows[i].Join, rows[i].Requested}
	}
	joinOne(c, ties, f)
}

// joinOne works out what only the connection and its subflows tell together. There
// is a tie for each subflow; both are in the order of the dump.
func joinOne(c *mptcp.Connection, ties []tie, f *Facts) {
	c.Local, c.Remote = mptcp.Unmap(c.Local), mptcp.Unmap(c.Remote)
	for i := range c.Subflows {
		sub := &c.Subflows[i]
		sub.Local, sub.Remote = mptcp.Unmap(sub.Local), mptcp.Unmap(sub.Remote)
		sub.Initial = false
	}
	c.PathManager = cmp.Or(c.PathManager, f.pathManager)
	initial := initialSubflow(c, ties)
	if initial >= 0 && Unaddressed(c) {
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
		f.Device(sub)
		if sub.State == mptcp.SubflowUnknown {
			sub.State = subflowState(sub.TCP)
		}
		if sub.State == mptcp.SubflowEstablished {
			if _, sure := f.Silence(sub); sure > ConfidenceNone {
				sub.State = mptcp.SubflowSilent
			}
		}
	}
	if len(c.Subflows) > 1 {
		slices.SortFunc(c.Subflows, CompareSubflows)
	}
	SetShares(c.Subflows)
	CountBytes(c)
}

// CountBytes gives a connection the bytes of the subflows that it has, where the kernel
// does not count its own (before Linux 6.5).
func CountBytes(c *mptcp.Connection) {
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

// SetShares gives each subflow its part of the bytes of all of them.
func SetShares(subflows []mptcp.Subflow) {
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

// CompareConnections orders connections by namespace, local address, remote address and token.
func CompareConnections(a, b mptcp.Connection) int {
	return cmp.Or(
		cmp.Compare(a.Netns, b.Netns), a.Local.Compare(b.Local), a.Remote.Compare(b.Remote),
		cmp.Compare(a.Token, b.Token),
	)
}

// CompareSubflows orders the subflows of a connection: the initial one first, then by address
// ids and addresses.
func CompareSubflows(a, b mptcp.Subflow) int {
	if a.Initial != b.Initial {
		if a.Initial {
			return -1
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.LocalID, b.LocalID), cmp.Compare(a.RemoteID, b.RemoteID), a.Local.Compare(b.Local),
		a.Remote.Compare(b.Remote), cmp.Compare(a.Cookie, b.Cookie),
	)
}

// Unaddressed reports whether the kernel shows no addresses of the connection. It copies
// them into the socket only at the end of connect(), when the connection may already be
// established, and clears those of some sockets that are closing.
func Unaddressed(c *mptcp.Connection) bool { return c.Remote.Port() == 0 }
