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
	last   time.Time
}

// add counts n events that were read at t.
func (m *meter) add(n int, t time.Time) {
	if d := t.Sub(m.last); d > 0 {
		m.recent /= 1 + float64(d)/float64(rateWindow)
	}
	m.recent += float64(n)
	m.last = t
}

// above reports whether more events than that came in the last window.
func (m *meter) above(events float64) bool { return m.recent > events }
