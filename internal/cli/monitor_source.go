package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"mptcpctl/internal/device"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// eventStream is where a monitor's events come from.
type eventStream struct {
	batches func(ctx context.Context) iter.Seq2[[]mptcp.Event, error]
	queued  func() iter.Seq2[[]mptcp.Event, error] // what has come and was not read; nil: nothing
	device  func(netns string, index int32) (string, bool)
	refused func() uint64
	engine  func() string // how events come at present; nil from a recording
	lag     time.Duration // that events may wait for others
	close   func() error

	// views returns what there was before the events, and what lets go of it.
	views func() ([]source.View, func() error)
	// tracked is what a tracker follows; nil where events come on the direct path.
	tracked   source.Source
	recording *source.Recording // of --replay, else nil
}

// openEvents opens the events that the options mean. Without derived ones, -a and
// --replay they come straight from the listener.
func openEvents(ctx context.Context, inv *grammar.Invocation, config *pathmanager.ListenConfig, derived bool) (*eventStream, error) {
	switch {
	case inv.Options.Replay != "":
		return openRecordedEvents(inv)
	case inv.Options.AllNetns:
		return openAllEvents(ctx, inv, config)
	case derived:
		host, err := source.Dial(&source.Config{Events: config})
		if err != nil {
			return nil, subscribeError(err)
		}
		return &eventStream{
			batches: host.Batches, device: device.Own, refused: host.Listener().Refused, engine: host.Listener().Engine,
			views: viewsOf(host), tracked: host, close: host.Close, lag: max(config.Coalesce, 0),
		}, nil
	}
	listener, err := pathmanager.Listen(config)
	if err != nil {
		return nil, subscribeError(err)
	}
	return &eventStream{
		batches: listener.Batches, queued: listener.Queued, device: device.Own, refused: listener.Refused, engine: listener.Engine, close: listener.Close,
		views: func() ([]source.View, func() error) {
			host, err := source.Dial(nil)
			if err != nil {
				return nil, func() error { return nil }
			}
			return host.Views(), host.Close
		},
	}, nil
}

// constantly returns what is always the same.
func constantly(s string) func() string { return func() string { return s } }

// viewsOf returns the views of a source that is closed elsewhere.
func viewsOf(s source.Source) func() ([]source.View, func() error) {
	return func() ([]source.View, func() error) { return s.Views(), func() error { return nil } }
}

func openAllEvents(ctx context.Context, inv *grammar.Invocation, config *pathmanager.ListenConfig) (*eventStream, error) {
	// Not with ctx: from when it begins to look for namespaces events come in.
	hosts, err := source.DialAll(context.WithoutCancel(ctx), &source.HostsConfig{Events: config, Warn: func(err error) { leftOut(inv, err) }})
	if err != nil {
		return nil, subscribeError(err)
	}
	return &eventStream{
		batches: hosts.Batches, refused: hosts.Refused, engine: constantly(hosts.Engine()), views: viewsOf(hosts), tracked: hosts, close: hosts.Close,
		device: hosts.DeviceName, lag: max(config.Coalesce, 0),
	}, nil
}

func openRecordedEvents(inv *grammar.Invocation) (*eventStream, error) {
	recording, err := openRecording(inv)
	if err != nil {
		return nil, exit.With(exit.IPUsage, fmt.Errorf("monitor: %w", err))
	}
	return &eventStream{
		batches: func(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
			return func(yield func([]mptcp.Event, error) bool) {
				for batch := range recording.Events() {
					if ctx.Err() != nil || !yield(batch, nil) {
						return
					}
				}
			}
		},
		device:  recording.DeviceName,
		refused: func() uint64 { return 0 },
		close:   recording.Close,
		views: func() ([]source.View, func() error) {
			var first []source.View
			for _, view := range recording.States() {
				first = append(first, view)
				break
			}
			return first, recording.Close
		},
		tracked: recording, recording: recording,
	}, nil
}

// derive prints the events of the kernel and those that a tracker derives, in the
// order in which the tracker takes them in.
func (m *monitor) derive(ctx context.Context, inv *grammar.Invocation, stream *eventStream) error {
	if stream.engine != nil {
		engine := ""
		m.note = func() {
			if now := stream.engine(); now != engine {
				engine = now
				fmt.Fprintf(inv.Stderr, "%s: events come by %s\n", inv.Program, engine)
			}
		}
		m.note()
	}
	ctx, cancel := context.WithCancel(ctx)
	tracker := newTracker(stream)
	reading := ctx
	if stream.recording == nil {
		reading = context.WithoutCancel(ctx) // it ends with Run, after what had come by then
	}
	deltas := tracker.Deltas(reading)
	ended := make(chan error, 1)
	go func() { ended <- tracker.Run(ctx) }()
	err := m.printDeltas(deltas, stream.recording)
	cancel()
	return errors.Join(err, <-ended)
}
