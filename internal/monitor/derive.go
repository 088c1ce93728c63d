package monitor

import (
	"context"
	"errors"
	"iter"

	"mptcpctl/internal/filter"
	"mptcpctl/track"
)

// deltasAhead is how far the output may be behind the tracker before deltas are
// left out, and counted.
const deltasAhead = 1 << 16

// NewTracker returns the tracker that derives events. That of a recording does not
// wait for the output, so that all deltas must find a place. They carry their connections
// if the filter may need those.
func NewTracker(stream *Stream, expr *filter.Expr) *track.Tracker {
	config := &track.Config{
		Buffer: deltasAhead, Keep: 256, HistoryTotal: 1 << 12, Lag: stream.Lag, Connections: expr.NeedsConnection(),
	}
	if stream.Recording != nil {
		config.Buffer = 1 << 24
	}
	return track.New(stream.Tracked, config)
}

// Derive prints the events of the kernel and those that a tracker derives, in the
// order in which the tracker takes them in.
func (m *Printer) Derive(ctx context.Context, stream *Stream) error {
	m.noteEngine(stream)
	ctx, cancel := context.WithCancel(ctx)
	tracker := NewTracker(stream, m.Expr)
	reading := ctx
	if stream.Recording == nil {
		reading = context.WithoutCancel(ctx) // it ends with Run, after what had come by then
	}
	deltas := tracker.Deltas(reading)
	ended := make(chan error, 1)
	go func() { ended <- tracker.Run(ctx) }()
	err := m.printDeltas(deltas, stream)
	cancel()
	return errors.Join(err, <-ended)
}

// noteEngine says how events come, where that has changed.
func (m *Printer) noteEngine(stream *Stream) {
	if stream.Engine == nil || m.Note == nil {
		return
	}
	if now := stream.Engine(); now != m.engine {
		m.engine = now
		m.Note(now)
	}
}

// printDeltas prints deltas until they end.
func (m *Printer) printDeltas(deltas iter.Seq2[track.Delta, error], stream *Stream) error {
	if err := m.write([]byte(m.Form.Open)); err != nil {
		return err
	}
	for d, err := range deltas {
		if err != nil {
			return nil // Run returns it too
		}
		m.noteEngine(stream)
		m.Devices.Netns = d.Event.Netns
		if !m.Expr.Delta(&d, d.Connection) {
			continue
		}
		m.buffer = m.Form.AppendDelta(m.buffer[:0], &d)
		m.buffer = append(m.buffer, m.Form.End...)
		if err := m.write(m.buffer); err != nil {
			return err
		}
	}
	return m.write([]byte(m.Form.Shut))
}
