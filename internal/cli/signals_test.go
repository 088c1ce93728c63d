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

// TestSignals: signals are left alone until they are caught, and then end the context.
func TestSignals(t *testing.T) {
	ctx, end := withSignals(t.Context())
	defer end()
	signal.Ignore(syscall.SIGTERM)
	defer signal.Reset(syscall.SIGTERM)
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	if inner.Err() != nil || !signal.Ignored(syscall.SIGTERM) {
		t.Fatalf("caught before a command asks for it, or ended: %v", inner.Err())
	}
	catchSignals(inner)
	if signal.Ignored(syscall.SIGTERM) {
		t.Fatal("not caught")
	}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-inner.Done()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Error(ctx.Err())
	}
	catchSignals(context.Background()) // has none
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
	ctx, end := withSignals(t.Context())
	defer end()
	signal.Ignore(syscall.SIGTERM)
	defer signal.Reset(syscall.SIGTERM)
	caught, wrote := false, false
	var out, errs bytes.Buffer
	a := &app{program: "mptcpctl", Streams: Streams{
		Stdout: &firstWrite{Writer: &out, f: func() { caught, wrote = !signal.Ignored(syscall.SIGTERM), true }},
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
	ctx, end := withSignals(t.Context())
	catchSignals(ctx)
	if !signal.Ignored(syscall.SIGHUP) {
		t.Error("caught, though it was to be ignored")
	}
	end()
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP) // which ends that it is ignored; Reset does not
	signal.Stop(heard)
	ctx, end = withSignals(t.Context())
	defer end()
	catchSignals(ctx)
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
		t.Fatal("not caught")
	}
}
