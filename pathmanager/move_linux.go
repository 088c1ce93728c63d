package pathmanager

import "time"

const (
	// moveAfter is how many events of storms the socket delivers before the ring takes
	// over. A ring of the default size costs 4 ms to make and saves 0.6 us an event. A
	// listener that moves when it has spent on events about what the ring costs never
	// spends more than twice the least possible, whatever comes.
	moveAfter = 8192
	// moveShare is the part of the receive buffer's size that the ring gets. The kernel
	// doubles the buffer, and charges an event with at least six times what the event takes
	// in the ring.
	moveShare = 4
)

// move is the change of a listener with EngineAuto from the socket to the ring, in the
// middle of the stream.
//
// The program replaces the filter of the socket: each message passes either the old
// filter, and reaches the queue, or the program, and reaches the ring. What is in the
// queue then is older than what is in the ring: see strays.
type move struct {
	possible bool // it was not tried yet
	after    int  // events that it waits for
	stormed  int  // events that came in storms
}

// countStorm counts n events that were read at now, if they came in a storm, and moves
// to the ring when that pays. The meter tells a storm from a backlog: a reader that cannot
// catch up any more moves too, and one that was stopped for long does not. Where the ring
// is not allowed, or the kernel has none, the listener stays as it is.
func (l *Listener) countStorm(n int, now time.Time) {
	if !l.move.possible || !l.meter.above(stormEvents, now) {
		return
	}
	if l.move.stormed += n; l.move.stormed >= l.move.after {
		_ = l.moveToRing() // the caller did not ask for it
	}
}

// moveToRing puts a ring in front of the socket. It is tried once.
func (l *Listener) moveToRing() error {
	l.move.possible = false
	e, err := newRingEngine(l.socket, l.config.Buffer/moveShare, l.socket.ringRule(l.config.Types))
	if err != nil {
		return err
	}
	e.strays.expect(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.engine = e
	return nil
}
