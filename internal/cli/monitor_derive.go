package cli

import (
	"iter"
	"time"

	"mptcpctl/internal/source"
	"mptcpctl/track"
)

// deltasAhead is how far the output may be behind the tracker before deltas are
// left out, and counted.
const deltasAhead = 1 << 16

// newTracker returns the tracker that derives events. That of a recording does not
// wait: each snapshot is taken as soon as the replay comes to it.
func newTracker(stream *eventStream) *track.Tracker {
	config := &track.Config{Buffer: deltasAhead, Keep: 256, HistoryTotal: 1 << 12, Lag: stream.lag}
	if stream.recording != nil {
		config.Reconcile, config.Sample, config.Buffer = time.Millisecond, time.Millisecond, 1<<24
	}
	return track.New(stream.tracked, config)
}

// printDeltas prints deltas until they end. Those that were found in a recording
// get the time of the place in it.
func (m *monitor) printDeltas(deltas iter.Seq2[track.Delta, error], recording *source.Recording) error {
	if err := m.write([]byte(m.format.open)); err != nil {
		return err
	}
	for d, err := range deltas {
		if err != nil {
			return nil // Run returns it too
		}
		if m.note != nil {
			m.note()
		}
		if recording != nil {
			d.Event.Time = recording.Recorded(d.Event.Time)
		}
		m.devices.Netns = d.Event.Netns
		if !m.wantsDelta(&d) {
			continue
		}
		m.buffer = m.format.AppendDelta(m.buffer[:0], &d)
		m.buffer = append(m.buffer, m.format.end...)
		if err := m.write(m.buffer); err != nil {
			return err
		}
	}
	return m.write([]byte(m.format.shut))
}

func (m *monitor) wantsDelta(d *track.Delta) bool {
	if d.Kind == track.KindEvent {
		return m.wants(&d.Event)
	}
	if m.expr == nil {
		return true
	}
	return m.expr.Delta(d, m.context.of(d.Key))
}
