package traffic

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Point is what the devices carried at one time.
type Point struct {
	Time      int64  `json:"t"`         // milliseconds since 1970
	Events    int    `json:"events"`    // since the point before
	Fallbacks int    `json:"fallbacks"` // since the point before
	Devices   []Load `json:"devices"`   // those that have subflows
}

// Load is what the subflows of a device carry.
type Load struct {
	Device    int    `json:"d"`  // index in the list of devices
	Sent      uint64 `json:"tx"` // bytes a second, over the window
	Received  uint64 `json:"rx"`
	Subflows  int    `json:"n"`
	RTTMedian uint32 `json:"rtt"` // of the established subflows, in microseconds; 0 where none is known
	RTT90     uint32 `json:"rtt90"`
}

// Series is the points later than a time.
type Series struct {
	Window  float64  `json:"window"` // in seconds, of the newest rates; 0 where there are none yet
	Devices []Device `json:"devices"`
	Points  []Point  `json:"points"`
}

// Series returns the points later than a time in milliseconds since 1970, oldest first.
func (m *Meter) Series(after int64) Series {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Series{Devices: append([]Device{}, m.devices...), Points: []Point{}}
	if len(m.steps) > 0 {
		_, _, s.Window = m.window()
	}
	for _, p := range m.points {
		if p.Time > after {
			s.Points = append(s.Points, p)
		}
	}
	return s
}

// sums is what is added up for a device.
type sums struct {
	sent, received uint64
	subflows       int
	rtts           []uint32
}

// measure appends a point of the newest state. The caller holds mu.
func (m *Meter) measure() {
	before, now, seconds := m.window()
	byDevice := make(map[Device]*sums)
	for c, then := range now.state.Since(before) {
		for i := range c.Connection.Subflows {
			f := &c.Connection.Subflows[i]
			if f.State == mptcp.SubflowClosed {
				continue
			}
			d := Device{c.Key.Netns, f.Device}
			if byDevice[d] == nil {
				byDevice[d] = &sums{}
			}
			byDevice[d].add(f, then)
		}
	}
	p := Point{
		Time: now.at.UnixMilli(), Events: m.events, Fallbacks: m.fallbacks,
		Devices: make([]Load, 0, len(byDevice)),
	}
	m.events, m.fallbacks = 0, 0
	for _, d := range sorted(byDevice) {
		if index, ok := m.index(d); ok {
			p.Devices = append(p.Devices, byDevice[d].load(index, seconds))
		}
	}
	if len(m.points) == pointsKept {
		m.points = append(m.points[:0], m.points[1:]...)
	}
	m.points = append(m.points, p)
}

func (s *sums) load(index int, seconds float64) Load {
	slices.Sort(s.rtts)
	l := Load{
		Device: index, Sent: perSecond(s.sent, seconds), Received: perSecond(s.received, seconds), Subflows: s.subflows,
	}
	if n := len(s.rtts); n > 0 {
		l.RTTMedian, l.RTT90 = s.rtts[n/2], s.rtts[n*9/10]
	}
	return l
}

func perSecond(n uint64, seconds float64) uint64 {
	if seconds <= 0 {
		return 0
	}
	return uint64(float64(n) / seconds)
}

// index returns the place of a device in the points. It keeps it for good, and with it its
// color. The caller holds mu.
func (m *Meter) index(d Device) (int, bool) {
	if i := slices.Index(m.devices, d); i >= 0 {
		return i, true
	}
	if len(m.devices) == devicesMax {
		return 0, false
	}
	m.devices = append(m.devices, d)
	return len(m.devices) - 1, true
}

// sorted returns the devices in the order of their names.
func sorted[V any](by map[Device]V) []Device {
	return slices.SortedFunc(maps.Keys(by), func(a, b Device) int {
		return cmp.Or(strings.Compare(a.Netns, b.Netns), strings.Compare(a.Name, b.Name))
	})
}

// add takes a subflow into account.
func (s *sums) add(f *mptcp.Subflow, then *track.Tracked) {
	sent, received := moved(f, then)
	s.sent, s.received = s.sent+sent, s.received+received
	s.subflows++
	if f.State == mptcp.SubflowEstablished && f.RTTMicros > 0 {
		s.rtts = append(s.rtts, f.RTTMicros)
	}
}
