package recording

import (
	"slices"
	"sort"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/doctor/fallback"
	"mptcpctl/internal/source/gather"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// eventFacts fills in the events between the base and the snapshot; without a base
// there are none.
func (s *recorded) eventFacts(f *doctor.Facts, base *recorded) {
	if base == nil || !s.recording.listened {
		return
	}
	heard := gather.Heard{Since: base.time, Earlier: map[mptcp.Token]bool{}}
	entries := s.recording.entries
	first := sort.Search(len(entries), func(i int) bool { return entries[i].time.After(base.time) })
	for i := first; i < len(entries); i++ {
		e := &entries[i]
		shared := s.recording.all && e.netns == "" // a loss
		if !e.told() || e.netns != s.netns && !shared {
			continue
		}
		if e.time.After(s.time) {
			break
		}
		heard.Take(e.event())
	}
	for c := range base.sockets() {
		heard.Earlier[c.Info.Token] = true
	}
	heard.Tell(f)
}

// story looks back from snapshot to snapshot, as an observer who was there all the
// time: when MPTCP was switched off, when connections fell back, and what was counted
// meanwhile.
func (s *recorded) story(f *doctor.Facts, connections []mptcp.Connection) {
	fallen := map[mptcp.Token]*mptcp.Connection{}
	for i := range connections {
		if c := &connections[i]; c.Fallback {
			fallen[c.Token] = c
		}
	}
	for now := s; now.before != nil && (len(fallen) > 0 || f.BlackholeSeen.IsZero()); now = now.before {
		counted := now.countedSince()
		if n, _ := counted.Get("Blackhole"); n > 0 && f.BlackholeSeen.IsZero() {
			f.BlackholeSeen = now.time
		}
		if len(fallen) > 0 {
			now.fellBack(fallen, counted)
		}
	}
}

// countedSince returns what was counted since the snapshot before.
func (s *recorded) countedSince() counters.Values {
	after, ok := s.table(tableMPTCP)
	before, okBefore := s.before.table(tableMPTCP)
	if !ok || !okBefore {
		return counters.Values{}
	}
	return gather.Moved(after, before)
}

// fellBack settles those of the connections that came, or fell back, between the
// snapshot before and this one.
func (s *recorded) fellBack(fallen map[mptcp.Token]*mptcp.Connection, counted counters.Values) {
	before := map[mptcp.Token]bool{} // had fallen back already
	known := map[mptcp.Token]bool{}
	for c := range s.before.sockets() {
		token := c.Info.Token
		known[token], before[token] = true, c.Info.Fallback()
	}
	for token, c := range fallen {
		if before[token] {
			continue
		}
		stage := fallback.Unknown
		switch {
		case known[token] || s.recording.created(s.netns, token, s.before.time, s.time):
			stage = fallback.Data
		case s.recording.listened:
			stage = fallback.Handshake
		}
		if !known[token] {
			c.Since = s.time
		}
		if cause := fallback.CauseOf(stage, c.Side, counted); cause.Counter != "" &&
			cause.Confidence == track.Certain {
			c.FallbackCause = cause.Counter
		}
		delete(fallen, token)
	}
}

// created reports whether the connection was announced between two times: it was
// MPTCP then.
func (r *Recording) created(netns string, t mptcp.Token, from, to time.Time) bool {
	first := sort.Search(len(r.entries), func(i int) bool { return !r.entries[i].time.Before(from) })
	end := sort.Search(len(r.entries), func(i int) bool { return r.entries[i].time.After(to) })
	return slices.ContainsFunc(r.entries[first:max(first, end)], func(e entry) bool {
		if e.message == nil || e.netns != netns {
			return false
		}
		event := e.event()
		return event.Type == mptcp.EventCreated && event.Token == t
	})
}
