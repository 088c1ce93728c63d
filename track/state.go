package track

import (
	"iter"
	"slices"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track/dump"
)

// State is what was known at one moment. It never changes, and may be read by any
// number of goroutines for as long as they like.
type State struct {
	time       time.Time
	generation uint64
	events     uint64
	lost       uint64
	err        error
	counts     Counts
	view       view
	past       past
	limit      int // of deltas shown of one connection
	ended      []*Ended
	closed     []*ClosedSubflow
	namespaces []*namespace // by name
	processes  map[uint32][]mptcp.Process
	plain      []Tracked // instead of the view, in a state that no tracker made
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
	HowUnknown  How = iota // it ended while events were lost
	HowClosed              // the application closed it
	HowAborted             // it ended without CLOSED: the peer fast-closed it, or no program accepted it
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
	At         time.Time // when it was closed, else when it was found to be over
	How        How
	history    uint32
	found      time.Time
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
// a single snapshot, without a tracker. Every connection has instance 0, and there
// is no history. The connections are not copied.
func NewState(at time.Time, connections []mptcp.Connection, namespaces ...Snapshot) *State {
	s := &State{time: at, plain: make([]Tracked, 0, len(connections))}
	for i := range namespaces {
		s.namespaces = append(s.namespaces, newNamespace(&namespaces[i]))
	}
	for _, c := range connections {
		s.plain = append(s.plain, Tracked{mptcp.Key{Netns: c.Netns, Token: c.Token}, c})
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

// Err returns why the kernel could not be read when it was last tried, nil when
// it could. The state is then older than it says.
func (s *State) Err() error { return s.err }

// Len returns the number of live connections.
func (s *State) Len() int { return s.counts.Connections }

// Connections returns the live connections with their subflows. Each is made on
// the fly and is the caller's. The order is arbitrary, and the same from state to
// state for connections that go on.
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
		for _, t := range s.plain {
			if !yield(t) {
				return
			}
		}
		for slot := range s.view.all() {
			if !yield(s.tracked(slot)) {
				return
			}
		}
	}
}

// tracked makes the connection in the slot.
func (s *State) tracked(slot uint32) Tracked {
	var r record
	s.view.load(slot, &r)
	s.finish(&r.Connection)
	return Tracked{r.key(), r.Connection}
}

// Processes returns the processes that hold the socket with the inode, as
// [Tracker.SetProcesses] was last given them. They are shared: not to be changed.
func (s *State) Processes(inode uint32) []mptcp.Process {
	if inode == 0 {
		return nil
	}
	return s.processes[inode]
}

// finish fills in what is not held but follows from the rest.
func (s *State) finish(c *mptcp.Connection) { finish(c, s.namespaces, s.processes) }

// finish fills in what a table does not hold of a connection but what follows from the
// facts of its namespace and the processes that hold sockets.
func finish(c *mptcp.Connection, in []*namespace, processes map[uint32][]mptcp.Process) {
	if n := findNamespace(in, c.Netns); n != nil {
		for i := range c.Subflows {
			n.facts.Device(&c.Subflows[i])
		}
	}
	if c.Inode != 0 {
		c.Processes = processes[c.Inode]
	}
	slices.SortFunc(c.Subflows, dump.CompareSubflows)
	dump.SetShares(c.Subflows)
}

// Find returns the live connection that has the token now.
func (s *State) Find(netns string, token mptcp.Token) (Tracked, bool) {
	for _, t := range s.plain {
		if t.Key.Netns == netns && t.Key.Token == token {
			return t, true
		}
	}
	if slot, ok := s.view.find(netns, token); ok {
		return s.tracked(slot), true
	}
	return Tracked{}, false
}

// Lookup returns the connection with that key, live or ended.
func (s *State) Lookup(k mptcp.Key) (mptcp.Connection, bool) {
	if t, ok := s.Find(k.Netns, k.Token); ok && t.Key == k {
		return t.Connection, true
	}
	if e := s.findEnded(k); e != nil {
		return e.Connection, true
	}
	return mptcp.Connection{}, false
}

// findEnded returns what is kept of an ended connection, or nil.
func (s *State) findEnded(k mptcp.Key) *Ended {
	for _, e := range s.ended {
		if e.Key == k {
			return e
		}
	}
	return nil
}

// Ended returns the connections that are over and still kept, oldest first. They
// are shared: not to be changed.
func (s *State) Ended() iter.Seq[*Ended] { return slices.Values(s.ended) }

// History returns the last deltas of the connection, live or ended, oldest first,
// as far as they are kept.
func (s *State) History(k mptcp.Key) []Delta {
	if slot, ok := s.view.find(k.Netns, k.Token); ok {
		if c := s.view.core.At(slot); uint32(c.instance) == k.Instance {
			return s.past.deltas(k, c.history, s.limit)
		}
	}
	if e := s.findEnded(k); e != nil {
		return s.past.deltas(k, e.history, s.limit)
	}
	return nil
}

// ClosedSubflows returns the subflows of the connection that ended before it did,
// as far as they are kept, oldest first.
func (s *State) ClosedSubflows(k mptcp.Key) []ClosedSubflow {
	var out []ClosedSubflow
	for _, c := range s.closed {
		if c.Key == k {
			out = append(out, *c)
		}
	}
	return out
}

// Namespaces returns what is known of each network namespace apart from its
// connections, as of the last dump: links, addresses, endpoints, listeners. The lists of connections
// and subflows in it are empty, the others shared: not to be changed.
func (s *State) Namespaces() []Snapshot {
	out := make([]Snapshot, 0, len(s.namespaces))
	for _, n := range s.namespaces {
		out = append(out, n.snapshot)
	}
	return out
}

// Namespace returns what Namespaces does of the network namespace with that name, nil
// where the state does not have it.
func (s *State) Namespace(netns string) *Snapshot {
	if n := findNamespace(s.namespaces, netns); n != nil {
		return &n.snapshot
	}
	return nil
}

// Counters returns the MPTCP counters of a network namespace as they were last
// read, nil where they were not. They are shared: not to be changed.
func (s *State) Counters(netns string) Counters {
	if n := findNamespace(s.namespaces, netns); n != nil {
		return n.counters
	}
	return nil
}
