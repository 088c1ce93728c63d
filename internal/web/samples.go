package web

import (
	"net/netip"
	"sync"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

const (
	samplesKept  = 300              // of one connection: five minutes
	samplesMost  = 64               // connections that are sampled at a time
	samplesWatch = 90 * time.Second // how long after somebody looked at it
)

// samples are the figures of single connections, one a second: of those that
// somebody looked at lately, and of all while they are few.
type samples struct {
	mu sync.Mutex
	by map[mptcp.Key]*series
}

// series is what was sampled of one connection.
type series struct {
	looked   time.Time
	subflows []sampledSubflow
	points   []point // oldest first
}

type sampledSubflow struct {
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote"`
	Device string         `json:"device"`
}

// point is one sample.
type point struct {
	Time    int64    `json:"t"` // milliseconds since 1970
	Figures []figure `json:"f"`
}

// figure is what one subflow had at that time.
type figure struct {
	Subflow  int    `json:"s"` // index in the list of subflows
	Sent     uint64 `json:"tx"`
	Received uint64 `json:"rx"`
	RTT      uint32 `json:"rtt"` // microseconds
}

func newSamples() *samples { return &samples{by: make(map[mptcp.Key]*series)} }

// watch says that somebody looks at the connection now.
func (s *samples) watch(k mptcp.Key, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[k] == nil {
		if len(s.by) >= samplesMost {
			s.forgetOldest()
		}
		s.by[k] = &series{}
	}
	s.by[k].looked = now
}

// forgetOldest makes room. The caller holds mu.
func (s *samples) forgetOldest() {
	var oldest mptcp.Key
	var at time.Time
	for k, v := range s.by {
		if at.IsZero() || v.looked.Before(at) {
			oldest, at = k, v.looked
		}
	}
	delete(s.by, oldest)
}

// take samples what is watched, and returns the keys of it.
func (s *samples) take(now time.Time, state *track.State) []mptcp.Key {
	if state.Len() <= samplesMost/2 {
		for t := range state.All() {
			s.watch(t.Key, now)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := make([]mptcp.Key, 0, len(s.by))
	for k, v := range s.by {
		if now.Sub(v.looked) > samplesWatch {
			delete(s.by, k)
			continue
		}
		if c, ok := state.Find(k.Netns, k.Token); ok && c.Key == k {
			v.add(now, &c.Connection)
			keys = append(keys, k)
		}
	}
	return keys
}

func (v *series) add(now time.Time, c *mptcp.Connection) {
	p := point{Time: now.UnixMilli(), Figures: make([]figure, 0, len(c.Subflows))}
	for i := range c.Subflows {
		f := &c.Subflows[i]
		if n := v.index(f); n >= 0 {
			p.Figures = append(p.Figures, figure{n, f.BytesSent, f.BytesReceived, f.RTTMicros})
		}
	}
	if len(v.points) == samplesKept {
		v.points = append(v.points[:0], v.points[1:]...)
	}
	v.points = append(v.points, p)
}

// index returns the number of the subflow in the series, -1 if it has had too many.
func (v *series) index(f *mptcp.Subflow) int {
	for i := range v.subflows {
		if v.subflows[i].Local == f.Local && v.subflows[i].Remote == f.Remote {
			return i
		}
	}
	if len(v.subflows) == 64 {
		return -1
	}
	v.subflows = append(v.subflows, sampledSubflow{f.Local, f.Remote, f.Device})
	return len(v.subflows) - 1
}

// sampled is a series as JSON.
type sampled struct {
	Subflows []sampledSubflow `json:"subflows"`
	Points   []point          `json:"points"`
}

// of returns the samples of a connection that are later than that.
func (s *samples) of(k mptcp.Key, after int64) sampled {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := sampled{Subflows: []sampledSubflow{}, Points: []point{}}
	if v := s.by[k]; v != nil {
		r.Subflows = append(r.Subflows, v.subflows...)
		for _, p := range v.points {
			if p.Time > after {
				r.Points = append(r.Points, p)
			}
		}
	}
	return r
}
