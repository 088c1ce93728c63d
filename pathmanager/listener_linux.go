package pathmanager

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// OwnNamespace is the number that stands for the listener's own network namespace.
// 0 is the number of another one.
const OwnNamespace int32 = -1

// Defaults of [ListenConfig], in bytes.
const (
	DefaultBuffer = 64 << 20
	DefaultRing   = 16 << 20
)

// mostBuffer is the most that the kernel takes (INT_MAX/2).
const mostBuffer = 1<<30 - 1

// ListenConfig configures a [Listener]. The zero value is ready.
type ListenConfig struct {
	// Engine is the way for events to come.
	Engine Engine

	// Buffer is the size of the receive buffer to ask for, in bytes; 0 is
	// DefaultBuffer. The kernel doubles it and charges 832 bytes for an event, so the
	// default holds some 160,000 events. Without CAP_NET_ADMIN in the initial user
	// namespace the kernel grants no more than net.core.rmem_max: see [Listener.Buffer].
	//
	// For EngineRing it is the size of the ring, rounded down to a power of two; 0
	// is DefaultRing. An event takes 56 to 136 bytes of the ring, 104 with IPv4 addresses.
	// The ring that EngineAuto changes to has a quarter of Buffer.
	Buffer int

	// Types are the events to receive, none for all. The kernel filters out all others,
	// which then cost nothing. An EventLost is always received.
	Types []mptcp.EventType

	// AllNamespaces receives the events of all network namespaces that have a number
	// (nsid) in the listener's own one. It needs CAP_NET_BROADCAST.
	AllNamespaces bool

	// Resolve returns the name of a namespace by its number, for Event.Netns. The reading
	// goroutine calls it about once for each batch, so it should be quick, and remember a
	// name for as long as it holds. The kernel may give the number to another namespace
	// when the first is gone. With nil, names are like "nsid 3".
	Resolve func(nsid int32) string

	// Tap is called with each message of the kernel before it is decoded, in the
	// reading goroutine: the time at which the message was read, the number of its
	// namespace (or OwnNamespace), and the netlink message, which Tap must not keep.
	Tap func(t time.Time, nsid int32, msg []byte)

	moveAfter   int  // for tests, like the following
	slots, size int  // of the receiver
	pktinfo     bool // take the group from the control message
}

// Listener receives the events of the path manager. The package comment tells what it
// promises.
//
// One goroutine at a time may iterate; the other methods are safe for concurrent
// use.
type Listener struct {
	config ListenConfig
	socket *socket
	engine engine // the socket itself, or a ring in front of it; set with mu
	move   move
	waiter *waiter
	meter  meter
	batch  batch
	rest   []mptcp.Event // of the batch, which a loop over Events left behind

	attended time.Time     // what came before was read, or woke the reader at once
	span     time.Duration // how long events may wait for others: pace.Pace.Coalesce

	mu      sync.Mutex // guards the life of the descriptors, and the counts
	reading bool
	closed  bool
	lost    uint64 // as last counted
	refused uint64
}

// Listen joins the event group in the network namespace of the calling thread;
// there the listener stays. c may be nil. From its return on, every event is either
// received or counted as lost.
//
// It needs CAP_NET_ADMIN in the user namespace that owns the network namespace
// ([io/fs.ErrPermission]); the capability may be dropped afterwards. A kernel without
// events (before Linux 5.12) is [mptcp.ErrNotSupported].
func Listen(c *ListenConfig) (*Listener, error) {
	l := &Listener{}
	if c != nil {
		l.config = *c
	}
	l.config.setDefaults()
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// setDefaults replaces zero values.
func (c *ListenConfig) setDefaults() {
	switch {
	case c.Buffer > 0:
		c.Buffer = min(c.Buffer, mostBuffer)
	case c.Engine == EngineRing:
		c.Buffer = DefaultRing
	default:
		c.Buffer = DefaultBuffer
	}
	if c.moveAfter == 0 {
		c.moveAfter = moveAfter
	}
	if c.slots == 0 {
		c.slots = receiveSlots
	}
	if c.size == 0 {
		c.size = slotSize
	}
}

// open opens the engine and joins the group as the last step.
func (l *Listener) open() error {
	c := &l.config
	l.batch = batch{events: make([]mptcp.Event, 0, c.slots+2), most: c.slots, tap: c.Tap, resolve: c.Resolve}
	var err error
	if l.socket, err = openSocket(c); err != nil {
		return err
	}
	if l.engine, err = l.openEngine(); err != nil {
		return err
	}
	if l.waiter, err = newWaiter(l.socket.fd); err != nil {
		return fmt.Errorf("events: %w", os.NewSyscallError("eventfd", err))
	}
	l.attended = time.Now()
	l.meter.last = l.attended
	return l.socket.join(c.AllNamespaces)
}

// openEngine returns the engine that the configuration asks for, on the socket.
func (l *Listener) openEngine() (engine, error) {
	c := &l.config
	if c.Engine != EngineRing {
		l.move = move{possible: c.Engine == EngineAuto && !c.AllNamespaces, after: c.moveAfter}
		return l.socket, errors.Join(l.socket.enlarge(c.Buffer), l.socket.filter(c.Types))
	}
	if c.AllNamespaces {
		return nil, &Error{
			Op:      "ring engine",
			Message: "it cannot tell network namespaces apart",
			kind:    mptcp.ErrNotSupported,
		}
	}
	if err := l.socket.enlarge(0); err != nil {
		return nil, err
	}
	e, err := newRingEngine(l.socket, c.Buffer, l.socket.ringRule(c.Types))
	if err != nil {
		return nil, err
	}
	return e, nil
}

// option is the error of a socket option.
func option(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("events: %w", os.NewSyscallError("socket option "+name, err))
}

// subscription is the error of a refused subscription.
func subscription(object string, err error) error {
	e := &Error{Op: "subscribe to mptcp events", Object: object, Err: err}
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		e.kind = classify(errno, "")
	}
	return e
}

// Family returns what the kernel said about the path manager's family. A recording
// needs its numbers, which the kernel gives out at boot.
func (l *Listener) Family() Family { return l.socket.family }

// Engine returns the engine that runs at present, EngineNetlink or EngineRing.
func (l *Listener) Engine() Engine {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.engine.name()
}

// Buffer returns the size of the receive buffer, as the kernel granted it, or of
// the ring, in bytes.
func (l *Listener) Buffer() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.engine.size()
}

// Refused returns how many messages were dropped because they did not come from
// the kernel, or were not sent to the event group.
func (l *Listener) Refused() uint64 {
	_, refused := l.count()
	return refused
}

// Lost returns how many events were lost up to now, including losses that the stream
// has not come to yet.
func (l *Listener) Lost() uint64 {
	lost, _ := l.count()
	return lost + l.batch.undecoded.Load()
}

// count asks the engine, or returns its last answer once it is closed.
func (l *Listener) count() (lost, refused uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.lost, l.refused = l.engine.count()
	}
	return l.lost, l.refused
}

// Close ends a running iteration with [os.ErrClosed] and closes the listener. It
// may be called from within the iteration.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return os.ErrClosed
	}
	l.closed = true
	l.lost, l.refused = l.engine.count()
	if l.reading {
		l.waiter.signal()
		return nil
	}
	return l.release()
}

// release closes what was opened.
func (l *Listener) release() error {
	var err error
	switch {
	case l.engine != nil:
		err = l.engine.close()
	case l.socket != nil:
		err = l.socket.close()
	}
	if l.waiter != nil {
		err = errors.Join(err, os.NewSyscallError("close", l.waiter.close()))
	}
	return err
}

// acquire begins an iteration.
func (l *Listener) acquire() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return fmt.Errorf("events: %w", os.ErrClosed)
	case l.reading:
		return errors.New("events: the listener is being read already")
	}
	l.reading = true
	l.waiter.reset()
	return nil
}

// relinquish ends an iteration.
func (l *Listener) relinquish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = false
	if l.closed {
		_ = l.release() // Close has returned; there is nobody left to tell
	}
}

// isClosed reports whether Close was called.
func (l *Listener) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
