package web

import (
	"context"
	"errors"
	"io"
	"iter"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"mptcpctl/internal/traffic"
	"mptcpctl/track"
)

// Config says what a Server shows and to whom. Tracker must be set.
type Config struct {
	Tracker *track.Tracker

	// NoEvents says why the kernel's events are not read, "" where they are: the
	// state is then as old as the last dump.
	NoEvents string

	// Device returns the name of a device of a network namespace; nil: events carry
	// the index alone.
	Device func(netns string, ifindex int32) string

	// Replay is the name of the recording that the tracker plays, "" where it follows
	// the kernel.
	Replay string

	// Findings returns what doctor finds, in doctor's own JSON; nil: there is no
	// doctor. It is called at most every few seconds.
	Findings func(ctx context.Context) (any, error)

	// Metrics writes the metrics in the text format of Prometheus; nil: there are
	// none. Scrapes within a tenth of a second share what it wrote.
	Metrics func(w io.Writer) error

	Version string // of the program

	// Token returns what clients must show at present. Sessions end when it changes. nil:
	// everybody is answered.
	Token func() []byte
	Names []string // further names that the Host header may have

	Journal     int // events that are kept for replay; default 8192
	Streams     int // event streams at a time; default 128, of which one client address may have a quarter
	Connections int // open connections at a time; default 1024

	Log *slog.Logger // nil: silence
}

// Server shows a tracker's state. Make one with New; Run must run for as long as
// it is served.
type Server struct {
	config  Config
	guard   guard
	journal *journal
	samples *samples
	traffic *traffic.Meter
	doors   *doors
	gate    *gate
	outbox  *outbox
	scrape  scrape
	streams streams
	stopped chan struct{} // closed when the streams are to end
	stop    sync.Once
	started time.Time

	viewLock sync.Mutex
	cached   *view

	findings findings
}

// New makes a server.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Journal <= 0 {
		c.Journal = 8192
	}
	if c.Streams <= 0 {
		c.Streams = 128
	}
	if c.Connections <= 0 {
		c.Connections = 1024
	}
	started := time.Now()
	return &Server{
		config:  c,
		guard:   newGuard(&c),
		journal: newJournal(c.Journal, started, &c),
		samples: newSamples(),
		traffic: traffic.New(),
		doors:   newDoors(c.Connections),
		gate:    newGate(),
		outbox:  newOutbox(),
		streams: streams{most: c.Streams, each: max(4, c.Streams/4), by: make(map[netip.Addr]int)},
		stopped: make(chan struct{}),
		started: started,
	}
}

// Run follows the tracker until ctx is done, and then returns nil, or until the
// tracker fails, and then returns its error. Where the tracker ends without one, as at
// the end of a recording, what it has stays shown. The deltas are those of
// [track.Tracker.Deltas], taken before the tracker runs: none is missing then. It may
// be called once.
func (s *Server) Run(ctx context.Context, deltas iter.Seq2[track.Delta, error]) error {
	defer s.endStreams()
	ctx, cancel := context.WithCancel(ctx)
	var sampling sync.WaitGroup
	sampling.Go(func() { s.sample(ctx) })
	defer sampling.Wait()
	defer cancel()
	for delta, err := range deltas {
		if err != nil {
			return err
		}
		s.journal.add(&delta)
		s.traffic.Note(&delta)
	}
	<-ctx.Done()
	return nil
}

// sampleReplay takes samples of the watched connections while a recording is
// played, as far apart as one a second would be.
func (s *Server) sampleReplay(ctx context.Context) {
	var last time.Time
	for {
		changed := s.config.Tracker.Changed()
		state := s.config.Tracker.State()
		if now := state.Time(); now.Sub(last) >= time.Second/2 && state.Len() > 0 {
			last = now
			s.samples.take(now, state)
			s.measure(now, state)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// sample takes a sample of the watched connections each second.
func (s *Server) sample(ctx context.Context) {
	if s.config.Replay != "" {
		s.sampleReplay(ctx)
		return
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			s.journal.tick()
			state := s.config.Tracker.State()
			s.config.Tracker.Look(s.samples.take(now, state))
			s.measure(now, state)
		}
	}
}

func (s *Server) endStreams() { s.stop.Do(func() { close(s.stopped) }) }

// drain is how long requests may take to end when the server stops.
const drain = 5 * time.Second

// Serve answers on the listener until ctx is done: then event streams are ended,
// requests that are being answered get a few seconds, and it returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnState:         s.doors.moved,
		ConnContext:       s.doors.welcome,
		ErrorLog:          log.New(s.guard.refusals, "", 0),
	}
	finished := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(finished)
		s.endStreams()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		if h.Shutdown(ctx) != nil {
			h.Close() // what is still open has had its time
		}
	})
	err := h.Serve(l)
	if !stop() {
		<-finished
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return errors.Join(err, h.Close())
}

// Refused returns how many callers were refused, by reason.
func (s *Server) Refused() map[string]uint64 { return s.guard.refusals.all() }

// Ready returns nil once there is a state to show that is not older than it says,
// else what is missing.
func (s *Server) Ready() error {
	state := s.config.Tracker.State()
	if len(state.Namespaces()) == 0 {
		return errors.New("the kernel has not been read yet")
	}
	// One namespace of many is no reason to take the server out of service: the summary
	// tells of it.
	if _, some := errors.AsType[*track.Unread](state.Err()); some {
		return nil
	}
	return state.Err()
}
