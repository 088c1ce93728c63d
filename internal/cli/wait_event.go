package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/device"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/monitor"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// waitEvent waits for an event that the filter is true of, and prints it.
func waitEvent(ctx context.Context, inv *grammar.Invocation, expr *filter.Expr, timeout time.Duration) error {
	stream, err := waitStream(ctx, inv, expr)
	if err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	defer stream.Close()
	parent := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	devices := device.NewNames()
	devices.Find = stream.Device
	w := &eventWait{inv: inv, stream: stream, devices: devices, expr: expr.WithDevices(devices.Name)}
	found, err := w.run(ctx)
	switch {
	case found || err != nil:
		return err
	case parent.Err() != nil:
		return parent.Err()
	case stream.Recording != nil:
		return fmt.Errorf("wait: no event matched %q in the recording", expr.String())
	}
	return fmt.Errorf("wait: no event matched %q within %v", expr.String(), timeout)
}

// waitStream opens the events that wait follows. Where they are not allowed, derived
// ones are found by looking again and again.
func waitStream(ctx context.Context, inv *grammar.Invocation, expr *filter.Expr) (*monitor.Stream, error) {
	if inv.Options.Replay != "" {
		return openRecordedEvents(inv)
	}
	if inv.Options.AllNetns {
		return waitAllStream(ctx, inv, expr)
	}
	host, noEvents, err := live.DialEvents(inv.Options.Netns)
	if err != nil {
		return nil, err
	}
	stream := &monitor.Stream{Device: device.Own, Close: host.Close, Tracked: host, Views: monitor.ViewsOf(host)}
	if noEvents != "" {
		if !expr.OnlyDerived() {
			return nil, errors.Join(errors.New(noEvents), host.Close())
		}
		stream.Tracked = live.Polled{Live: host}
	}
	return stream, nil
}

// waitAllStream is waitStream for all network namespaces.
func waitAllStream(ctx context.Context, inv *grammar.Invocation, expr *filter.Expr) (*monitor.Stream, error) {
	hosts, noEvents, err := live.DialAllEvents(ctx, func(err error) { line.LeftOut(inv, err) })
	if err != nil {
		return nil, err
	}
	stream := &monitor.Stream{
		Device:  hosts.DeviceName,
		Close:   hosts.Close,
		Tracked: hosts,
		Views:   monitor.ViewsOf(hosts),
	}
	if noEvents != "" {
		if !expr.OnlyDerived() {
			return nil, errors.Join(errors.New(noEvents), hosts.Close())
		}
		stream.Tracked = live.Polled{Live: hosts}
	}
	return stream, nil
}

// eventWait is one run of wait for an event.
type eventWait struct {
	inv     *grammar.Invocation
	stream  *monitor.Stream
	devices *device.Names
	expr    *filter.Expr
}

// run follows the events until one matches, or they end.
func (w *eventWait) run(ctx context.Context) (found bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	tracker := monitor.NewTracker(w.stream, w.expr)
	deltas := tracker.Deltas(ctx)
	ended := make(chan error, 1)
	go func() { ended <- tracker.Run(ctx) }()
	found, err = w.follow(ctx, deltas)
	cancel()
	return found, errors.Join(err, <-ended)
}

func (w *eventWait) follow(ctx context.Context, deltas iter.Seq2[track.Delta, error]) (bool, error) {
	for d, err := range deltas {
		if err != nil {
			return false, nil // Run returns it too
		}
		w.devices.Netns = d.Event.Netns
		if !w.expr.Tells(&d, w.withProcesses(ctx, d.Connection)) {
			continue
		}
		format := eventFormat(w.inv, w.devices, "\n")
		_, err := w.inv.Stdout.Write(append(format.AppendDelta(nil, &d), format.End...))
		return true, err
	}
	return false, nil
}

// withProcesses returns the connection with its processes, where the filter asks for those.
func (w *eventWait) withProcesses(ctx context.Context, c *mptcp.Connection) *mptcp.Connection {
	if c == nil || !w.expr.NeedsProcesses() {
		return c
	}
	views := w.stream.Tracked.Views()
	if len(views) == 0 {
		return c
	}
	list := []mptcp.Connection{*c}
	if addProcesses(ctx, views[0], list) != nil {
		return c
	}
	return &list[0]
}
