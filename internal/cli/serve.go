package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"mptcpctl/internal/export"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/source"
	"mptcpctl/internal/web"
	"mptcpctl/track"
)

// defaultListen is where serve listens: on loopback, for this host alone.
const defaultListen = "127.0.0.1:9099"

func (a *app) serveCommand() grammar.Command {
	return grammar.Command{
		Name:      "serve",
		Summary:   "a web page, a JSON API and metrics of the live state",
		Synopsis:  []string{"[ --listen ADDR:PORT ] [ --token-file FILE ] [ --tls-cert FILE --tls-key FILE ] [ --client-ca FILE ]"},
		Help:      serveHelp,
		Privilege: "none; CAP_NET_ADMIN in the network namespace for events, given up after the start",
		Flags: []grammar.Flag{
			{Name: "listen", Value: grammar.Host, Metavar: "ADDR:PORT", Summary: "where to listen (default " + defaultListen + ")"},
			{Name: "token-file", Value: grammar.File, Metavar: "FILE", Summary: "the file with the token that clients must show, at least 16 characters"},
			{Name: "tls-cert", Value: grammar.File, Metavar: "FILE", Summary: "the certificate to serve TLS with, with its chain, PEM"},
			{Name: "tls-key", Value: grammar.File, Metavar: "FILE", Summary: "the key of the certificate, PEM"},
			{Name: "client-ca", Value: grammar.File, Metavar: "FILE", Summary: "answer only clients with a certificate of these authorities, PEM"},
			{Name: "name", Value: grammar.Host, Metavar: "NAME", Summary: "a host name that clients call the server by, beside its addresses; may be given again"},
			{Name: "log-level", Value: grammar.Word, Metavar: "LEVEL", Choices: []string{"debug", "info", "warn", "error"}, Summary: "debug, info (default), warn or error"},
		},
		Examples: []grammar.Example{
			{Line: "serve", Meaning: "the page at http://" + defaultListen + "/"},
			{Line: "--replay trouble.pcapng serve", Meaning: "the page of a recording"},
			{Line: "serve --listen 192.0.2.1:9099 --token-file /etc/mptcpctl/token --tls-cert cert.pem --tls-key key.pem", Meaning: "for others, with a token over TLS"},
		},
		Run: a.serve,
	}
}

func (a *app) serve(ctx context.Context, inv *grammar.Invocation) error {
	o, err := readServeOptions(inv)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(inv.Stderr, &slog.HandlerOptions{Level: o.level}))
	listener, err := o.open(ctx)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	from, err := openServed(ctx, inv, log)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	defer from.Close()
	if from.noEvents != "" {
		log.Warn("no events: the state is polled", "reason", from.noEvents)
	}
	if err := dropPrivileges(from.keep); err != nil {
		log.Warn("privileges are kept", "error", err, "advice", keptAdvice(err))
	} else if from.keep != 0 {
		log.Info("capabilities are kept", "reason", from.kept)
	}
	err = newService(from, o, log).run(ctx, cancel, listener)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// watched is a host whose stream of ended subflows was subscribed to before the
// privileges were given up.
type watched struct {
	*source.Host
	ended iter.Seq2[track.EndedSubflow, error]
}

func (w watched) Ended(context.Context) iter.Seq2[track.EndedSubflow, error] { return w.ended }

// subscribed returns the host as the tracker reads it, with all that needs a
// privilege already open. The streams end with ctx.
func subscribed(ctx context.Context, host *source.Host, noEvents string) track.Source {
	if noEvents != "" {
		return source.Polled{Live: host}
	}
	return watched{host, host.Ended(ctx)}
}

// service is what serve runs: the tracker and all that shows it.
type service struct {
	from      *servedSource
	tracker   *track.Tracker
	server    *web.Server
	collector *export.Collector
	judge     *judge
	log       *slog.Logger
}

func newService(from *servedSource, o *serveOptions, log *slog.Logger) *service {
	tracker := track.New(from.tracked, &from.config)
	version := moduleVersion()
	judge := &judge{from: from, tracker: tracker, log: log, since: time.Now()}
	collector := export.New(export.Config{Tracker: tracker, Findings: judge.counted, Engine: from.engine, Version: version, GoVersion: runtime.Version()})
	config := web.Config{
		Tracker: tracker, NoEvents: from.noEvents, Device: from.device, Metrics: collector.Write, Findings: judge.look, Version: version,
		Token: o.token, Names: o.names, Log: log, Replay: from.replay,
	}
	if from.recording != nil {
		config.Recorded, config.Journal = from.recording.Recorded, 1<<16
	}
	return &service{from, tracker, web.New(config), collector, judge, log}
}

// run runs until ctx is done, and then returns nil, or until one part fails: that
// ends all others by cancel.
func (s *service) run(ctx context.Context, cancel context.CancelCauseFunc, l net.Listener) error {
	failed := make(chan error, 1)
	var parts sync.WaitGroup
	for _, part := range []func(context.Context) error{
		s.server.Run, s.collector.Run, s.track, s.notify, s.findProcesses, s.judge.run,
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
		found, err := s.from.Views()[0].Processes(ctx, func(inode uint32) bool { return wanted[inode] })
		if err != nil {
			s.log.Debug("processes", "error", err) // all else is shown without them
			continue
		}
		s.tracker.SetProcesses(found)
		pause = max(5*time.Second, 50*time.Since(began))
	}
}
