package gather

import (
	"maps"
	"slices"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/mptcp"
)

// Count notes what the counters are, and what they moved by in the window before.
func Count(to *doctor.Counted, now, before counters.Values, window time.Duration) {
	to.Now, to.Window, to.Moved = now, window, Moved(now, before)
}

// Moved returns what was counted. A gauge counts nothing.
func Moved(after, before counters.Values) counters.Values {
	return after.Since(before).Moved().Select(func(name string) bool { return !counters.IsGauge(name) })
}

// MostEvents bounds how many events of the window are kept.
const MostEvents = 1 << 16

// Heard are the events of a window.
type Heard struct {
	Since   time.Time            // when listening began
	Events  []mptcp.Event        // oldest first
	Lost    uint64               // events that the kernel dropped
	Earlier map[mptcp.Token]bool // connections that were there when listening began
}

// Take takes in one event: a loss counts.
func (h *Heard) Take(e mptcp.Event) {
	if e.Type == mptcp.EventLost {
		h.Lost += e.Lost
		return
	}
	h.Events = append(h.Events, e)
}

// Turn begins another window, in which what was heard so far counts for the connections
// that are still there. After a loss all of them are older than what was heard.
func (h *Heard) Turn(at time.Time, connections []mptcp.Connection) {
	alive := make(map[mptcp.Token]bool, len(connections))
	for i := range connections {
		alive[connections[i].Token] = true
	}
	if h.Lost > 0 {
		h.Since, h.Lost, h.Earlier = at, 0, alive
	}
	maps.DeleteFunc(h.Earlier, func(t mptcp.Token, _ bool) bool { return !alive[t] })
	h.Events = slices.DeleteFunc(h.Events, func(e mptcp.Event) bool { return !alive[e.Token] })
	if more := len(h.Events) - MostEvents; more > 0 {
		h.Since = h.Events[more-1].Time
		h.Events = slices.Delete(h.Events, 0, more)
	}
}

// Tell puts the events into the facts, whose connections are there already. Of too many
// the newest stay.
func (h *Heard) Tell(f *doctor.Facts) {
	f.EventsSince, f.EventsLost, f.Events = h.Since, h.Lost, slices.Clone(h.Events)
	if more := len(f.Events) - MostEvents; more > 0 {
		f.EventsSince, f.Events = f.Events[more-1].Time, f.Events[more:]
	}
	created := map[mptcp.Token]bool{}
	for i := range f.Events {
		if f.Events[i].Type == mptcp.EventCreated {
			created[f.Events[i].Token] = true
		}
	}
	f.EarlierThan = nil
	for token := range h.Earlier {
		f.EarlierThan = append(f.EarlierThan, token)
	}
	for i := range f.Connections {
		// One that is not announced was there before, or came behind the last event
		// that counts.
		if token := f.Connections[i].Token; !created[token] && !h.Earlier[token] {
			f.EarlierThan = append(f.EarlierThan, token)
		}
	}
	slices.Sort(f.EarlierThan)
}
