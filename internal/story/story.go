package story

import (
	"net/netip"
	"slices"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Facts are what a story is made of.
type Facts struct {
	Connection mptcp.Connection
	Closed     []track.ClosedSubflow
	History    []track.Delta
	Ended      *track.Ended // nil: the connection goes on
	Now        time.Time
}

// Gather returns the facts about a connection that a state has at that time, and
// false where it does not know the connection.
func Gather(s *track.State, k mptcp.Key, now time.Time) (f *Facts, ok bool) {
	c, ok := s.Lookup(k)
	if !ok {
		return nil, false
	}
	f = &Facts{Connection: c, Closed: s.ClosedSubflows(k), History: s.History(k), Now: now}
	for e := range s.Ended() {
		if e.Key == k {
			f.Ended = e
		}
	}
	return f, true
}

// Story is the life of a connection: a lane for each subflow, and what the peer
// and the tracker had to say besides.
type Story struct {
	Lanes []*Lane   // the initial subflow first, then by their beginnings
	Marks []Mark    // of no subflow
	From  time.Time // when the first of it is known
	End   time.Time // zero: it goes on
	How   track.How // it ended
}

// Tell makes the story. Without any history a subflow has been in its present state
// for as long as is known.
func Tell(f *Facts) *Story {
	s := &Story{}
	for i := range f.History {
		s.apply(&f.History[i])
	}
	for i := range f.Closed {
		closed := &f.Closed[i]
		l := s.lane(closed.Subflow.Local, closed.Subflow.Remote)
		l.describe(&closed.Subflow)
		if l.End.IsZero() {
			l.finish(closed.At, EndReason(&closed.Event))
		}
	}
	s.From = f.Connection.Since
	for i := range f.Connection.Subflows {
		sub := &f.Connection.Subflows[i]
		l := s.lane(sub.Local, sub.Remote)
		l.describe(sub)
		if f.Ended == nil {
			l.live(sub, f)
		}
	}
	if f.Ended != nil {
		s.finish(f.Ended)
	}
	s.settle(f)
	return s
}

// Lane returns the lane of the subflow between these addresses, and its place; nil
// where there is none.
func (s *Story) Lane(local, remote netip.AddrPort) (*Lane, int) {
	for i, l := range s.Lanes {
		if l.Local == local && l.Remote == remote {
			return l, i
		}
	}
	return nil, -1
}

// lane returns the lane of the subflow, a new one where it has none.
func (s *Story) lane(local, remote netip.AddrPort) *Lane {
	if l, _ := s.Lane(local, remote); l != nil {
		return l
	}
	l := &Lane{Local: local, Remote: remote}
	s.Lanes = append(s.Lanes, l)
	return l
}

// apply draws one event: its mark, and what it does to the lane of its subflow.
func (s *Story) apply(d *track.Delta) {
	m := markOf(d)
	marks := &s.Marks
	local, okLocal := d.Event.Local()
	remote, okRemote := d.Event.Remote()
	if okLocal && okRemote && remote.Port() != 0 && m.Kind != Announced && m.Kind != Removed {
		l := s.lane(local, remote)
		l.apply(d)
		if !ofConnection(&d.Event) {
			marks = &l.Marks
		}
	}
	if m.Kind == Fallback && marks == &s.Marks {
		marks = s.fallenMarks()
	}
	*marks = append(*marks, m)
}

// ofConnection reports whether the event is about the connection, though it has the
// addresses of a subflow.
func ofConnection(e *mptcp.Event) bool {
	return e.Type == mptcp.EventCreated || e.Type == mptcp.EventEstablished || e.Type == mptcp.EventClosed
}

// fallenMarks returns where a fallback is marked that names no subflow: on the initial
// one, for no other is left.
func (s *Story) fallenMarks() *[]Mark {
	for _, l := range s.Lanes {
		if l.Initial {
			return &l.Marks
		}
	}
	return &s.Marks
}

// finish ends the connection with all lanes that still live.
func (s *Story) finish(e *track.Ended) {
	s.End, s.How = e.At, e.How
	for _, l := range s.Lanes {
		if l.End.IsZero() {
			l.finish(e.At, WithConnection)
		}
	}
}

// settle puts in order what came from several places: the lanes by their
// beginnings, and the beginning of the whole.
func (s *Story) settle(f *Facts) {
	earliest := func(at time.Time) {
		if !at.IsZero() && (s.From.IsZero() || at.Before(s.From)) {
			s.From = at
		}
	}
	for _, l := range s.Lanes {
		if len(l.Stretches) == 0 {
			l.Unknown = true
			l.Stretches = []Stretch{{State: mptcp.SubflowEstablished, Assumed: true}}
		}
		earliest(l.Stretches[0].From)
		earliest(l.End)
		slices.SortStableFunc(l.Marks, func(a, b Mark) int { return a.At.Compare(b.At) })
	}
	for _, m := range s.Marks {
		earliest(m.At)
	}
	if s.From.IsZero() {
		s.From = f.Now
	}
	slices.SortStableFunc(s.Lanes, func(a, b *Lane) int {
		switch {
		case a.Initial != b.Initial && a.Initial:
			return -1
		case a.Initial != b.Initial:
			return 1
		}
		return a.Stretches[0].From.Compare(b.Stretches[0].From)
	})
}
