package whole

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/bundle"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/kernel"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/gather"
	"mptcpctl/internal/source/live"
	"mptcpctl/internal/source/recording"
	"mptcpctl/internal/tui"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// topSource opens what top shows, with its events where they are allowed, and tells
// the view of it.
func topSource(ctx context.Context, inv *grammar.Invocation, c *tui.Config) (source.Source, error) {
	// Figures and endpoints as somebody who watches expects them: the tracker
	// itself sees to it that this stays cheap where there is much to read.
	c.Tracker = &track.Config{Buffer: 1 << 15, Reconcile: time.Second}
	c.Title = inv.Options.Netns
	from, err := openTop(ctx, inv, c)
	if err != nil {
		return nil, err
	}
	views := from.Views()
	if len(views) == 0 {
		c.NoDoctor = "there is no network namespace to look at"
		return from, nil
	}
	c.Processes = views[0].Processes // sockets of all namespaces: inodes are the host's
	c.Doctor = topDoctor(inv, views)
	return from, nil
}

// topDoctor returns a function that diagnoses what the options mean. A recording is
// not read again: its views are at hand.
func topDoctor(inv *grammar.Invocation, views []source.View) func(context.Context) (doctor.Report, error) {
	quiet := *inv
	quiet.Stderr = io.Discard // the screen is the view's
	config := &gather.Config{Window: gather.DefaultWindow}
	facts := func(ctx context.Context) ([]doctor.Facts, error) {
		all, _, err := line.Facts(ctx, &quiet, config)
		return all, err
	}
	if name := inv.Options.Replay; name != "" {
		config.Window = 0 // all of the recording
		if !bundle.Is(name) {
			facts = func(ctx context.Context) ([]doctor.Facts, error) { return gather.All(ctx, views, config) }
		}
	}
	return func(ctx context.Context) (doctor.Report, error) {
		all, err := facts(ctx)
		if err != nil {
			return doctor.Report{}, fmt.Errorf("doctor: %w", err)
		}
		return doctor.DiagnoseAll(all), nil
	}
}

// openTop opens a recording, all namespaces, or this one.
func openTop(ctx context.Context, inv *grammar.Invocation, c *tui.Config) (source.Source, error) {
	switch {
	case inv.Options.Replay != "":
		r, err := line.Recording(inv)
		if err != nil {
			return nil, err
		}
		c.Source, c.Title = r, "replay of "+filepath.Base(inv.Options.Replay)
		c.Replay = true
		// All of it is to be seen at its end.
		c.Tracker = recording.TrackWhole()
		return r, nil
	case inv.Options.AllNetns:
		c.Title = "all network namespaces"
		return openTopHosts(ctx, c)
	}
	host, noEvents, err := live.DialEvents(inv.Options.Netns)
	if err != nil {
		return nil, err
	}
	c.Source = host
	if noEvents != "" {
		c.NoEvents, c.Source = topNoEvents(), live.Polled{Live: host}
	}
	return host, nil
}

// topNoEvents says on the screen, in a few words, what is not seen and why.
func topNoEvents() string {
	if sockdiag.PrivilegedSubflows(kernel.Release()) {
		return "no events, no subflows: needs CAP_NET_ADMIN"
	}
	return "no events: needs CAP_NET_ADMIN"
}

// openTopHosts opens all network namespaces.
func openTopHosts(ctx context.Context, c *tui.Config) (source.Source, error) {
	hosts, noEvents, err := live.DialAllEvents(ctx, func(error) {})
	if err != nil {
		return nil, err
	}
	c.Source = hosts
	if noEvents != "" {
		c.NoEvents, c.Source = topNoEvents(), live.Polled{Live: hosts}
	}
	return hosts, nil
}
