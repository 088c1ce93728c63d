package pathmanager

import "time"

const (
	// rateWindow is the time over which the rate of events is judged.
	rateWindow = 8 * time.Millisecond
	// busyEvents in the window (1,500 events/s) make it worth to wait for more.
	busyEvents = 12
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

// busy reports whether events come so fast that reading them one by one would
// cost more than they are worth.
func (m *meter) busy() bool { return m.recent > busyEvents }
