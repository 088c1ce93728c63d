package track

import (
	"slices"

	"mptcpctl/mptcp"
)

// Begin returns the connection that a CREATED event announces, with its initial subflow.
// The side is what the event alone tells, see [mptcp.Event.Side].
func Begin(e *mptcp.Event) (c mptcp.Connection) {
	begin(&c, e)
	return c
}

// begin makes a zero connection, which may have memory for its subflows, that of Begin.
func begin(c *mptcp.Connection, e *mptcp.Event) {
	c.Token, c.Netns, c.Family, c.Side = e.Token, e.Netns, e.Family, e.Side()
	c.State, c.Since = mptcp.StateEstablished, e.Time
	c.Local, _ = e.Local()
	c.Remote, _ = e.Remote()
	c.Subflows = append(c.Subflows[:0], mptcp.Subflow{
		Local: c.Local, Remote: c.Remote, Initial: true, State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished,
	})
}

// Follow changes the connection by an event about one of its subflows, as far as the
// event alone tells. A [Tracker] does the same, and also asks the kernel; Follow is for
// those that cannot.
func Follow(c *mptcp.Connection, e *mptcp.Event) {
	sub, ok := SubflowOf(e)
	if !ok {
		return
	}
	switch i := findSubflow(c.Subflows, &sub); {
	case e.Type == mptcp.EventSubflowEstablished:
		c.Subflows = bringUp(c.Subflows, sub)
	case i >= 0 && e.Type == mptcp.EventSubflowClosed:
		c.Subflows = slices.Delete(c.Subflows, i, i+1)
	case i >= 0 && e.Type == mptcp.EventSubflowPriority:
		c.Subflows[i].BackupRemote = sub.BackupRemote
	}
}

// SubflowOf returns the subflow that an event is about, as far as the event tells, and
// false where the event has no addresses.
func SubflowOf(e *mptcp.Event) (s mptcp.Subflow, ok bool) {
	var okLocal, okRemote bool
	s.Local, okLocal = e.Local()
	s.Remote, okRemote = e.Remote()
	s.LocalID, s.RemoteID = e.LocalID, e.RemoteID
	s.BackupRemote = e.Backup != 0
	if e.IfIndex > 0 {
		s.IfIndex, s.Bound = uint32(e.IfIndex), true
	}
	return s, okLocal && okRemote
}

// bringUp puts a subflow that came up in the list, or in the place of the one that was
// pending, of which it keeps what no event tells.
func bringUp(list []mptcp.Subflow, sub mptcp.Subflow) []mptcp.Subflow {
	sub.State, sub.TCP, sub.FullyEstablished = mptcp.SubflowEstablished, mptcp.StateEstablished, true
	i := findSubflow(list, &sub)
	if i < 0 {
		return append(list, sub)
	}
	known := &list[i]
	sub.Initial = known.Initial
	sub.TokenRemote, sub.BackupLocal = known.TokenRemote, known.BackupLocal
	takeFigures(&sub, known)
	*known = sub
	return list
}

// findSubflow returns the index of the subflow between these addresses, or -1.
func findSubflow(subflows []mptcp.Subflow, like *mptcp.Subflow) int {
	for i := range subflows {
		if subflows[i].Local == like.Local && subflows[i].Remote == like.Remote {
			return i
		}
	}
	return -1
}
