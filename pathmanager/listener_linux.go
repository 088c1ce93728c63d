package pathmanager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// OwnNamespace is the number that stands for the listener's own network namespace.
// 0 is the number of another one.
const OwnNamespace int32 = -1

// Defaults of [ListenConfig].
const (
	DefaultBuffer   = 64 << 20
	DefaultRing     = 16 << 20
	DefaultCoalesce = 2 * time.Millisecond
)

// mostBuffer is the most that the kernel takes (INT_MAX/2).
const mostBuffer = 1<<30 - 1

// ListenConfig configures a [Listener]. The zero value is ready.
type ListenConfig struct {
	// Engine is the way on which events come.
	Engine Engine

	// Buffer is the size of the receive buffer to ask for, in bytes; 0 is
	// DefaultBuffer. The kernel doubles it, and charges an event with 832 bytes:
	// the default holds some 160,000 events. Without CAP_NET_ADMIN in the initial
	// user namespace it is clamped to net.core.rmem_max: see [Listener.Buffer].
	//
	// For EngineRing it is the size of the ring, rounded down to a power of two; 0
	// is DefaultRing. An event takes 56 to 136 bytes of it, 104 with IPv4 addresses.
	// The ring that EngineAuto changes to is a quarter of Buffer.
	Buffer int

	// Types are the events to receive, none for all. Others are filtered out in
	// the kernel, and cost nothing. An EventLost is received always.
	Types []mptcp.EventType

	// AllNamespaces receives the events of all network namespaces that have a
	// number (nsid) in the listener's one. It needs CAP_NET_BROADCAST.
	AllNamespaces bool

	// Resolve returns the name of a namespace by its number, for Event.Netns. It
	// is called in the reading goroutine, about once for a batch: be quick, and
	// remember names as long as they hold. A number may be given to another
	// namespace when the first is gone. nil gives names like "nsid 3".
	Resolve func(nsid int32) string

	// Coalesce bounds how long an event may wait for others, so that they are read
	// together: that costs several times less than to be woken for each. Set, events
	// wait when more than about 1,500 come in a second. 0 is DefaultCoalesce when
	// more than about 18,000 come in a second, and no wait below. Below 0 no event
	// ever waits. The first event after a pause never does.
	Coalesce time.Duration

	// Dedicated tells that the process does little else than to read these events,
	// as a monitor does: an event that comes within 24 ms of the last one then costs
	// less, and is there sooner. Meanwhile, where GOMAXPROCS is 1, other goroutines
	// may wait that long for their turn.
	Dedicated bool

	// Output, where it is a pipe, ends iterations, without an error, when nobody reads
	// from it any more and no event has come: who only writes what comes learns of it
	// with the next event, which may never come. It stays the caller's, who must not
	// close it before the listener.
	Output *os.File

	// Tap is called with each message of the kernel before it is decoded, in the
	// reading goroutine: the time at which it was read, the number of its
	// namespace (or OwnNamespace) and the netlink message, which it must not keep.
	Tap func(t time.Time, nsid int32, msg []byte)

	moveAfter   int  // for tests, as what follows
	slots, size int  // of the receiver
	pktinfo     bool // take the group from the control message
}

// Listener receives the events of the path manager. See the package comment for
// its contract.
//
// One goroutine at a time may iterate; the other methods are safe for concurrent
// use.
type Listener struct {
	config    ListenConfig
	family    Family
	group     group
	fd        int
	buffer    int
	receiver  *receiver
	ring      *ring // nil while the socket itself is read; set with mu
	move      move
	overtaken overtaken
	waiter    *waiter

	mu      sync.Mutex // guards the life of the descriptors, and what was counted
	reading bool
	closed  bool
	drops   uint64 // of the socket, as last counted
	full    uint64 // events that found the ring full, as last counted
	foreign uint64 // what the ring refused, as last counted

	base      uint32        // the kernel's drop counter at the start
	unread    atomic.Uint64 // messages of the kernel that could not be decoded
	refused   atomic.Uint64
	book      lossBook
	meter     meter
	attended  time.Time // what came before was read, or woke the reader at once
	unchecked int       // messages read since the queue was last known to be below its bound
	odd       bool      // some of them were not the kernel's
	memory    [16]uint32
	batch     []mptcp.Event
	rest      []mptcp.Event    // of batch, which a loop over Events left behind
	names     map[int32]string // without Resolve
}

// Listen joins the event group in the network namespace of the calling thread;
// there the listener stays. c may be nil. From its return on no event is missed
// without being counted.
//
// It needs CAP_NET_ADMIN in the user namespace that owns the network namespace
// ([fs.ErrPermission]); the capability may be dropped afterwards. A kernel without
// events (before Linux 5.12) is [mptcp.ErrNotSupported].
func Listen(c *ListenConfig) (*Listener, error) {
	l := &Listener{fd: -1}
	if c != nil {
		l.config = *c
	}
	l.config.setDefaults()
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.Close())
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

// open opens the socket and joins the group as the last step.
func (l *Listener) open() error {
	conn, err := openConn()
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	l.fd = conn.fd
	if l.family, err = conn.family(context.Background()); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	if l.family.Events == 0 {
		return fmt.Errorf("events: group %s: %w", uapi.PMEventGroup, mptcp.ErrNotSupported)
	}
	l.group = group{number: l.family.Events, pktinfo: l.config.pktinfo || l.family.Events > 32}
	l.batch = make([]mptcp.Event, 0, l.config.slots+2)
	l.receiver = newReceiver(l.fd, l.config.slots, l.config.size, l.config.AllNamespaces || l.group.pktinfo)
	if l.config.Engine == EngineRing {
		err = l.openRing()
	} else {
		l.move.possible = l.config.Engine == EngineAuto && !l.config.AllNamespaces
		err = l.setBuffer()
	}
	if err != nil {
		return err
	}
	if l.buffer, err = unix.GetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_RCVBUF); err != nil {
		return option("SO_RCVBUF", err)
	}
	if l.waiter, err = newWaiter(l.fd, l.config.Output, l.config.Dedicated); err != nil {
		return fmt.Errorf("events: %w", os.NewSyscallError("eventfd", err))
	}
	return l.join()
}

// setBuffer sizes the receive buffer.
func (l *Listener) setBuffer() error {
	err := unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, l.config.Buffer)
	if err != nil {
		err = unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, l.config.Buffer)
	}
	return option("SO_RCVBUF", err)
}

// join sets the options that decide what is received, and joins the group.
func (l *Listener) join() error {
	// Without it one overrun drops all that follows until the queue is empty.
	if err := unix.SetsockoptInt(l.fd, uapi.SOL_NETLINK, uapi.NetlinkNoENOBUFS, 1); err != nil {
		return option("NETLINK_NO_ENOBUFS", err)
	}
	if l.group.pktinfo {
		if err := unix.SetsockoptInt(l.fd, uapi.SOL_NETLINK, uapi.NetlinkPktinfo, 1); err != nil {
			return option("NETLINK_PKTINFO", err)
		}
	}
	if l.config.AllNamespaces {
		if err := unix.SetsockoptInt(l.fd, uapi.SOL_NETLINK, uapi.NetlinkListenAllNSID, 1); err != nil {
			return subscription("of all namespaces", err)
		}
	}
	if p := filterProgram(l.family.ID, l.config.Types); p != nil && l.ring == nil {
		program := &unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
		if err := unix.SetsockoptSockFprog(l.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, program); err != nil {
			return option("SO_ATTACH_FILTER", err)
		}
	}
	// Whoever waits in the socket, does so for a bounded time.
	patience := unix.NsecToTimeval(int64(l.waiter.longest()))
	if err := unix.SetsockoptTimeval(l.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		return option("SO_RCVTIMEO", err)
	}
	if err := unix.SetNonblock(l.fd, false); err != nil {
		return fmt.Errorf("events: %w", os.NewSyscallError("fcntl", err))
	}
	_, drops, errno := socketMemory(l.fd, &l.memory)
	if errno != 0 {
		return option("SO_MEMINFO", errno)
	}
	l.base, l.book.seen = drops, drops
	l.attended = time.Now()
	l.meter.last = l.attended
	err := unix.SetsockoptInt(l.fd, uapi.SOL_NETLINK, uapi.NetlinkAddMembership, int(l.group.number))
	if err != nil {
		return subscription("", err)
	}
	return nil
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

// Family returns what the kernel said of the path manager's family. A recording
// needs its numbers: they are given out at boot.
func (l *Listener) Family() Family { return l.family }

// Engine names the engine that runs at present, "netlink" or "ring".
func (l *Listener) Engine() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ring != nil {
		return EngineRing.String()
	}
	return EngineNetlink.String()
}

// Buffer returns the size of the receive buffer, as the kernel granted it, or of
// the ring, in bytes.
func (l *Listener) Buffer() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ring != nil {
		return l.ring.size()
	}
	return l.buffer
}

// Refused returns how many messages were dropped because they did not come from
// the kernel, or not to the event group.
func (l *Listener) Refused() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && l.ring != nil {
		l.foreign = l.ring.refused()
	}
	return l.foreign + l.refused.Load()
}

// Lost returns how many events were lost up to now, those included that the stream
// has not come to yet.
func (l *Listener) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.countDrops()
	}
	return l.drops + l.full + l.unread.Load()
}

// countDrops counts what the kernel dropped and the ring refused.
func (l *Listener) countDrops() {
	if l.ring != nil {
		l.full, l.foreign = l.ring.drops(), l.ring.refused()
	}
	var m [16]uint32
	if _, drops, errno := socketMemory(l.fd, &m); errno == 0 {
		l.drops = l.widen(drops)
	}
}

// widen turns the kernel's counter, which wraps around at 32 bits, into the number
// of drops since the start.
func (l *Listener) widen(drops uint32) uint64 {
	return l.drops + uint64(drops-l.base-uint32(l.drops))
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
	if l.fd >= 0 {
		l.countDrops()
	}
	if l.reading {
		l.waiter.signal()
		return nil
	}
	return l.release()
}

// release closes the descriptors.
func (l *Listener) release() error {
	var err error
	if l.fd >= 0 {
		err = os.NewSyscallError("close", unix.Close(l.fd))
	}
	if l.ring != nil {
		err = errors.Join(err, l.ring.close())
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

// netns returns the name of the namespace with the number.
func (l *Listener) netns(nsid int32) string {
	if nsid == OwnNamespace {
		return ""
	}
	if l.config.Resolve != nil {
		return l.config.Resolve(nsid)
	}
	name, ok := l.names[nsid]
	if !ok {
		if l.names == nil {
			l.names = make(map[int32]string)
		}
		name = "nsid " + strconv.Itoa(int(nsid))
		l.names[nsid] = name
	}
	return name
}
