package track

import (
	"context"
	"sync"

	"mptcpctl/mptcp"
)

// ahead is how many batches are read before the tracker has applied them. What
// comes beyond waits in the source, which counts what it cannot hold.
const ahead = 4

// feed reads the streams of a source in goroutines of their own.
type feed struct {
	source  Source
	batches chan []mptcp.Event
	free    chan []mptcp.Event
	finals  chan EndedSubflow
	end     chan error // of the stream of events, after its last batch was taken
	quit    chan struct{}
	tasks   sync.WaitGroup
}

func newFeed(s Source) *feed {
	return &feed{
		source: s, batches: make(chan []mptcp.Event), free: make(chan []mptcp.Event, ahead),
		finals: make(chan EndedSubflow), end: make(chan error, 1), quit: make(chan struct{}),
	}
}

// start begins to read. The source's streams end with ctx; what they yielded by then is
// still passed on.
func (f *feed) start(ctx context.Context) {
	events := f.source.Batches(ctx)
	queue := make(chan []mptcp.Event, ahead)
	var err error
	f.tasks.Go(func() {
		defer close(queue)
		for batch, e := range events {
			if e != nil {
				err = e
				return
			}
			if !send(f.quit, queue, f.copy(batch)) {
				return
			}
		}
	})
	f.tasks.Go(func() {
		for b := range queue {
			if !send(f.quit, f.batches, b) {
				return
			}
		}
		f.end <- err
	})
	if s, ok := f.source.(EndedSource); ok {
		ended := s.Ended(ctx)
		f.tasks.Go(func() {
			for e, err := range ended {
				// Without final figures the last known ones are kept.
				if err != nil || !send(f.quit, f.finals, e) {
					return
				}
			}
		})
	}
}

func send[T any](quit <-chan struct{}, c chan<- T, v T) bool {
	select {
	case c <- v:
		return true
	case <-quit:
		return false
	}
}

// copy copies the batch, which is valid only until the next one.
func (f *feed) copy(batch []mptcp.Event) []mptcp.Event {
	select {
	case b := <-f.free:
		return append(b, batch...)
	default:
		return append([]mptcp.Event(nil), batch...)
	}
}

// recycle returns the memory of a batch for use by copy.
func (f *feed) recycle(b []mptcp.Event) {
	select {
	case f.free <- b[:0]:
	default:
	}
}

// stop drops batches that were read and not taken. The context of start must be done.
func (f *feed) stop() {
	close(f.quit)
	f.tasks.Wait()
}
