package pathmanager

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"runtime"
	"slices"
	"time"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// mostCharge is more than one message of the kernel is ever charged with: below
// Buffer/mostCharge messages the queue cannot have been full.
const mostCharge = 8 << 10

// Events returns the events one at a time. See [Listener.Batches]. After the end of
// the context those that were read already still come.
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
// The iteration ends with the context, without an error, and can be begun again:
// what is queued meanwhile is kept. An error ends it for good; after Close it
// is [os.ErrClosed]. Nothing is lost by leaving the loop: the next one goes on
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
		if err := l.read(ctx, yield); err != nil {
			yield(nil, err)
		}
	}
}

// read is the loop of Batches. It returns nil when the context or the caller ended
// the iteration.
func (l *Listener) read(ctx context.Context, yield func([]mptcp.Event, error) bool) error {
	if rest := l.rest; len(rest) > 0 && ctx.Err() == nil {
		l.rest = nil
		if !yield(rest, nil) {
			return nil
		}
	}
	look := true         // at what is there, rather than wait
	interrupted := false // was the wait that began last
	for ctx.Err() == nil {
		if l.isClosed() {
			return fmt.Errorf("events: %w", os.ErrClosed)
		}
		wait := !look && !interrupted && l.waiter.short(runtime.GOMAXPROCS(0))
		n, now, errno := l.take(wait)
		switch {
		case errno == 0:
			if !look {
				l.waiter.note(now.Sub(l.waiter.began))
			}
			l.judge(wait, now)
			if len(l.batch) > 0 && !yield(l.batch, nil) {
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
			if interrupted, errno = l.waiter.message(); errno != 0 {
				return fmt.Errorf("events: %w", os.NewSyscallError("epoll_wait", errno))
			}
			if l.waiter.unread {
				return nil
			}
			l.waiter.note(time.Since(l.waiter.began))
			if look = true; !interrupted {
				l.attended = time.Now()
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

// lateFrom is how long events must have waited to be marked.
const lateFrom = 100 * time.Millisecond

// judge marks the events of the batch that may have waited for long because nobody
// looked. Those that ended a wait did not, unless the wait was longer than waits in the
// socket are: then the process was stopped before it began.
func (l *Listener) judge(waited bool, now time.Time) {
	tolerated := l.tolerated()
	if waited {
		tolerated += l.waiter.longest()
	}
	if late := now.Sub(l.attended); late >= tolerated {
		for i := range l.batch {
			l.batch[i].Late = late
		}
	}
}

// tolerated returns how long the reader may be away without a mark.
func (l *Listener) tolerated() time.Duration { return lateFrom + max(l.config.Coalesce, 0) }

// next prepares for what comes after a batch of n messages that was read at now. It
// reports whether to look at what is there rather than to wait for it: there is
// more, or the reader was away for so long that the two must be told apart.
func (l *Listener) next(n int, now time.Time) (look bool) {
	if n == l.config.slots {
		return true
	}
	l.attended = now
	return l.waiter.begin().Sub(now) >= l.tolerated()
}

// take fills the batch with what there is. It returns how many messages of the
// kernel that were, and when they were read; without any it is EAGAIN. With wait
// it waits for one, but not long.
func (l *Listener) take(wait bool) (int, time.Time, unix.Errno) {
	if l.ring != nil {
		return l.takeRing(wait)
	}
	return l.takeSocket(wait)
}

// takeSocket is take for what the socket itself receives.
func (l *Listener) takeSocket(wait bool) (int, time.Time, unix.Errno) {
	l.batch = l.batch[:0]
	n, errno := l.receiver.receive(wait)
	if errno != 0 {
		return 0, time.Time{}, errno
	}
	now := time.Now()
	odd := l.fill(n, now)
	return n, now, l.checkLoss(n, odd, now)
}

// fill decodes n messages into the batch. It reports whether some were not as the
// kernel's are, and may have been charged with more.
func (l *Listener) fill(n int, now time.Time) (odd bool) {
	l.batch = l.batch[:0]
	namespace, name := OwnNamespace, ""
	truncated := false
	for i := range n {
		m := l.receiver.message(i, l.group)
		if !m.kernel || len(m.data) >= nlmsgHeaderSize && binary.NativeEndian.Uint16(m.data[4:]) != l.family.ID {
			l.refused.Add(1)
			odd = true
			continue
		}
		if m.namespace != namespace {
			namespace, name = m.namespace, l.netns(m.namespace)
		}
		truncated = truncated || m.truncated
		l.appendEvent(m.data, now, namespace)
		l.batch[len(l.batch)-1].Netns = name
	}
	if truncated {
		l.receiver.grow(2 * l.receiver.size)
	}
	return odd || truncated
}

// appendEvent decodes a message of the kernel into the batch. One that is cut short, for
// want of room or by the filter of another socket, is a loss.
func (l *Listener) appendEvent(msg []byte, now time.Time, namespace int32) {
	whole := len(msg) >= nlmsgHeaderSize && int(binary.NativeEndian.Uint32(msg)) == len(msg)
	if l.config.Tap != nil && whole {
		l.config.Tap(now, namespace, msg)
	}
	l.batch = slices.Grow(l.batch, 1)[:len(l.batch)+1] // DecodeEvent clears it
	e := &l.batch[len(l.batch)-1]
	if !whole || DecodeEvent(msg, e) != nil {
		l.unread.Add(1)
		*e = mptcp.Event{Type: mptcp.EventLost, Lost: 1}
	}
	e.Time = now
}

// checkLoss appends an EventLost where the kernel dropped messages.
//
// The kernel need not be asked while so few messages were read since the queue
// was last empty that it cannot have been full, unless others' were among them.
func (l *Listener) checkLoss(n int, odd bool, now time.Time) unix.Errno {
	l.unchecked += n
	l.odd = l.odd || odd
	drained := n < l.config.slots
	if drained && !l.odd && l.unchecked < l.buffer/mostCharge && !l.book.waiting() {
		l.unchecked = 0
		return 0
	}
	queued, drops, errno := socketMemory(l.fd, &l.memory)
	if errno != 0 {
		return errno
	}
	if lost := l.book.observe(l.unchecked, drops, queued); lost > 0 {
		l.batch = append(l.batch, mptcp.Event{Type: mptcp.EventLost, Lost: lost, Time: now})
	}
	l.unchecked, l.odd = 0, l.odd && !drained
	return 0
}

// coalesce lets events gather for a moment when many come and all were read.
func (l *Listener) coalesce(n int, now time.Time) {
	more := n == l.config.slots
	l.meter.add(n, now, more)
	span, many := l.config.Coalesce, float64(busyEvents)
	if span == 0 {
		span, many = DefaultCoalesce, stormEvents
	}
	if span < 0 || more || !l.meter.above(many, now) {
		return
	}
	if d := span - time.Since(now); d > 0 {
		l.waiter.sleep(d)
	}
}
