package tui

import (
	"net/netip"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// samples is how many measurements of a subflow are kept.
const samples = 240

// A measurement is taken when the figures have moved and the last one is not too
// young, and otherwise after a while: then nothing was carried.
const (
	sampleSoonest = 500 * time.Millisecond
	sampleLatest  = 1500 * time.Millisecond
)

// tuple names a subflow within its connection.
type tuple struct{ local, remote netip.AddrPort }

// series are the measurements of one connection, a row for each subflow.
type series struct {
	at   time.Time // of the newest
	rows map[tuple]*row
}

// row is what was measured of a subflow: the totals as they were last, and bytes
// per second and round-trip times, oldest first.
type row struct {
	sent, received uint64
	out, in, rtt   []float64
}

// last returns the newest of the values, 0 where there is none.
func last(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return values[len(values)-1]
}

// observe measures the connection, if it is time to.
func (s *series) observe(now time.Time, subflows []mptcp.Subflow) {
	passed := now.Sub(s.at)
	first := s.rows == nil
	if !first && (passed < sampleSoonest || passed < sampleLatest && !s.moved(subflows)) {
		return
	}
	if first {
		s.rows = make(map[tuple]*row)
	}
	s.at = now
	for i := range subflows {
		f := &subflows[i]
		key := tuple{f.Local, f.Remote}
		r, known := s.rows[key]
		if !known {
			r = &row{}
			s.rows[key] = r
		} else {
			r.out = push(r.out, rise(r.sent, f.BytesSent)/passed.Seconds())
			r.in = push(r.in, rise(r.received, f.BytesReceived)/passed.Seconds())
		}
		r.rtt = push(r.rtt, float64(f.RTTMicros))
		r.sent, r.received = f.BytesSent, f.BytesReceived
	}
}

// moved reports whether any figure differs from the last measurement.
func (s *series) moved(subflows []mptcp.Subflow) bool {
	for i := range subflows {
		f := &subflows[i]
		r := s.rows[tuple{f.Local, f.Remote}]
		if r == nil || r.sent != f.BytesSent || r.received != f.BytesReceived {
			return true
		}
	}
	return false
}

// of returns what was measured of a subflow, an empty row where nothing was.
func (s *series) of(f *mptcp.Subflow) row {
	if s != nil {
		if r := s.rows[tuple{f.Local, f.Remote}]; r != nil {
			return *r
		}
	}
	return row{}
}

// total returns the connection's bytes per second, in both directions.
func (s *series) total() (out, in float64) {
	if s == nil {
		return 0, 0
	}
	for _, r := range s.rows {
		out += last(r.out)
		in += last(r.in)
	}
	return out, in
}

// rise returns by how much a counter grew; one that fell began anew.
func rise(before, now uint64) float64 {
	if now < before {
		return 0
	}
	return float64(now - before)
}

// push appends a value and lets go of the oldest beyond what is kept.
func push(values []float64, v float64) []float64 {
	if len(values) >= samples {
		copy(values, values[1:])
		values = values[:samples-1]
	}
	return append(values, v)
}

// watch measures the connections that are on the screen, and forgets the others.
type watch struct {
	by map[mptcp.Key]*series
}

// on replaces the set of connections.
func (w *watch) on(keys []mptcp.Key) {
	next := make(map[mptcp.Key]*series, len(keys))
	for _, k := range keys {
		next[k] = w.by[k]
		if next[k] == nil {
			next[k] = &series{}
		}
	}
	w.by = next
}

// observe measures all of them.
func (w *watch) observe(now time.Time, s *track.State) {
	for k, series := range w.by {
		if c, ok := s.Find(k.Netns, k.Token); ok && c.Key == k {
			series.observe(now, c.Connection.Subflows)
		}
	}
}

// pulse is the rate of events, a value for each second that is over, by the times
// at which the events were read.
type pulse struct {
	perSecond []float64
	second    int64 // that is under way
	events    float64
}

// add counts events, those that were lost too.
func (p *pulse) add(deltas []track.Delta) {
	for i := range deltas {
		switch e := &deltas[i].Event; {
		case e.Type == mptcp.EventLost:
			p.advance(e.Time)
			p.events += float64(e.Lost)
		case deltas[i].Kind == track.KindEvent:
			p.advance(e.Time)
			p.events++
		}
	}
}

// advance goes on to the second of that time. Events that come late count for the
// second under way.
func (p *pulse) advance(now time.Time) {
	second := now.Unix()
	if p.second == 0 {
		p.second = second
	}
	for passed := 0; p.second < second && passed < samples; passed++ {
		p.perSecond = push(p.perSecond, p.events)
		p.events = 0
		p.second++
	}
	p.second = max(p.second, second)
}
