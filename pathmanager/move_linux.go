package pathmanager

import (
	"time"

	"golang.org/x/sys/unix"
)

const (
	// moveAfter is how many events of storms the socket delivers before the ring takes
	// over. A ring of the default size costs 4 ms to make, an event 0.6 us less with it:
	// whoever moves after about as many as pay for it never pays more than twice the
	// least that was possible, whatever comes.
	moveAfter = 8192
	// moveTime is how long after the move the socket is looked at first.
	moveTime = time.Second
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
// is in the queue then is older than what is in the ring. A sender on another
// processor may have passed the old filter and not have come to the queue yet, while
// others come into the ring already. What it sends next comes into the ring, so its
// own order is kept by looking at the end of the ring first, then into the socket, and
// reading the ring up to that end last.
type move struct {
	possible bool // it was not tried yet
	stormed  int  // events that came in storms
	ongoing  bool // the socket may have events still
	began    time.Time
}

// countStorm counts n events that came in a storm, and moves to the ring when it is
// worth it. Where the ring is not allowed, or the kernel has none, all stays as it is.
func (l *Listener) countStorm(n int) {
	if !l.move.possible || !l.meter.above(stormEvents) {
		return
	}
	if l.move.stormed += n; l.move.stormed < moveAfter {
		return
	}
	l.move.possible = false
	r, err := newRing(l.config.Buffer/moveShare, l.ringRule())
	if err != nil {
		return
	}
	if r.attach(l.fd) != nil {
		_ = r.close() // unused, and there is nobody to tell
		return
	}
	l.move.ongoing, l.move.began = true, time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring = r
}

// takeLeft takes what is left in the socket during the move. It returns 0 and no error
// when that is nothing.
func (l *Listener) takeLeft() (int, time.Time, unix.Errno) {
	for {
		n, now, errno := l.takeSocket(false)
		if errno == unix.EAGAIN {
			l.move.ongoing = time.Since(l.move.began) < moveTime
			return 0, now, 0
		}
		if errno != 0 || len(l.batch) > 0 {
			return n, now, errno
		}
	}
}

// wakeUp takes the wake-up of the ring from the socket. Without one it returns EAGAIN,
// with wait after the socket's SO_RCVTIMEO. Where events are left in the socket, it
// returns those.
func (l *Listener) wakeUp(wait bool) (int, time.Time, unix.Errno) {
	n, now, errno := l.takeSocket(wait)
	if len(l.batch) == 0 {
		n = 0
	}
	return n, now, errno
}
