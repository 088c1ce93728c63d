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

// finals holds last figures that came before the news that a subflow had ended.
type finals struct {
	by    map[tuple]mptcp.Subflow
	order []tuple
}

// finalsKept is how many last figures wait for their subflow.
const finalsKept = 1 << 10

// put keeps figures.
func (f *finals) put(k tuple, s mptcp.Subflow) {
	if _, twice := f.by[k]; !twice {
		f.order = append(f.order, k)
	}
	f.by[k] = s
	if len(f.order) > finalsKept {
		delete(f.by, f.order[0])
		f.order = f.order[1:]
	}
}

// settle gives the subflow its last figures, if they have come.
func (f *finals) settle(netns string, s *mptcp.Subflow) {
	if last, ok := f.by[tuple{netns, s.Local, s.Remote}]; ok {
		takeFigures(s, &last)
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
	t.finals.put(k, e.Subflow)
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.closed) - 1; i >= max(0, len(t.closed)-finalsKept); i-- {
		if c := t.closed[i]; c.Key.Netns == k.netns && c.Subflow.Local == k.local && c.Subflow.Remote == k.remote {
			late := *c
			takeFigures(&late.Subflow, &e.Subflow)
			t.closed = slices.Clone(t.closed)
			t.closed[i] = &late
			t.touch()
			return
		}
	}
	for i := len(t.ended) - 1; i >= max(0, len(t.ended)-finalsKept); i-- {
		if t.ended[i].Key.Netns == k.netns && slices.ContainsFunc(t.ended[i].Connection.Subflows, func(s mptcp.Subflow) bool {
			return s.Local == k.local && s.Remote == k.remote
		}) {
			t.amend(i, func(late *Ended) {
				late.Connection.Subflows = slices.Clone(late.Connection.Subflows)
				for j := range late.Connection.Subflows {
					t.finals.settle(k.netns, &late.Connection.Subflows[j])
				}
				setShares(late.Connection.Subflows)
			})
			return
		}
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
	t.ended = slices.Clone(t.ended)
	t.ended[i] = &late
	t.touch()
}

// closeSubflow keeps a subflow that ended. The caller holds mu.
func (t *Tracker) closeSubflow(k mptcp.Key, s mptcp.Subflow, e *mptcp.Event, at time.Time) {
	if t.config.Keep == 0 {
		return
	}
	t.finals.settle(k.Netns, &s)
	s.State, s.TCP = mptcp.SubflowClosed, mptcp.StateClosed
	c := &ClosedSubflow{Key: k, Subflow: s, At: at, found: t.now()}
	if e != nil {
		c.Event = *e
	}
	if n := findNamespace(t.namespaces, k.Netns); n != nil {
		n.facts.device(&c.Subflow)
	}
	t.closed = append(t.closed, c)
	if len(t.closed) > 2*t.config.Keep {
		t.closed = t.closed[1:]
	}
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
		t.finals.settle(r.Netns, s)
		s.State, s.TCP = mptcp.SubflowClosed, mptcp.StateClosed
		if n != nil {
			n.facts.device(s)
		}
	}
	r.State = mptcp.StateClosed
	slices.SortFunc(r.Subflows, compareSubflows)
	setShares(r.Subflows)
	e := &Ended{Key: r.key(), Connection: r.Connection, At: at, How: how, history: r.history, found: t.now()}
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
