package track

import (
	"context"
	"iter"
	"sync"
	"time"
)

// Deltas returns every kernel event and every derived event from now on, in the
// order in which they were applied. The tracker does not wait for the reader: up
// to Config.Buffer deltas are kept for it; those beyond are counted, and a delta
// of KindOverflow says at their place how many are missing. The stream ends
// without an error when ctx is done or Run has returned without one, and with the
// error of Run otherwise.
func (t *Tracker) Deltas(ctx context.Context) iter.Seq2[Delta, error] {
	q := &queue{limit: t.config.Buffer, ready: make(chan struct{}, 1)}
	t.delivery.streams.add(q)
	stop := context.AfterFunc(ctx, func() { t.delivery.streams.remove(q) })
	return func(yield func(Delta, error) bool) {
		defer stop()
		defer t.delivery.streams.remove(q)
		for {
			d, more, end := q.pop()
			switch {
			case more:
				if !yield(d, nil) {
					return
				}
				continue
			case end != nil:
				if end.err != nil {
					yield(Delta{}, end.err)
				}
				return
			}
			select {
			case <-q.ready:
			case <-ctx.Done():
				return
			}
		}
	}
}

// streams are the readers of deltas.
type streams struct {
	mu   sync.Mutex
	list []*queue
	end  *ending
}

// ending says that the tracker has stopped, with the error of Run.
type ending struct{ err error }

func (s *streams) add(q *queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil {
		q.close(s.end)
		return
	}
	s.list = append(s.list, q)
}

func (s *streams) remove(q *queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if s.list[i] == q {
			s.list = append(s.list[:i:i], s.list[i+1:]...)
			return
		}
	}
}

// push gives the delta to all readers.
func (s *streams) push(d *Delta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.list {
		q.push(d)
	}
}

// close ends all streams, also those that are asked for later.
func (s *streams) close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = &ending{err}
	for _, q := range s.list {
		q.close(s.end)
	}
	s.list = nil
}

// queue is the buffer of one reader.
type queue struct {
	mu    sync.Mutex
	limit int
	items []Delta
	head  int
	lost  uint64    // deltas dropped since the last item because the buffer was full
	last  time.Time // of the last of them
	end   *ending
	ready chan struct{}
}

func (q *queue) push(d *Delta) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lost > 0 && len(q.items)-q.head < q.limit {
		q.items = append(q.items, q.overflow())
	}
	if len(q.items)-q.head >= q.limit {
		q.lost, q.last = q.lost+1, d.Event.Time
		return
	}
	if q.head > q.limit {
		q.items = append(q.items[:0], q.items[q.head:]...)
		q.head = 0
	}
	q.items = append(q.items, *d)
	q.wake()
}

// overflow returns the delta that counts the dropped ones, with the time of the last.
func (q *queue) overflow() Delta {
	m := Delta{Kind: KindOverflow, Name: KindOverflow.String()}
	m.Event.Lost, m.Event.Time = q.lost, q.last
	q.lost = 0
	return m
}

func (q *queue) close(e *ending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.end = e
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// pop takes the oldest delta; when there is none, it tells whether any will come.
func (q *queue) pop() (d Delta, more bool, end *ending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.head < len(q.items) {
		d = q.items[q.head]
		q.items[q.head] = Delta{}
		q.head++
		if q.head == len(q.items) {
			q.items, q.head = q.items[:0], 0
		}
		return d, true, nil
	}
	if q.lost > 0 {
		return q.overflow(), true, nil
	}
	return d, false, q.end
}
