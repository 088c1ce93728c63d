package monitor

import (
	"context"
	"iter"
	"time"

	"mptcpctl/internal/device"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/live"
	"mptcpctl/internal/source/recording"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// Stream is where a monitor's events come from.
type Stream struct {
	Batches func(ctx context.Context) iter.Seq2[[]mptcp.Event, error]
	Queued  func() iter.Seq2[[]mptcp.Event, error] // what has come and was not read; nil: nothing
	Device  func(netns string, index int32) (string, bool)
	Refused func() uint64
	Engine  func() string // how events come at present; nil from a recording
	Lag     time.Duration // that events may wait for others
	Close   func() error

	// Views returns what there was before the events, and what lets go of it.
	Views func() ([]source.View, func() error)
	// Tracked is what a tracker follows; nil where events come on the direct path.
	Tracked   source.Source
	Recording *recording.Recording // nil where the events are live
}

// Listen opens the events of the thread's network namespace straight from the listener.
func Listen(config *pathmanager.ListenConfig) (*Stream, error) {
	listener, err := pathmanager.Listen(config)
	if err != nil {
		return nil, err
	}
	return &Stream{
		Batches: listener.Batches,
		Queued:  listener.Queued,
		Device:  device.Own,
		Refused: listener.Refused,
		Engine:  engineOf(listener),
		Close:   listener.Close,
		Views: func() ([]source.View, func() error) {
			host, err := live.Dial(nil)
			if err != nil {
				return nil, func() error { return nil }
			}
			return host.Views(), host.Close
		},
	}, nil
}

// Dial opens the events of the thread's network namespace so that a tracker can follow
// them.
func Dial(config *pathmanager.ListenConfig) (*Stream, error) {
	host, err := live.Dial(&live.Config{Events: config})
	if err != nil {
		return nil, err
	}
	return &Stream{
		Batches: host.Batches, Device: device.Own, Refused: host.Listener().Refused, Engine: engineOf(host.Listener()),
		Views: ViewsOf(host), Tracked: host, Close: host.Close,
	}, nil
}

// engineOf returns what names the engine of the listener at present.
func engineOf(l *pathmanager.Listener) func() string {
	return func() string { return l.Engine().String() }
}

// constantly returns what is always the same.
func constantly(s string) func() string { return func() string { return s } }

// ViewsOf returns the views of a source that is closed elsewhere.
func ViewsOf(s source.Source) func() ([]source.View, func() error) {
	return func() ([]source.View, func() error) { return s.Views(), func() error { return nil } }
}

// DialAll opens the events of all network namespaces. It warns of those that are left out.
func DialAll(ctx context.Context, config *pathmanager.ListenConfig, warn func(error)) (*Stream, error) {
	// Not with ctx: from when it begins to look for namespaces events come in.
	hosts, err := live.DialAll(context.WithoutCancel(ctx), &live.HostsConfig{Events: config, Warn: warn})
	if err != nil {
		return nil, err
	}
	return &Stream{
		Batches: hosts.Batches,
		Refused: hosts.Refused,
		Engine:  constantly(hosts.Engine()),
		Views:   ViewsOf(hosts),
		Tracked: hosts,
		Close:   hosts.Close,
		Device:  hosts.DeviceName,
	}, nil
}

// Replay has the events of a recording.
func Replay(recording *recording.Recording) *Stream {
	return &Stream{
		Batches: func(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
			return func(yield func([]mptcp.Event, error) bool) {
				for batch := range recording.Events() {
					if ctx.Err() != nil || !yield(batch, nil) {
						return
					}
				}
			}
		},
		Device:  recording.DeviceName,
		Refused: func() uint64 { return 0 },
		Close:   recording.Close,
		Views: func() ([]source.View, func() error) {
			var first []source.View
			for _, view := range recording.States() {
				first = append(first, view)
				break
			}
			return first, recording.Close
		},
		Tracked: recording, Recording: recording,
	}
}
