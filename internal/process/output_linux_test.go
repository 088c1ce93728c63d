package process

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"
)

// The context ends when nobody reads the pipe any more, and not before.
func TestWhileRead(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, done := WhileRead(t.Context(), w)
	defer done()
	if ctx.Err() != nil {
		t.Error("it has ended while the pipe is read")
	}
	r.Close()
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
		t.Error("it goes on where nobody reads the pipe")
	}
}

// An output that is no pipe ends nothing, and the caller's end is the end.
func TestWhileReadOfAFile(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	parent, end := context.WithCancel(t.Context())
	ctx, done := WhileRead(parent, file)
	defer done()
	if ctx.Err() != nil {
		t.Error("it has ended")
	}
	end()
	<-ctx.Done()
}

func TestOneProcessor(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	restore := OneProcessor()
	if n := runtime.GOMAXPROCS(0); n != 1 {
		t.Errorf("%d processors", n)
	}
	if restore(); runtime.GOMAXPROCS(0) != before {
		t.Errorf("%d processors, before it were %d", runtime.GOMAXPROCS(0), before)
	}
}
