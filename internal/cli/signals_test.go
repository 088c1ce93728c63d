package cli

import (
	"context"
	"errors"
	"os/signal"
	"syscall"
	"testing"
)

// Who only asks whether the context has ended leaves the signals alone; who waits for
// the end, directly or through another context, is told of them.
func TestSignals(t *testing.T) {
	s := newSignals()
	defer s.end()
	signal.Ignore(syscall.SIGTERM)
	defer signal.Reset(syscall.SIGTERM)
	if s.Err() != nil || !signal.Ignored(syscall.SIGTERM) {
		t.Fatalf("caught before anybody waits, or ended: %v", s.Err())
	}
	ctx, cancel := context.WithCancel(s)
	defer cancel()
	if signal.Ignored(syscall.SIGTERM) {
		t.Fatal("not caught")
	}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if !errors.Is(s.Err(), context.Canceled) {
		t.Error(s.Err())
	}
}
