package traffic

import (
	"net/netip"
	"sync"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

const (
	// Window is over what time rates are taken: dumps of the kernel may be five seconds apart,
	// and a shorter window would show their rhythm.
	Window = 10 * time.Second

	pause      = 2 * time.Second // between two points, at least
	pointsKept = 450             // a quarter of an hour
	failedKept = time.Minute     // how long the map shows a join that failed
	failedMost = 256
	devicesMax = 64 // that have a place in the points; further ones are left out
)

// Device names a device of a network namespace.
type Device struct {
	Netns string `json:"netns"`
	Name  string `json:"name"` // foreign: escape it before showing; "" where no device is known
}

// step is a state that was added, with its time.
type step struct {
	at    time.Time
	state *track.State
}

// failed is a join that failed.
type failed struct {
	at     time.Time
	netns  string
	local  netip.Addr
	remote netip.Addr
	inode  uint32 // of the connection's socket; 0: not known
	reason string
}

// Meter keeps the sums. One goroutine calls Add and Note; the others may be called by any.
type Meter struct {
	mu        sync.Mutex
	steps     []step // within the window, oldest first
	latest    step   // the newest, of which there may be no step yet
	devices   []Device
	points    []Point
	failures  []failed
	events    int // since the last point
	fallbacks int
	maps      map[By]*Map
	cleared   time.Time // when maps were last drawn anew
}

// New makes a meter.
func New() *Meter { return &Meter{maps: make(map[By]*Map)} }

// Add takes a state into account that is shown now, and whose figures are of that time: see
// [FiguresAt]. It reports whether there is a new point, which is not so where the figures of the
// last one are too young.
func (m *Meter) Add(now, at time.Time, s *track.State) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	again := time.Second
	if s.Len() > 1000 {
		again = pause // a map of so many takes some milliseconds
	}
	m.latest = step{at, s}
	if now.Sub(m.cleared) >= again {
		clear(m.maps)
		m.cleared = now
	}
	if n := len(m.steps); n > 0 && at.Sub(m.steps[n-1].at) < pause {
		return false
	}
	m.steps = append(m.steps, step{at, s})
	for len(m.steps) > 2 && at.Sub(m.steps[1].at) >= Window {
		m.steps[0] = step{} // the state may go
		m.steps = m.steps[1:]
	}
	clear(m.maps)
	m.cleared = now
	for len(m.failures) > 0 && now.Sub(m.failures[0].at) > failedKept {
		m.failures = m.failures[1:]
	}
	m.measure()
	return true
}

// FiguresAt returns the time of the figures of a state: that of the newest dump, or, where the
// figures of all connections are sampled between dumps, that of the state. It is not known
// before the first dump.
func FiguresAt(s *track.State, sampled bool) (at time.Time, known bool) {
	for _, n := range s.Namespaces() {
		if n.Time.After(at) {
			at = n.Time
		}
	}
	if !at.IsZero() && sampled {
		at = s.Time()
	}
	return at, !at.IsZero()
}

// Note takes an event into account.
func (m *Meter) Note(d *track.Delta) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events++
	switch d.Kind {
	case track.KindFallback:
		m.fallbacks++
	case track.KindSubflowFailed:
		m.noteFailure(d)
	}
}

// noteFailure keeps a join that failed. The caller holds mu.
func (m *Meter) noteFailure(d *track.Delta) {
	local, _ := d.Event.Local()
	remote, ok := d.Event.Remote()
	if !ok {
		return
	}
	f := failed{at: d.Event.Time, netns: d.Event.Netns, local: local.Addr(), remote: remote.Addr()}
	if d.Connection != nil {
		f.inode = d.Connection.Inode
	}
	if len(d.Evidence) > 0 {
		f.reason = d.Evidence[len(d.Evidence)-1]
	}
	if len(m.failures) == failedMost {
		m.failures = append(m.failures[:0], m.failures[1:]...)
	}
	m.failures = append(m.failures, f)
}

// window returns the state that rates are taken against, the newest one, and the seconds
// between; 0 where they are too few. The caller holds mu.
func (m *Meter) window() (before *track.State, now step, seconds float64) {
	first := m.steps[0]
	if m.latest.at.Sub(first.at) < pause {
		return nil, m.latest, 0
	}
	return first.state, m.latest, m.latest.at.Sub(first.at).Seconds()
}

// moved returns what a subflow sent and received since it was as before; nothing where the
// earlier state did not have it, because what it carried until then has no known time.
func moved(f *mptcp.Subflow, then *track.Tracked) (sent, received uint64) {
	if then == nil {
		return 0, 0
	}
	for i := range then.Connection.Subflows {
		b := &then.Connection.Subflows[i]
		if b.Local == f.Local && b.Remote == f.Remote && b.Cookie == f.Cookie {
			return f.BytesSent - min(b.BytesSent, f.BytesSent), f.BytesReceived - min(b.BytesReceived, f.BytesReceived)
		}
	}
	return 0, 0
}
