package pathmanager

import (
	"fmt"
	"iter"
	"os"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// ringCharge is what one event takes in the ring at least.
const ringCharge = 56

// Queued returns the events that have come already, as [Listener.Batches] does, and
// ends where it would wait. Those who end a stream read them last: then what they
// saw, and what was lost, is all that the kernel sent up to that moment. Where
// events come as fast as they are read it ends after as many as the buffer holds.
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
	if rest := l.rest; len(rest) > 0 {
		l.rest = nil
		if !yield(rest, nil) {
			return nil
		}
	}
	most := l.buffer / eventCharge
	if l.ring != nil {
		most += l.ring.size() / ringCharge
	}
	for read := 0; read <= most; {
		if l.isClosed() {
			return fmt.Errorf("events: %w", os.ErrClosed)
		}
		n, now, errno := l.take(false)
		read += n
		switch errno {
		case 0:
			l.judge(false, now)
			if len(l.batch) > 0 && !yield(l.batch, nil) {
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
