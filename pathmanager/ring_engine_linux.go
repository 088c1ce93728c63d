package pathmanager

import (
	"errors"
	"runtime"
	"time"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

const (
	// leastRecord is what one event takes in the ring at least, with its header.
	leastRecord = 56

	// strayTime is how long a message may be on its way from the filter to the socket.
	strayTime = time.Second
)

// ringEngine is EngineRing: a ring, and behind it the socket whose filter fills the ring.
//
// An event reaches the socket, and not the ring, in two cases: its sender had passed the
// old filter when the ring was attached, or the reader asked for the event in order to be
// woken. See strays.
type ringEngine struct {
	ring   *ring
	socket *socket
	strays strays
}

// newRingEngine puts a ring of so many bytes in front of the socket. On an error the
// socket is as it was.
func newRingEngine(s *socket, size int, rule ringRule) (*ringEngine, error) {
	r, err := newRing(size, rule)
	if err != nil {
		return nil, ringError(err)
	}
	if err := r.attach(s.fd); err != nil {
		return nil, errors.Join(ringError(err), r.close())
	}
	return &ringEngine{ring: r, socket: s}, nil
}

func (e *ringEngine) name() Engine { return EngineRing }
func (e *ringEngine) size() int    { return e.ring.size() }
func (e *ringEngine) capacity() int {
	return e.socket.capacity() + e.ring.size()/leastRecord
}

func (e *ringEngine) take(b *batch, wait bool) (n int, errno unix.Errno) {
	b.begin()
	if e.ring.unask() {
		e.strays.expect(true)
	}
	e.ring.look()
	b.at = time.Now()
	if e.strays.possible {
		n, errno = e.takeStrays(b)
	}
	if errno == 0 && len(b.events) == 0 && e.ring.empty() {
		n, errno = e.takeWaking(b, wait)
	}
	if errno != 0 || n == b.most {
		return n, errno
	}
	n = e.fill(b, n)
	e.ring.release()
	b.addLoss(uint64(e.ring.tail()))
	if len(b.events) == 0 {
		runtime.Gosched() // a record is being written this moment
		return 0, unix.EINTR
	}
	return n, 0
}

// fill adds what is in the ring to the n messages that the batch has, and returns how
// many these are then.
func (e *ringEngine) fill(b *batch, n int) int {
	for ; n < b.most; n++ {
		if !e.ring.known() && !e.strays.possible {
			e.ring.look()
		}
		msg, lost := e.ring.next()
		b.addLoss(uint64(lost))
		if msg == nil {
			break
		}
		b.add(msg, OwnNamespace)
	}
	return n
}

// takeStrays reads what is in the socket, which is nothing most times, and returns how
// many messages that were.
func (e *ringEngine) takeStrays(b *batch) (int, unix.Errno) {
	at := b.at
	n, errno := e.socket.take(b, false)
	if errno != unix.EAGAIN {
		if len(b.events) > 0 {
			e.strays.found()
		}
		return n, errno
	}
	if at.Sub(e.strays.since) < strayTime {
		return 0, 0
	}
	e.strays.possible = false
	return 0, e.socket.checkLoss(b, 0, true) // one that did not come was dropped
}

// takeWaking asks for the next event to come to the socket, and reads it from there.
// Without one it returns EAGAIN, with wait after the socket's SO_RCVTIMEO. It returns EINTR
// if there is an event in the ring by now, or only others' messages in the socket.
func (e *ringEngine) takeWaking(b *batch, wait bool) (int, unix.Errno) {
	if !e.ring.ask() {
		return 0, unix.EINTR
	}
	n, errno := e.socket.take(b, wait)
	if errno != 0 {
		return 0, errno
	}
	if len(b.events) == 0 {
		return 0, unix.EINTR
	}
	e.ring.unask() // it came
	e.strays.found()
	return n, 0
}

func (e *ringEngine) count() (lost, refused uint64) {
	lost, refused = e.socket.count()
	return lost + e.ring.drops(), refused + e.ring.refused()
}

func (e *ringEngine) close() error { return errors.Join(e.socket.close(), e.ring.close()) }

// strays tells whether the socket may have events that are older than some in the ring:
// those that had passed the old filter when the ring was attached, or the one that the
// reader asked for.
//
// A sender on another processor may have passed the filter while its message is not in
// the queue yet, and others write to the ring already. The sender's own next message goes
// to the ring. So events of one sender stay in order if the reader notes the end of the
// ring first, then empties the socket, and then reads the ring up to the end it noted.
type strays struct {
	possible bool
	one      bool // there is at most one
	since    time.Time
}

// expect notes that there may be strays from now on, at most one or any number.
func (s *strays) expect(one bool) {
	if !s.possible {
		*s = strays{possible: true, one: one, since: time.Now()}
	}
}

// found notes that the socket had some.
func (s *strays) found() { s.possible = s.possible && !s.one }

// ringRule returns what the ring takes in.
func (s *socket) ringRule(types []mptcp.EventType) ringRule {
	return ringRule{family: s.family.ID, group: s.group.number, types: typeMask(types), most: int32(s.receiver.size)}
}
