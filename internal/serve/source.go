package serve

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/device"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/live"
	"mptcpctl/internal/source/recording"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Source is what the server shows: this network namespace, all of them, or a
// recording.
type Source struct {
	source.Source
	tracked   track.Source // as the tracker reads it
	config    track.Config
	noEvents  string        // why there are no events, "" where there are
	engine    func() string // how they come at present; nil: not at all
	recording *recording.Recording
	replay    string // the recording's name
	device    func(netns string, index int32) string
	host      *live.Host // of the one network namespace, nil: all of them, or a recording
	roams     bool       // it looks for network namespaces that come later
	// processes finds who holds sockets; nil: this process may look itself.
	processes func(ctx context.Context, inodes map[uint32]bool) (map[uint32][]mptcp.Process, error)
	keep      uint32 // capabilities that it cannot do without
	kept      string // why
}

// Open opens one network namespace, as enter of [live.Config] means it, with all that
// needs a privilege. Its streams end with ctx. The release is the kernel's.
func Open(ctx context.Context, enter, release string) (*Source, error) {
	host, noEvents, err := live.DialEvents(enter)
	if err != nil {
		return nil, err
	}
	s := &Source{
		Source: host, tracked: subscribed(ctx, host, noEvents), config: servedConfig(noEvents), noEvents: noEvents,
		device: sharedDeviceNames(), keep: KeptCapabilities(release), host: host,
		kept: "this kernel shows which subflow belongs to which connection only with CAP_NET_ADMIN",
	}
	if l := host.Listener(); l != nil {
		s.engine = func() string { return l.Engine().String() }
	}
	return s, nil
}

// servedConfig is how a tracker follows the kernel for the server.
func servedConfig(noEvents string) track.Config {
	config := track.Config{Buffer: 1 << 15, Connections: true} // for the filters of event streams
	if noEvents != "" {
		config.Reconcile = time.Second
	}
	return config
}

// replayedConfig is how a tracker plays a recording for the server.
func replayedConfig() track.Config {
	config := recording.TrackWhole()
	config.Connections = true
	return *config
}

// OpenAll opens all network namespaces. Those that come later are entered
// then, which takes the privileges for it.
func OpenAll(ctx context.Context, log *slog.Logger) (*Source, error) {
	hosts, noEvents, err := live.DialAllEvents(ctx, func(err error) { log.Warn(present.Escape(err.Error())) })
	if err != nil {
		return nil, err
	}
	s := &Source{
		Source:   hosts,
		tracked:  hosts,
		config:   servedConfig(noEvents),
		noEvents: noEvents,
		engine:   constantly(hosts.Engine()),
		device: func(netns string, index int32) string {
			name, _ := hosts.DeviceName(netns, index)
			return name
		},
		roams: true,
		keep: 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_SYS_PTRACE |
			1<<unix.CAP_DAC_READ_SEARCH,
		kept: "CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, if it had them, to find and " +
			"enter network namespaces that are created later",
	}
	if noEvents != "" {
		s.tracked = live.Polled{Live: hosts}
	}
	return s, nil
}

// OfRecording shows a recording, as it was at its end.
func OfRecording(r *recording.Recording, name string) *Source {
	return &Source{
		Source:    r,
		tracked:   r,
		config:    replayedConfig(),
		recording: r,
		engine:    constantly("recording"),
		replay:    name,
		device: func(netns string, index int32) string {
			name, _ := r.DeviceName(netns, index)
			return name
		},
	}
}

// holders returns the processes that hold the sockets with these inodes.
func (s *Source) holders(ctx context.Context, inodes map[uint32]bool) (map[uint32][]mptcp.Process, error) {
	if s.processes != nil {
		return s.processes(ctx, inodes)
	}
	return s.Views()[0].Processes(ctx, func(inode uint32) bool { return inodes[inode] })
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

// watched is a host whose stream of ended subflows was subscribed to before the
// privileges were given up.
type watched struct {
	*live.Host
	ended iter.Seq2[track.EndedSubflow, error]
}

func (w watched) Ended(context.Context) iter.Seq2[track.EndedSubflow, error] { return w.ended }

// subscribed returns the host as the tracker reads it, with all that needs a
// privilege already open. The streams end with ctx.
func subscribed(ctx context.Context, host *live.Host, noEvents string) track.Source {
	if noEvents != "" {
		return live.Polled{Live: host}
	}
	return watched{host, host.Ended(ctx)}
}

func constantly(s string) func() string { return func() string { return s } }
