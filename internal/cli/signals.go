package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// signals ends a context with SIGINT, SIGTERM or SIGHUP once it catches them; the second of
// them ends the program at once. Until then they end the program as they end ip: catching
// them takes threads, a tenth of the processor time of a command that only asks the kernel
// something. SIGHUP is left alone if the program was started with it ignored (nohup).
type signals struct {
	end   context.CancelFunc
	once  sync.Once
	watch chan os.Signal
}

type signalsKey struct{}

// withSignals returns a context that ends with the signals from [catchSignals] on.
func withSignals(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancel(parent)
	s := &signals{end: end, watch: make(chan os.Signal, 1)}
	return context.WithValue(ctx, signalsKey{}, s), end
}

// catchSignals begins to catch the signals of the context, if it has any. Commands call it
// before there is anything to clear up.
func catchSignals(ctx context.Context) {
	if s, ok := ctx.Value(signalsKey{}).(*signals); ok {
		s.once.Do(func() { s.catch(ctx) })
	}
}

func (s *signals) catch(ctx context.Context) {
	signal.Notify(s.watch, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(s.watch, syscall.SIGHUP)
	}
	go func() {
		select {
		case <-s.watch:
			s.end()
		case <-ctx.Done():
		}
		signal.Stop(s.watch)
	}()
}
