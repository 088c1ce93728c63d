package track

import (
	"iter"
	"time"

	"mptcpctl/mptcp"
)

// State is what was known at one moment. It never changes, and may be read by any
// number of goroutines for as long as they like.
type State struct {
	time       time.Time
	generation uint64
	events     uint64
	lost       uint64
	counts     Counts
	live       []Tracked
	ended      []Ended
	namespaces []Snapshot
}

// Tracked is a connection with the key that it is known by.
type Tracked struct {
	Key        mptcp.Key
	Connection mptcp.Connection
}

// How tells how a connection ended.
type How uint8

// The ways in which a connection ends.
const (
	HowUnknown  How = iota // it vanished in a gap of the event stream
	HowClosed              // the application closed it
	HowAborted             // it vanished without CLOSED: the peer's fast-close, or never accepted
	HowReplaced            // its token is in use by another connection
)

var howNames = [...]string{"unknown", "closed", "aborted", "replaced"}

// String returns the way's name.
func (h How) String() string {
	if int(h) < len(howNames) {
		return howNames[h]
	}
	return "unknown"
}

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (h How) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// Ended is a connection that is over, with its last figures as far as they are
// known.
type Ended struct {
	Key        mptcp.Key
	Connection mptcp.Connection
	At         time.Time // when it was found to be over
	How        How
}

// Counts are totals over the live connections of a state.
type Counts struct {
	Connections int
	Fallbacks   int // of the connections
	Subflows    int // all states, initial ones included
	// ByState counts the connections by the state of the socket, whose number is
	// the index.
	ByState [16]int
	// BySide counts the connections by side, whose number is the index.
	BySide [3]int
	// SubflowsByState counts the subflows by their state, whose number is the
	// index.
	SubflowsByState [8]int
}

// NewState makes a state of connections, as one dump gives them: for a face over
// a single snapshot, without a tracker. Every connection has instance 0.
func NewState(at time.Time, connections []mptcp.Connection, namespaces ...Snapshot) *State {
	s := &State{time: at, namespaces: namespaces}
	for _, c := range connections {
		s.live = append(s.live, Tracked{mptcp.Key{Netns: c.Netns, Token: c.Token}, c})
		s.counts.add(&c, 1)
	}
	return s
}

// add counts the connection n times.
func (n *Counts) add(c *mptcp.Connection, times int) {
	n.Connections += times
	if c.Fallback {
		n.Fallbacks += times
	}
	n.ByState[c.State%16] += times
	n.BySide[c.Side%3] += times
	n.Subflows += times * len(c.Subflows)
	for i := range c.Subflows {
		n.SubflowsByState[c.Subflows[i].State%8] += times
	}
}

// Time returns when the state was taken.
func (s *State) Time() time.Time { return s.time }

// Generation grows by one with each resynchronisation after a loss of events.
func (s *State) Generation() uint64 { return s.generation }

// Events returns how many events of the kernel were applied.
func (s *State) Events() uint64 { return s.events }

// Lost returns how many events were lost before they could be read. The state is
// right all the same; the history has gaps.
func (s *State) Lost() uint64 { return s.lost }

// Counts returns totals over the live connections.
func (s *State) Counts() Counts { return s.counts }

// Len returns the number of live connections.
func (s *State) Len() int { return len(s.live) }

// Connections returns the live connections with their subflows. Each is made on
// the fly and is the caller's. The order is arbitrary, and the same from state to
// state for a connection that goes on.
func (s *State) Connections() iter.Seq[mptcp.Connection] {
	return func(yield func(mptcp.Connection) bool) {
		for t := range s.All() {
			if !yield(t.Connection) {
				return
			}
		}
	}
}

// All is as Connections, with the keys.
func (s *State) All() iter.Seq[Tracked] {
	return func(yield func(Tracked) bool) {
		for _, t := range s.live {
			if !yield(t) {
				return
			}
		}
	}
}

// Lookup returns the connection with that key, live or ended.
func (s *State) Lookup(k mptcp.Key) (mptcp.Connection, bool) {
	for _, t := range s.live {
		if t.Key == k {
			return t.Connection, true
		}
	}
	for i := range s.ended {
		if s.ended[i].Key == k {
			return s.ended[i].Connection, true
		}
	}
	return mptcp.Connection{}, false
}

// Find returns the live connection that has the token now.
func (s *State) Find(netns string, token mptcp.Token) (Tracked, bool) {
	for _, t := range s.live {
		if t.Key.Netns == netns && t.Key.Token == token {
			return t, true
		}
	}
	return Tracked{}, false
}

// Ended returns the connections that are over and still kept, oldest first.
func (s *State) Ended() iter.Seq[Ended] {
	return func(yield func(Ended) bool) {
		for _, e := range s.ended {
			if !yield(e) {
				return
			}
		}
	}
}

// History returns the last deltas of the connection, oldest first, as far as they
// are kept.
func (s *State) History(mptcp.Key) []Delta { return nil }

// Namespaces returns what is known of each network namespace apart from its
// connections: links, addresses, endpoints, listeners. The lists of connections
// and subflows in it are empty.
func (s *State) Namespaces() []Snapshot { return s.namespaces }
