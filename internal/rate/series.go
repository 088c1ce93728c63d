package rate

import (
	"net/netip"
	"time"

	"mptcpctl/mptcp"
)

// Samples is how many measurements of a subflow are kept.
const Samples = 240

// A measurement is taken when the figures have moved and the last one is not too
// young, and otherwise after a while: then nothing was carried.
const (
	sampleSoonest = 500 * time.Millisecond
	sampleLatest  = 1500 * time.Millisecond
)

// tuple names a subflow within its connection.
type tuple struct{ local, remote netip.AddrPort }

// Series are the measurements of one connection, a row for each subflow.
type Series struct {
	at   time.Time // of the newest
	rows map[tuple]*Row
}

// Row is what was measured of a subflow: the totals as they were last, and bytes
// per second and round-trip times, oldest first.
type Row struct {
	sent, received uint64
	Out, In, RTT   []float64
}

// Last returns the newest of the values, 0 where there is none.
func Last(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return values[len(values)-1]
}

// Observe measures the connection, if it is time to.
func (s *Series) Observe(now time.Time, subflows []mptcp.Subflow) {
	passed := now.Sub(s.at)
	first := s.rows == nil
	if !first && (passed < sampleSoonest || passed < sampleLatest && !s.moved(subflows)) {
		return
	}
	if first {
		s.rows = make(map[tuple]*Row)
	}
	s.at = now
	for i := range subflows {
		f := &subflows[i]
		key := tuple{f.Local, f.Remote}
		r, known := s.rows[key]
		if !known {
			r = &Row{}
			s.rows[key] = r
		} else {
			r.Out = Push(r.Out, Rise(r.sent, f.BytesSent)/passed.Seconds())
			r.In = Push(r.In, Rise(r.received, f.BytesReceived)/passed.Seconds())
		}
		r.RTT = Push(r.RTT, float64(f.RTTMicros))
		r.sent, r.received = f.BytesSent, f.BytesReceived
	}
}

// moved reports whether any figure differs from the last measurement.
func (s *Series) moved(subflows []mptcp.Subflow) bool {
	for i := range subflows {
		f := &subflows[i]
		r := s.rows[tuple{f.Local, f.Remote}]
		if r == nil || r.sent != f.BytesSent || r.received != f.BytesReceived {
			return true
		}
	}
	return false
}

// Of returns what was measured of a subflow, an empty row where nothing was.
func (s *Series) Of(f *mptcp.Subflow) Row {
	if s != nil {
		if r := s.rows[tuple{f.Local, f.Remote}]; r != nil {
			return *r
		}
	}
	return Row{}
}

// Total returns the connection's bytes per second, in both directions.
func (s *Series) Total() (out, in float64) {
	if s == nil {
		return 0, 0
	}
	for _, r := range s.rows {
		out += Last(r.Out)
		in += Last(r.In)
	}
	return out, in
}

// Rise returns by how much a counter grew; one that fell began anew.
func Rise(before, now uint64) float64 {
	if now < before {
		return 0
	}
	return float64(now - before)
}

// Push appends a value and lets go of the oldest beyond what is kept.
func Push(values []float64, v float64) []float64 {
	if len(values) >= Samples {
		copy(values, values[1:])
		values = values[:Samples-1]
	}
	return append(values, v)
}
