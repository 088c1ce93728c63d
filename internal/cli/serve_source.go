package cli

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/device"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source"
	"mptcpctl/track"
)

// servedSource is what the server shows: this network namespace, all of them, or a
// recording.
type servedSource struct {
	source.Source
	tracked   track.Source // as the tracker reads it
	config    track.Config
	noEvents  string        // why there are no events, "" where there are
	engine    func() string // how they come at present; nil: not at all
	recording *source.Recording
	replay    string // the recording's name
	device    func(netns string, index int32) string
	keep      uint32 // capabilities that it cannot do without
	kept      string // why
}

// openServed opens what the options mean, with all that needs a privilege. Its streams
// end with ctx.
func openServed(ctx context.Context, inv *grammar.Invocation, log *slog.Logger) (*servedSource, error) {
	switch {
	case inv.Options.Replay != "":
		return openServedRecording(inv)
	case inv.Options.AllNetns:
		return openServedHosts(ctx, log)
	}
	host, noEvents, err := source.DialEvents(inv.Options.Netns)
	if err != nil {
		return nil, err
	}
	s := &servedSource{
		Source: host, tracked: subscribed(ctx, host, noEvents), config: servedConfig(noEvents), noEvents: noEvents,
		device: sharedDeviceNames(), keep: keptCapabilities(kernelRelease()),
		kept: "this kernel ties subflows to connections only for CAP_NET_ADMIN",
	}
	if l := host.Listener(); l != nil {
		s.engine = l.Engine
	}
	return s, nil
}

// servedConfig is how a tracker follows the kernel for the server.
func servedConfig(noEvents string) track.Config {
	config := track.Config{Buffer: 1 << 15}
	if noEvents != "" {
		config.Reconcile = time.Second
	}
	return config
}

// openServedHosts opens all network namespaces. Those that come later are entered
// then, which takes the privileges for it.
func openServedHosts(ctx context.Context, log *slog.Logger) (*servedSource, error) {
	hosts, noEvents, err := source.DialAllEvents(ctx, func(err error) { log.Warn(present.Escape(err.Error())) })
	if err != nil {
		return nil, err
	}
	s := &servedSource{
		Source: hosts, tracked: hosts, config: servedConfig(noEvents), noEvents: noEvents, engine: constantly(hosts.Engine()),
		device: func(netns string, index int32) string {
			name, _ := hosts.DeviceName(netns, index)
			return name
		},
		keep: 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_SYS_PTRACE,
		kept: "CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_SYS_PTRACE, as far as it had them: to find and enter network namespaces that come later",
	}
	if noEvents != "" {
		s.tracked = source.Polled{Live: hosts}
	}
	return s, nil
}

// openServedRecording opens a recording, to be shown as it was at its end.
func openServedRecording(inv *grammar.Invocation) (*servedSource, error) {
	recording, err := openRecording(inv)
	if err != nil {
		return nil, err
	}
	return &servedSource{
		Source: recording, tracked: recording, config: *replayConfig(), recording: recording, engine: constantly("recording"), replay: filepath.Base(inv.Options.Replay),
		device: func(netns string, index int32) string {
			name, _ := recording.DeviceName(netns, index)
			return name
		},
	}, nil
}

// replayConfig is how a tracker plays a recording of which all is to be seen at its
// end.
func replayConfig() *track.Config {
	return &track.Config{
		Buffer: 1 << 16, Reconcile: time.Millisecond, Sample: time.Millisecond,
		KeepTime: 1000 * time.Hour, Keep: 1 << 14, History: 1 << 10, HistoryTotal: 1 << 18,
	}
}

// sharedDeviceNames returns a function that several goroutines may ask for the
// names of devices of the program's own namespace.
func sharedDeviceNames() func(string, int32) string {
	var mu sync.Mutex
	names := device.NewNames()
	return func(_ string, index int32) string {
		mu.Lock()
		defer mu.Unlock()
		return names.Name(index)
	}
}
