package track

import (
	"slices"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track/dump"
)

// ClosedSubflow is a subflow that ended while its connection went on, with its
// last figures.
type ClosedSubflow struct {
	Key     mptcp.Key
	Subflow mptcp.Subflow
	At      time.Time
	// Event is the SF_CLOSED that told of it, with the error and the reset
	// reason; Type is 0 where there was none.
	Event mptcp.Event
	found time.Time
}

// final takes the last figures of a subflow.
func (t *Tracker) final(e *EndedSubflow) {
	e.Subflow.Local, e.Subflow.Remote = mptcp.Unmap(e.Subflow.Local), mptcp.Unmap(e.Subflow.Remote)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.archive.final(e, t.clock.now()) {
		t.touch()
	}
}

// closeSubflow keeps a subflow that ended. The caller holds mu.
func (t *Tracker) closeSubflow(k mptcp.Key, s mptcp.Subflow, e *mptcp.Event, at time.Time) {
	if t.config.Keep == 0 {
		return
	}
	now := t.clock.now()
	t.archive.settle(k.Netns, &s, t.archive.nextPlace(false), now)
	s.State, s.TCP = mptcp.SubflowClosed, mptcp.StateClosed
	c := &ClosedSubflow{Key: k, Subflow: s, At: at, found: now}
	if e != nil {
		c.Event = *e
	}
	if n := findNamespace(t.namespaces, k.Netns); n != nil {
		n.facts.Device(&c.Subflow)
	}
	t.archive.keepClosed(c, 2*t.config.Keep)
}

// end takes a connection out of the live ones, and keeps it among the ended ones.
// The caller holds mu.
func (t *Tracker) end(slot uint32, how How, at time.Time) {
	var r record // a new one: it is kept
	t.table.load(slot, &r)
	t.table.remove(slot)
	if t.config.Keep == 0 {
		return
	}
	now := t.clock.now()
	n := findNamespace(t.namespaces, r.Netns)
	for i := range r.Subflows {
		s := &r.Subflows[i]
		t.archive.settle(r.Netns, s, t.archive.nextPlace(true), now)
		s.State, s.TCP = mptcp.SubflowClosed, mptcp.StateClosed
		if n != nil {
			n.facts.Device(s)
		}
	}
	r.State = mptcp.StateClosed
	slices.SortFunc(r.Subflows, dump.CompareSubflows)
	dump.SetShares(r.Subflows)
	e := &Ended{Key: r.key(), Connection: r.Connection, At: at, How: how, history: r.history, found: now}
	t.archive.keepEnded(e, t.config.Keep)
}
