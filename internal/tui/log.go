package tui

import (
	"mptcpctl/internal/filter"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// logLength is how many events are kept for the screen of events.
const logLength = 5000

// entry is an event in the log.
type entry struct {
	delta   track.Delta
	matches bool // the filter
}

// log is the last events, oldest first. Only its end changes.
type log struct {
	entries []entry
	dropped int // entries before the first
}

// add appends events. The state tells which connections they are of.
func (l *log) add(deltas []track.Delta, expr *filter.Expr, s *track.State) {
	for i := range deltas {
		l.entries = append(l.entries, entry{deltas[i], matches(&deltas[i], expr, s)})
	}
	if over := len(l.entries) - logLength; over > logLength/4 {
		l.entries = append(l.entries[:0:0], l.entries[over:]...)
		l.dropped += over
	}
}

// judge asks the filter anew about all events.
func (l *log) judge(expr *filter.Expr, s *track.State) {
	for i := range l.entries {
		l.entries[i].matches = matches(&l.entries[i].delta, expr, s)
	}
}

// seen returns the number of the newest event, for [log.pick].
func (l *log) seen() int { return l.dropped + len(l.entries) }

// pick returns the events up to that number that match, of one connection only
// where key is given.
func (l *log) pick(upTo int, key *mptcp.Key) []*track.Delta {
	var picked []*track.Delta
	for i := range l.entries[:max(0, min(upTo-l.dropped, len(l.entries)))] {
		e := &l.entries[i]
		if e.matches && (key == nil || e.delta.Key == *key) {
			picked = append(picked, &e.delta)
		}
	}
	return picked
}

// matches reports whether the filter lets the event through. What a derived event
// does not carry is taken from its connection, as with the kernel's.
func matches(d *track.Delta, expr *filter.Expr, s *track.State) bool {
	c, ok := s.Lookup(d.Key)
	if !ok {
		return expr.Delta(d, nil)
	}
	return expr.Delta(d, &c)
}
