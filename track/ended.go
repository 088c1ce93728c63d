package track

import (
	"net/netip"
	"slices"
	"time"

	"mptcpctl/mptcp"
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

// tuple names a subflow on this host.
type tuple struct {
	netns         string
	local, remote netip.AddrPort
}

// recent holds what was put last, by the subflow that it is about.
type recent[V any] struct {
	by    map[tuple]dated[V]
	order []tuple
	head  int // of order: what is before it was dropped
}

type dated[V any] struct {
	value V
	at    time.Time
}

// What is held: so many, and for so long, as the two ends of a story may be apart.
const (
	recentKept = 1 << 10
	recentTime = 5 * time.Second
)

// put adds a value, or replaces the one that is there.
func (r *recent[V]) put(k tuple, v V, now time.Time) {
	if r.by == nil {
		r.by = make(map[tuple]dated[V])
	}
	if _, there := r.by[k]; !there {
		r.order = append(r.order, k)
	}
	r.by[k] = dated[V]{v, now}
	for len(r.order)-r.head > recentKept {
		delete(r.by, r.order[r.head])
		r.head++
	}
	if r.head > recentKept {
		r.order, r.head = append(r.order[:0], r.order[r.head:]...), 0
	}
}

// take returns the value, and forgets it.
func (r *recent[V]) take(k tuple, now time.Time) (v V, ok bool) {
	d, ok := r.by[k]
	if !ok {
		return v, false
	}
	delete(r.by, k)
	at := len(r.order) - 1 // the two ends come one soon after the other
	for r.order[at] != k {
		at--
	}
	r.order = slices.Delete(r.order, at, at+1)
	return d.value, now.Sub(d.at) < recentTime
}

// place is where an ended subflow is kept: in the closed ones, or with its connection
// in the ended ones, counted from the first that there ever was.
type place struct {
	number uint64
	ended  bool
}

// settle gives a subflow that has ended its last figures. Where they have not come
// yet, they are put where it is kept.
func (t *Tracker) settle(netns string, s *mptcp.Subflow, kept place) {
	k := tuple{netns, s.Local, s.Remote}
	now := t.clock.now()
	if last, ok := t.finals.take(k, now); ok {
		takeFigures(s, &last)
	} else {
		t.unsettled.put(k, kept, now)
	}
}

// takeFigures copies what a socket measures.
func takeFigures(s, from *mptcp.Subflow) {
	s.RTTMicros, s.RTTVarMicros, s.MinRTTMicros, s.Cwnd = from.RTTMicros, from.RTTVarMicros, from.MinRTTMicros, from.Cwnd
	s.BytesSent, s.BytesReceived, s.BytesRetransmitted = from.BytesSent, from.BytesReceived, from.BytesRetransmitted
	s.LastAckMS, s.LastDataSentMS, s.Lost, s.Unacked, s.Backoff = from.LastAckMS, from.LastDataSentMS, from.Lost, from.Unacked, from.Backoff
}

// final takes the last figures of a subflow, whose end may be known already.
func (t *Tracker) final(e *EndedSubflow) {
	e.Subflow.Local, e.Subflow.Remote = mptcp.Unmap(e.Subflow.Local), mptcp.Unmap(e.Subflow.Remote)
	k := tuple{e.Netns, e.Subflow.Local, e.Subflow.Remote}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.now()
	at, ok := t.unsettled.take(k, now)
	switch {
	case !ok:
		t.finals.put(k, e.Subflow, now)
	case at.ended && at.number >= t.endedGone:
		t.amend(int(at.number-t.endedGone), func(late *Ended) {
			late.Connection.Subflows = slices.Clone(late.Connection.Subflows)
			if i := findSubflow(late.Connection.Subflows, &e.Subflow); i >= 0 {
				takeFigures(&late.Connection.Subflows[i], &e.Subflow)
			}
			setShares(late.Connection.Subflows)
		})
	case !at.ended && at.number >= t.closedGone:
		i := at.number - t.closedGone
		late := *t.closed[i]
		takeFigures(&late.Subflow, &e.Subflow)
		t.own()
		t.closed[i] = &late
		t.touch()
	}
}

// own makes the lists of what ended the tracker's alone: what a state has of them does
// not change.
func (t *Tracker) own() {
	if t.given {
		t.ended, t.closed, t.given = slices.Clone(t.ended), slices.Clone(t.closed), false
	}
}

// amend changes what is kept of an ended connection. States that show the old one
// keep it. The caller holds mu.
func (t *Tracker) amend(i int, change func(*Ended)) {
	late := *t.ended[i]
	change(&late)
	if id := (identity{late.Key.Netns, late.Key.Token}); t.endedLast[id] == t.ended[i] {
		t.endedLast[id] = &late
	}
	t.own()
	t.ended[i] = &late
	t.touch()
}

// closeSubflow keeps a subflow that ended. The caller holds mu.
func (t *Tracker) closeSubflow(k mptcp.Key, s mptcp.Subflow, e *mptcp.Event, at time.Time) {
	if t.config.Keep == 0 {
		return
	}
	t.settle(k.Netns, &s, place{t.closedGone + uint64(len(t.closed)), false})
	s.State, s.TCP = mptcp.SubflowClosed, mptcp.StateClosed
	c := &ClosedSubflow{Key: k, Subflow: s, At: at, found: t.clock.now()}
	if e != nil {
		c.Event = *e
	}
	if n := findNamespace(t.namespaces, k.Netns); n != nil {
		n.facts.device(&c.Subflow)
	}
	t.closed = append(t.closed, c)
	if len(t.closed) > 2*t.config.Keep {
		t.forgetClosed()
	}
}

// forgetClosed drops the oldest ended subflow. The caller holds mu.
func (t *Tracker) forgetClosed() {
	t.closed = t.closed[1:]
	t.closedGone++
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
	n := findNamespace(t.namespaces, r.Netns)
	for i := range r.Subflows {
		s := &r.Subflows[i]
		t.settle(r.Netns, s, place{t.endedGone + uint64(len(t.ended)), true})
		s.State, s.TCP = mptcp.SubflowClosed, mptcp.StateClosed
		if n != nil {
			n.facts.device(s)
		}
	}
	r.State = mptcp.StateClosed
	slices.SortFunc(r.Subflows, compareSubflows)
	setShares(r.Subflows)
	e := &Ended{Key: r.key(), Connection: r.Connection, At: at, How: how, history: r.history, found: t.clock.now()}
	t.ended = append(t.ended, e)
	t.endedLast[identity{r.Netns, r.Token}] = e
	if len(t.ended) > t.config.Keep {
		t.forgetEnded()
	}
}

// forgetEnded drops the oldest ended connection. The caller holds mu.
func (t *Tracker) forgetEnded() {
	e := t.ended[0]
	t.ended = t.ended[1:]
	t.endedGone++
	if id := (identity{e.Key.Netns, e.Key.Token}); t.endedLast[id] == e {
		delete(t.endedLast, id)
	}
}

// nextInstance returns the instance of a new connection with the token.
func (t *Tracker) nextInstance(netns string, token mptcp.Token) uint32 {
	if e, ok := t.endedLast[identity{netns, token}]; ok {
		return e.Key.Instance + 1
	}
	return 0
}
