package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"
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

// witness is a context that knows whether somebody waits for its end.
type witness struct {
	context.Context
	waited bool
}

func (w *witness) Done() <-chan struct{} {
	w.waited = true
	return w.Context.Done()
}

// firstWrite runs at the first write.
type firstWrite struct {
	io.Writer
	run sync.Once
	f   func()
}

func (w *firstWrite) Write(p []byte) (int, error) {
	w.run.Do(w.f)
	return w.Writer.Write(p)
}

// A signal that comes with the first byte of the output ends a monitor in order: what
// was opened is closed. It was once caught later, and "[" was all that there was. In
// other forms nothing is printed before something is read, and signals are caught then.
func TestMonitorCatchesSignalsFirst(t *testing.T) {
	ctx, caught, wrote := &witness{Context: t.Context()}, false, false
	var out, errs bytes.Buffer
	a := &app{program: "mptcpctl", Streams: Streams{
		Stdout: &firstWrite{Writer: &out, f: func() { caught, wrote = ctx.waited, true }},
		Stderr: &errs,
	}}
	if code := a.main(ctx, []string{"--replay", "../source/recording/testdata/7.3/announce.pcapng", "monitor", "--json-array"}); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	if !wrote || !caught {
		t.Errorf("caught before the first of %d bytes: %v", out.Len(), caught)
	}
}

// TestHangUp: a terminal that closes ends the program in good order, unless it was told to
// stay.
func TestHangUp(t *testing.T) {
	signal.Ignore(syscall.SIGHUP)
	s := newSignals()
	s.Done()
	if !signal.Ignored(syscall.SIGHUP) {
		t.Error("caught, though it was to be ignored")
	}
	s.end()
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP) // which ends that it is ignored; Reset does not
	signal.Stop(heard)
	s = newSignals()
	defer s.end()
	done := s.Done()
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("not caught")
	}
}
