package tui

import (
	"time"

	"mptcpctl/internal/rate"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// watch measures the connections that are on the screen, and forgets the others.
type watch struct {
	by map[mptcp.Key]*rate.Series
}

// on replaces the set of connections.
func (w *watch) on(keys []mptcp.Key) {
	next := make(map[mptcp.Key]*rate.Series, len(keys))
	for _, k := range keys {
		next[k] = w.by[k]
		if next[k] == nil {
			next[k] = &rate.Series{}
		}
	}
	w.by = next
}

// observe measures all of them.
func (w *watch) observe(now time.Time, s *track.State) {
	for k, series := range w.by {
		if c, ok := s.Find(k.Netns, k.Token); ok && c.Key == k {
			series.Observe(now, c.Connection.Subflows)
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
	for passed := 0; p.second < second && passed < rate.Samples; passed++ {
		p.perSecond = rate.Push(p.perSecond, p.events)
		p.events = 0
		p.second++
	}
	p.second = max(p.second, second)
}
