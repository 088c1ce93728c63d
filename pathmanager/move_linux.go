package pathmanager

import (
	"errors"
	"time"
)

const (
	// moveAfter is how many events of storms the socket delivers before the ring takes
	// over. A ring of the default size costs 4 ms to make, an event 0.6 us less with it:
	// whoever moves after about as many as pay for it never pays more than twice the
	// least that was possible, whatever comes.
	moveAfter = 8192
	// moveShare is the part of the receive buffer that the ring is made of: the kernel
	// doubles the former, and charges an event with six times what it takes in the
	// latter at least.
	moveShare = 4
)

// move is the change of a listener with EngineAuto from the socket to the ring, in the
// middle of the stream.
//
// The program becomes the filter of the socket that is there: each message passes the
// old filter, and comes into the queue, or the new one, and comes into the ring. What
// is in the queue then is older than what is in the ring: see overtaken.
type move struct {
	possible bool // it was not tried yet
	stormed  int  // events that came in storms
}

// countStorm counts n events that were read at now, if they came in a storm, and moves
// to the ring when it is worth it. That a reader who does not catch up any more moves
// too, and one who was stopped for long does not, is the meter's work. Where the ring is not allowed, or the kernel has none, all stays as it is.
func (l *Listener) countStorm(n int, now time.Time) {
	if !l.move.possible || !l.meter.above(stormEvents, now) {
		return
	}
	if l.move.stormed += n; l.move.stormed >= l.config.moveAfter {
		_ = l.moveToRing() // nobody asked for it
	}
}

// moveToRing puts a ring in front of the socket. It is tried once.
func (l *Listener) moveToRing() error {
	l.move.possible = false
	r, err := newRing(l.config.Buffer/moveShare, l.ringRule())
	if err != nil {
		return ringError(err)
	}
	if err := r.attach(l.fd); err != nil {
		return errors.Join(ringError(err), r.close())
	}
	l.overtaken.begin(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring = r
	return nil
}
