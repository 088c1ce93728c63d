package pathmanager

import (
	"time"

	"golang.org/x/sys/unix"
)

// overtakenTime is how long a message may be on its way from the filter to the socket.
const overtakenTime = time.Second

// overtaken tells that the socket may have events that are older than some in the ring:
// after the move those that had passed the old filter, and after each wait the one that
// was asked for.
//
// A sender on another processor may have passed the filter and not have come to the
// queue yet, while others come into the ring already. What it sends next comes into the
// ring, so its own order is kept by looking at the end of the ring first, then into the
// socket, and reading the ring up to that end last.
type overtaken struct {
	possible bool
	one      bool // no more than the one that was asked for
	since    time.Time
}

// begin notes that it is possible from now on, for one event or any number.
func (o *overtaken) begin(one bool) {
	if !o.possible {
		*o = overtaken{possible: true, one: one, since: time.Now()}
	}
}

// found notes that the socket had some.
func (o *overtaken) found() { o.possible = o.possible && !o.one }

// takeOvertaken takes what is in the socket into the batch, and returns how many messages
// that are: none, most times.
func (l *Listener) takeOvertaken(now time.Time) (int, unix.Errno) {
	n, _, errno := l.takeSocket(false)
	if errno != unix.EAGAIN {
		if len(l.batch) > 0 {
			l.overtaken.found()
		}
		return n, errno
	}
	if now.Sub(l.overtaken.since) < overtakenTime {
		return 0, 0
	}
	l.overtaken.possible = false
	return 0, l.checkLoss(0, true, now) // one that did not come was dropped
}

// takeWaking asks for the next event to come to the socket, and takes it from there.
// When there is none it is EAGAIN, with wait after the socket's SO_RCVTIMEO. EINTR is
// that there is one in the ring, or none for us in the socket.
func (l *Listener) takeWaking(wait bool) (int, time.Time, unix.Errno) {
	if !l.ring.ask() {
		return 0, time.Time{}, unix.EINTR
	}
	n, now, errno := l.takeSocket(wait)
	if errno != 0 {
		return 0, now, errno
	}
	if len(l.batch) == 0 {
		return 0, now, unix.EINTR
	}
	l.ring.unask() // it came
	l.overtaken.found()
	return n, now, 0
}
