package pathmanager

import (
	"fmt"
	"runtime"
	"time"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// Engine is a way on which events come from the kernel.
type Engine uint8

// Engines. All of them give the same events, tell losses exactly, and believe the
// kernel alone.
const (
	// EngineAuto is EngineNetlink, and changes to EngineRing without a gap when so many
	// events have come in storms (8,192, at more than 18,000 a second) that it pays,
	// where privileges and the kernel allow it and AllNamespaces is not set. It does not
	// change back. [Listener.Engine] tells which it is at present.
	EngineAuto Engine = iota

	// EngineNetlink receives messages from the socket. It needs no more privilege
	// than listening does, and little memory while nothing happens.
	EngineNetlink

	// EngineRing has a socket filter copy the events into a BPF ring buffer, from
	// which they are read without system calls: several times cheaper when many
	// come, and the kernel drops the message at once instead of queueing it. The
	// filter sees the sender as the kernel knows it, so that forged messages are
	// told apart, and proves on the running kernel that it does before it is
	// used.
	//
	// It needs CAP_BPF and CAP_PERFMON in the initial user namespace
	// ([io/fs.ErrPermission]) and Linux 5.12 ([mptcp.ErrNotSupported]), allocates all
	// its memory at once, some milliseconds for the default, and does not serve
	// AllNamespaces: when the filter runs the kernel has not noted yet from which
	// namespace a message comes ([mptcp.ErrNotSupported]).
	EngineRing
)

// String returns "auto", "netlink" or "ring".
func (e Engine) String() string {
	switch e {
	case EngineAuto:
		return "auto"
	case EngineNetlink:
		return "netlink"
	case EngineRing:
		return "ring"
	}
	return fmt.Sprintf("engine %d", uint8(e))
}

// ParseEngine returns the engine of a name that String returns.
func ParseEngine(name string) (Engine, error) {
	for e := EngineAuto; e <= EngineRing; e++ {
		if e.String() == name {
			return e, nil
		}
	}
	return 0, fmt.Errorf("engine %q: want auto, netlink or ring", name)
}

// openRing makes the ring the engine from the start.
func (l *Listener) openRing() error {
	if l.config.AllNamespaces {
		return &Error{Op: "ring engine", Message: "it cannot tell network namespaces apart", kind: mptcp.ErrNotSupported}
	}
	r, err := newRing(l.config.Buffer, l.ringRule())
	if err != nil {
		return ringError(err)
	}
	l.ring = r
	if err := r.attach(l.fd); err != nil {
		return ringError(err)
	}
	return nil
}

// ringRule is what the listener wants to have in its ring.
func (l *Listener) ringRule() ringRule {
	return ringRule{family: l.family.ID, group: l.group.number, types: typeMask(l.config.Types), most: int32(l.config.size)}
}

// takeRing is take for the ring, and for what comes to the socket instead.
func (l *Listener) takeRing(wait bool) (n int, now time.Time, errno unix.Errno) {
	l.batch = l.batch[:0]
	if l.ring.unask() {
		l.overtaken.begin(true)
	}
	l.ring.look()
	now = time.Now()
	if l.overtaken.possible {
		n, errno = l.takeOvertaken(now)
	}
	if errno == 0 && len(l.batch) == 0 && !l.ring.known() && uint32(l.ring.drops()) == l.ring.dropped {
		n, now, errno = l.takeWaking(wait)
	}
	if errno != 0 || n == l.config.slots {
		return n, now, errno
	}
	n = l.fillFromRing(n, now)
	l.ring.release()
	if lost := l.ring.tail(); lost > 0 {
		l.batch = append(l.batch, mptcp.Event{Type: mptcp.EventLost, Lost: uint64(lost), Time: now})
	}
	if len(l.batch) == 0 {
		runtime.Gosched() // a record is being written this moment
		return 0, now, unix.EINTR
	}
	return n, now, 0
}

// fillFromRing decodes what is in the ring behind the n messages that are in the batch,
// and returns how many these are then.
func (l *Listener) fillFromRing(n int, now time.Time) int {
	for ; n < l.config.slots; n++ {
		if !l.ring.known() && !l.overtaken.possible {
			l.ring.look()
		}
		msg, lost := l.ring.next()
		if lost > 0 {
			l.batch = append(l.batch, mptcp.Event{Type: mptcp.EventLost, Lost: uint64(lost), Time: now})
		}
		if msg == nil {
			break
		}
		l.appendEvent(msg, now, OwnNamespace)
	}
	return n
}
