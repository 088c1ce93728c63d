package pathmanager

import "time"

const (
	// rateWindow is the time over which the rate of events is judged.
	rateWindow = 8 * time.Millisecond
	// busyEvents in the window (1,500 events a second) make events wait for others if the
	// program asked for it,
	busyEvents = 12
	// stormEvents (18,000 a second) also if it did not. Below that rate an event is
	// delivered as soon as by a program that reads them one by one.
	stormEvents = 144
)

// meter is a decaying count of the events of the last rateWindow.
type meter struct {
	recent float64
	queued int       // what was read since the queue was last empty
	last   time.Time // when it was
}

// add counts n events that were read at t. With more, they did not empty the queue.
func (m *meter) add(n int, t time.Time, more bool) {
	if m.queued += n; more {
		return
	}
	m.recent = m.count(t)
	m.queued, m.last = 0, t
}

// count returns how many events came in the last window before t.
//
// A backlog says nothing about the present rate, so it counts as if it had come evenly
// since the queue was last empty.
func (m *meter) count(t time.Time) float64 {
	recent, gathered := m.recent, float64(m.queued)
	if d := t.Sub(m.last); d > 0 {
		recent /= 1 + float64(d)/float64(rateWindow)
		gathered *= min(1, float64(rateWindow)/float64(d))
	}
	return recent + gathered
}

// above reports whether more events than that came in the last window before t.
func (m *meter) above(events float64, t time.Time) bool { return m.count(t) > events }
