package poller

import (
	"errors"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/pace"
)

// pipe returns both ends of a pipe, and a waiter for the one that is read.
func pipe(t *testing.T, p *Poller) (r, w int, waiter pace.Waiter) {
	t.Helper()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(ends[0]); unix.Close(ends[1]) })
	waiter, err := p.Add(ends[0])
	if err != nil {
		t.Fatal(err)
	}
	return ends[0], ends[1], waiter
}

// TestEachIsWoken: a waiter is woken by its own descriptor, each time anew, and by a
// message that came before it waited.
func TestEachIsWoken(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 50 {
		r, w, waiter := pipe(t, p)
		turn := make(chan bool)
		all.Go(func() {
			var b [8]byte
			for range 20 {
				if _, err := waiter.Wait(); err != nil {
					t.Error(err)
					return
				}
				if n, err := unix.Read(r, b[:]); n != 1 || err != nil {
					t.Errorf("woken, and read %d bytes: %v", n, err)
					return
				}
				turn <- true
			}
		})
		all.Go(func() {
			for range 20 {
				if _, err := unix.Write(w, []byte{1}); err != nil {
					t.Error(err)
					return
				}
				<-turn
			}
		})
	}
	all.Wait()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCloseEndsWaits: a wait ends with the poller, and none begins after that.
func TestCloseEndsWaits(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	_, w, waiter := pipe(t, p)
	_, _, removed := pipe(t, p)
	removed.Remove()
	ended := make(chan error, 1)
	go func() {
		_, err := waiter.Wait()
		ended <- err
	}()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) && !errors.Is(err, unix.EBADF) {
		t.Errorf("the wait ended with %v", err)
	}
	if _, err := unix.Write(w, []byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := waiter.Wait(); err == nil {
		t.Error("a closed poller waits")
	}
	waiter.Remove()
	if _, err := p.Add(0); err == nil {
		t.Error("a closed poller takes in more")
	}
}
