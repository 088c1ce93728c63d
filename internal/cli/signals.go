package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// signals is a context that ends with SIGINT, SIGTERM or SIGHUP, unless the program was
// started with the last one ignored (nohup); the second of them ends the program at once. They are caught from when
// somebody first waits for the end. Until
// then they end the program as they end ip: catching them takes threads, a tenth of
// the processor time of a command that only asks the kernel something.
type signals struct {
	context.Context
	end   context.CancelFunc
	once  sync.Once
	watch chan os.Signal
}

func newSignals() *signals {
	ctx, end := context.WithCancel(context.Background())
	return &signals{Context: ctx, end: end, watch: make(chan os.Signal, 1)}
}

// Done begins to catch the signals.
func (s *signals) Done() <-chan struct{} {
	s.once.Do(func() {
		signal.Notify(s.watch, os.Interrupt, syscall.SIGTERM)
		if !signal.Ignored(syscall.SIGHUP) {
			signal.Notify(s.watch, syscall.SIGHUP)
		}
		go func() {
			select {
			case <-s.watch:
				s.end()
			case <-s.Context.Done():
			}
			signal.Stop(s.watch)
		}()
	})
	return s.Context.Done()
}
