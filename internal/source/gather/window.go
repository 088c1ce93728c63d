package gather

import (
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

// Tell puts the events into the facts, whose connections are there already. Of too many
// the newest stay.
func (h *Heard) Tell(f *doctor.Facts) {
	f.EventsSince, f.EventsLost, f.Events = h.Since, h.Lost, h.Events
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
