package pathmanager

import "time"

const (
	// rateWindow is the time over which the rate of events is judged.
	rateWindow = 8 * time.Millisecond
	// busyEvents in the window (1,500 events/s) make it worth to wait for more
	// where somebody asked for it,
	busyEvents = 12
	// stormEvents (18,000 events/s) where nobody did: below, an event is shown as
	// soon as a program that reads one by one would show it.
	stormEvents = 144
)

// meter is a decaying count of the events of the last rateWindow.
type meter struct {
	recent float64
	queued int       // what was read since the queue was last empty
	last   time.Time // when it was
}

// add counts n events that were read at t. With more they did not empty the queue.
//
// A backlog tells nothing of what comes next: it counts as if it had gathered
// evenly since the queue was last empty.
func (m *meter) add(n int, t time.Time, more bool) {
	if m.queued += n; more {
		return
	}
	gathered := float64(m.queued)
	if d := t.Sub(m.last); d > 0 {
		m.recent /= 1 + float64(d)/float64(rateWindow)
		gathered *= min(1, float64(rateWindow)/float64(d))
	}
	m.recent += gathered
	m.queued, m.last = 0, t
}

// above reports whether more events than that came in the last window.
func (m *meter) above(events float64) bool { return m.recent > events }
