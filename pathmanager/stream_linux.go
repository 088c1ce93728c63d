package pathmanager

import (
	"context"
	"fmt"
	"iter"
	"os"
	"runtime"
	"time"

	"mptcpctl/internal/pace"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// usualSpan is how long events may wait for others in a storm.
const usualSpan = 2 * time.Millisecond

// Events returns the events one at a time. See [Listener.Batches]. After the end of
// the context it still returns the rest of the batch that was read.
func (l *Listener) Events(ctx context.Context) iter.Seq2[mptcp.Event, error] {
	return func(yield func(mptcp.Event, error) bool) {
		for batch, err := range l.Batches(ctx) {
			if err != nil {
				yield(mptcp.Event{}, err)
				return
			}
			for i := range batch {
				if !yield(batch[i], nil) {
					l.rest = batch[i+1:]
					return
				}
			}
		}
	}
}

// Batches returns the events as they were read: in the kernel's order, with an
// EventLost where some were dropped. A batch is never empty, is valid until the
// next iteration, and costs no allocation. All its events have the time at which
// it was read.
//
// The iteration ends with the context, without an error, and can be begun again;
// events that come meanwhile are kept. An error ends it for good: after Close it
// is [os.ErrClosed]. Nothing is lost by leaving the loop. The next one goes on
// where it ended, with the next batch, or with [Listener.Events] the next event.
func (l *Listener) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		if err := l.acquire(); err != nil {
			yield(nil, err)
			return
		}
		defer l.relinquish()
		done := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			l.waiter.signal()
			close(done)
		})
		defer func() {
			if !stop() {
				<-done // it may still write to the descriptor
			}
		}()
		if err := l.readUntil(ctx, yield); err != nil {
			yield(nil, err)
		}
	}
}

// readUntil reads at the pace that the context asks for.
func (l *Listener) readUntil(ctx context.Context, yield func([]mptcp.Event, error) bool) error {
	asked := pace.Of(ctx)
	l.span, l.waiter.dedicated, l.waiter.late = asked.Coalesce, asked.Dedicated, asked.Late
	if err := l.socket.patience(l.waiter.longest()); err != nil {
		return err
	}
	unshare, err := l.waiter.share(asked.Poller)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	defer unshare()
	defer l.waiter.watch(asked.Output)()
	return l.read(ctx, yield)
}

// read is the loop of Batches. It returns nil when the context or the caller ended
// the iteration.
func (l *Listener) read(ctx context.Context, yield func([]mptcp.Event, error) bool) error {
	if !l.yieldRest(yield) {
		return nil
	}
	look := true         // at what is there, rather than wait
	interrupted := false // was the wait that began last
	for ctx.Err() == nil {
		if l.isClosed() {
			return fmt.Errorf("events: %w", os.ErrClosed)
		}
		wait := !look && !interrupted && l.waiter.short(runtime.GOMAXPROCS(0))
		n, errno := l.engine.take(&l.batch, wait)
		switch {
		case errno == 0:
			now := l.batch.at
			if !look {
				l.waiter.note(now.Sub(l.waiter.began))
			}
			l.judge(wait)
			if len(l.batch.events) > 0 && !yield(l.batch.events, nil) {
				return nil
			}
			l.coalesce(n, now)
			l.countStorm(n, now)
			look, interrupted = l.next(n, now), false
		case errno == unix.EAGAIN && look:
			look, interrupted = false, false
			l.attended = l.waiter.begin()
		case errno == unix.EAGAIN && interrupted && !l.waiter.over():
			interrupted = false
			l.attended = time.Now()
		case errno == unix.EAGAIN: // a short wait is over, or none is worth it
			var err error
			if interrupted, err = l.waiter.message(); err != nil {
				return fmt.Errorf("events: %w", err)
			}
			if l.waiter.unread {
				return nil
			}
			l.waiter.note(l.waiter.ended.Sub(l.waiter.began))
			if look = true; !interrupted {
				l.attended = l.waiter.ended
			}
		case errno == unix.EINTR: // by the runtime, or a stop of the process
			interrupted = true
		case errno == unix.ENOBUFS: // before NETLINK_NO_ENOBUFS took effect
		default:
			return fmt.Errorf("events: %w", os.NewSyscallError("receive", errno))
		}
	}
	return nil
}

// yieldRest yields what a loop over Events left behind. It reports whether to go on.
func (l *Listener) yieldRest(yield func([]mptcp.Event, error) bool) bool {
	rest := l.rest
	l.rest = nil
	return len(rest) == 0 || yield(rest, nil)
}

// Queued returns the events that have come already, as [Listener.Batches] does, and
// ends where it would wait. A program that ends a stream reads them last. Then the
// events that it saw and those that were lost are all that the kernel sent up to
// that moment. If events come as fast as they are read, it ends after as many as the
// buffer holds.
func (l *Listener) Queued() iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		if err := l.acquire(); err != nil {
			yield(nil, err)
			return
		}
		defer l.relinquish()
		if err := l.readQueued(yield); err != nil {
			yield(nil, err)
		}
	}
}

func (l *Listener) readQueued(yield func([]mptcp.Event, error) bool) error {
	if !l.yieldRest(yield) {
		return nil
	}
	for read, most := 0, l.engine.capacity(); read <= most; {
		if l.isClosed() {
			return fmt.Errorf("events: %w", os.ErrClosed)
		}
		n, errno := l.engine.take(&l.batch, false)
		read += n
		switch errno {
		case 0:
			l.judge(false)
			if len(l.batch.events) > 0 && !yield(l.batch.events, nil) {
				return nil
			}
		case unix.EAGAIN:
			return nil
		case unix.EINTR, unix.ENOBUFS:
		default:
			return fmt.Errorf("events: %w", os.NewSyscallError("receive", errno))
		}
	}
	return nil
}

// lateFrom is how long events must have waited to be marked.
const lateFrom = 100 * time.Millisecond

// judge marks the events of the batch that may have waited for long because the reader
// was away. Events that ended a wait did not, unless the wait took longer than waits in
// the socket do: then the process was stopped before it began.
func (l *Listener) judge(waited bool) {
	tolerated := l.tolerated()
	if waited {
		tolerated += l.waiter.longest()
	}
	if late := l.batch.at.Sub(l.attended); late >= tolerated {
		for i := range l.batch.events {
			l.batch.events[i].Late = late
		}
	}
}

// tolerated returns how long the reader may be away without a mark.
func (l *Listener) tolerated() time.Duration { return lateFrom + max(l.span, 0) }

// next prepares for what comes after a batch of n messages that was read at now. It
// reports whether to look at what is there rather than to wait for it: there is
// more, or the reader was away for so long that the two must be told apart.
func (l *Listener) next(n int, now time.Time) (look bool) {
	if n == l.batch.most {
		return true
	}
	l.attended = now
	return l.waiter.begin().Sub(now) >= l.tolerated()
}

// coalesce lets events gather for a moment when many come and all were read.
func (l *Listener) coalesce(n int, now time.Time) {
	more := n == l.batch.most
	l.meter.add(n, now, more)
	span, many := l.span, float64(busyEvents)
	if span == 0 {
		span, many = usualSpan, stormEvents
	}
	if span < 0 || more || !l.meter.above(many, now) {
		return
	}
	if d := span - time.Since(now); d > 0 {
		l.waiter.sleep(d)
	}
}
