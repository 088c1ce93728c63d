package serve

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"mptcpctl/internal/confine"
	"mptcpctl/internal/export"
	"mptcpctl/internal/web"
	"mptcpctl/track"
)

// Config is what is served, and how.
type Config struct {
	Options
	Log     *slog.Logger
	Version string // of the program
	// Open opens what is served, with all that needs a privilege. Its streams end with
	// the context.
	Open func(context.Context) (*Source, error)
	// History says where what happens is kept; nil: nowhere.
	History *History
	// Identity is the user that the server becomes once all is open, if it was started as
	// root; nil: one that owns nothing.
	Identity *confine.Identity
}

// Run serves until ctx is done, and then returns nil. Once all is open it gives up the
// process's privileges for good.
func Run(ctx context.Context, c *Config) error {
	if c.certificates != nil {
		c.certificates.log = c.Log
	}
	if c.token != nil {
		c.token.log = c.Log
	}
	for _, text := range c.warnings() {
		c.Log.Warn(text)
	}
	listener, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer listener.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	from, err := c.Open(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	if from.noEvents != "" {
		c.Log.Warn("no events: the state is polled", "reason", from.noEvents)
	}
	manager, err := dialSystemd()
	if err != nil {
		c.Log.Warn("systemd cannot be notified", "error", err)
	}
	defer manager.Close()
	if err := c.makeHistory(); err != nil {
		return err
	}
	kept := c.confine(ctx, from)
	defer kept.Close()
	historian, err := c.openHistory(from)
	if err != nil {
		return err
	}
	defer historian.Close()
	s := newService(from, c)
	s.systemd = manager
	s.historian = historian
	return s.run(ctx, cancel, listener)
}

// service is what serve runs: the tracker and all that shows it.
type service struct {
	from      *Source
	tracker   *track.Tracker
	server    *web.Server
	collector *export.Collector
	judge     *judge
	systemd   *systemd
	historian *historian // nil: no history is kept
	log       *slog.Logger
}

func newService(from *Source, c *Config) *service {
	if c.History != nil {
		from.config.Keep = keptEnds
	}
	tracker := track.New(from.tracked, &from.config)
	judge := &judge{from: from, tracker: tracker, log: c.Log, since: time.Now()}
	var server *web.Server
	collector := export.New(export.Config{
		Tracker:   tracker,
		Findings:  judge.counted,
		Engine:    from.engine,
		Version:   c.Version,
		GoVersion: runtime.Version(),
		Refused:   func() map[string]uint64 { return server.Refused() }, // it is asked by the server alone
	})
	config := web.Config{
		Tracker:  tracker,
		NoEvents: from.noEvents,
		Device:   from.device,
		Metrics:  collector.Write,
		Findings: judge.look,
		Version:  c.Version,
		Names:    c.Names, Log: c.Log, Replay: from.replay,
	}
	if c.token != nil {
		config.Token = c.token.get
	}
	if from.recording != nil {
		config.Journal = 1 << 16
	}
	server = web.New(config)
	return &service{from: from, tracker: tracker, server: server, collector: collector, judge: judge, log: c.Log}
}

// run runs until ctx is done, and then returns nil, or until one part fails: that
// ends all others by cancel.
func (s *service) run(ctx context.Context, cancel context.CancelCauseFunc, l net.Listener) error {
	failed := make(chan error, 1)
	var parts sync.WaitGroup
	for _, part := range []func(context.Context) error{
		s.following(ctx, s.server.Run), s.following(ctx, s.collector.Run), s.following(ctx, s.judge.run),
		s.keepHistory(ctx), s.track, s.notify, s.findProcesses,
		func(ctx context.Context) error { return s.server.Serve(ctx, l) },
	} {
		parts.Go(func() {
			if err := part(ctx); err != nil {
				select {
				case failed <- err:
				default: // the first one counts
				}
				cancel(err)
			}
		})
	}
	s.log.Info("listening", "address", l.Addr().String())
	parts.Wait()
	s.log.Info("stopped")
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// following returns the part with the deltas that it follows. They are taken here,
// before the tracker runs: a recording may be played before the part is running.
func (s *service) following(
	ctx context.Context, part func(context.Context, iter.Seq2[track.Delta, error]) error,
) func(context.Context) error {
	deltas := s.tracker.Deltas(ctx)
	return func(ctx context.Context) error { return part(ctx, deltas) }
}

// track runs the tracker. That it ends before it was told to is an error, but at the
// end of a recording.
func (s *service) track(ctx context.Context) error {
	err := s.tracker.Run(ctx)
	if err == nil && ctx.Err() == nil && s.from.recording == nil {
		return errors.New("the stream of events ended")
	}
	return err
}

// findProcesses names the processes that hold the connections, from time to time,
// as far as the server's user may see them.
func (s *service) findProcesses(ctx context.Context) error {
	for pause := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		wanted := map[uint32]bool{}
		for c := range s.tracker.State().Connections() {
			if c.Inode != 0 {
				wanted[c.Inode] = true
			}
		}
		pause = time.Second
		if len(wanted) == 0 {
			continue
		}
		began := time.Now()
		found, err := s.from.holders(ctx, wanted)
		if err != nil {
			s.log.Debug("processes", "error", err) // all else is shown without them
			continue
		}
		s.tracker.SetProcesses(found)
		pause = max(5*time.Second, 50*time.Since(began))
	}
}
