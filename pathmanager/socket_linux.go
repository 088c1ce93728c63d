package pathmanager

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// mostCharge is more than the kernel ever charges for one of its messages: a queue with
// fewer than size/mostCharge messages cannot have been full.
const mostCharge = 8 << 10

// socket is EngineNetlink, and what the ring is put in front of: a netlink socket that
// the event group sends to.
//
// The kernel drops a message when the receive buffer is full, and counts it. Asking for
// the count costs as much as an event, so socket asks only when the queue can have been
// full since it was last known to be empty.
type socket struct {
	fd       int
	family   Family
	group    group
	receiver *receiver
	granted  int // size of the receive buffer

	refused atomic.Uint64

	book      lossBook
	unchecked int        // messages read since the queue was last known not to be full
	odd       bool       // some of them were not the kernel's, and may have taken more room
	memory    [16]uint32 // of SO_MEMINFO

	base  uint32 // the kernel's count of drops when the listener began
	drops uint64 // since then, as last counted; guarded by the listener's mutex
}

// openSocket opens the socket in the namespace of the calling thread. It does not belong
// to the group yet.
func openSocket(c *ListenConfig) (*socket, error) {
	conn, err := openConn()
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	s := &socket{fd: conn.fd}
	if s.family, err = conn.family(context.Background()); err != nil {
		return s, fmt.Errorf("events: %w", err)
	}
	if s.family.Events == 0 {
		return s, fmt.Errorf("events: group %s: %w", uapi.PMEventGroup, mptcp.ErrNotSupported)
	}
	if err := conn.disconnect(); err != nil {
		return s, fmt.Errorf("events: %w", err)
	}
	s.group = group{number: s.family.Events, pktinfo: c.pktinfo || s.family.Events > 32}
	s.receiver = newReceiver(s.fd, c.slots, c.size, c.AllNamespaces || s.group.pktinfo)
	return s, nil
}

// enlarge asks for a receive buffer of so many bytes, which the kernel doubles. With 0
// the size stays as it is.
func (s *socket) enlarge(size int) error {
	if size > 0 {
		err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size)
		if err != nil {
			err = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size)
		}
		if err != nil {
			return option("SO_RCVBUF", err)
		}
	}
	var err error
	s.granted, err = unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return option("SO_RCVBUF", err)
}

// filter lets through events of these types only, all events for no types.
func (s *socket) filter(types []mptcp.EventType) error {
	p := filterProgram(s.family.ID, types)
	if p == nil {
		return nil
	}
	program := &unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	return option("SO_ATTACH_FILTER", unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, program))
}

// join sets the options that decide what is received, and joins the group.
func (s *socket) join(allNamespaces bool) error {
	// Without it one overrun drops everything that follows until the queue is empty.
	if err := unix.SetsockoptInt(s.fd, uapi.SOL_NETLINK, uapi.NetlinkNoENOBUFS, 1); err != nil {
		return option("NETLINK_NO_ENOBUFS", err)
	}
	if s.group.pktinfo {
		if err := unix.SetsockoptInt(s.fd, uapi.SOL_NETLINK, uapi.NetlinkPktinfo, 1); err != nil {
			return option("NETLINK_PKTINFO", err)
		}
	}
	if allNamespaces {
		if err := unix.SetsockoptInt(s.fd, uapi.SOL_NETLINK, uapi.NetlinkListenAllNSID, 1); err != nil {
			return subscription("of all namespaces", err)
		}
	}
	if err := unix.SetNonblock(s.fd, false); err != nil {
		return fmt.Errorf("events: %w", os.NewSyscallError("fcntl", err))
	}
	_, drops, errno := socketMemory(s.fd, &s.memory)
	if errno != 0 {
		return option("SO_MEMINFO", errno)
	}
	s.base, s.book.seen = drops, drops
	err := unix.SetsockoptInt(s.fd, uapi.SOL_NETLINK, uapi.NetlinkAddMembership, int(s.group.number))
	if err != nil {
		return subscription("", err)
	}
	return nil
}

// patience bounds how long take waits.
func (s *socket) patience(d time.Duration) error {
	span := unix.NsecToTimeval(int64(d))
	return option("SO_RCVTIMEO", unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &span))
}

func (s *socket) name() Engine  { return EngineNetlink }
func (s *socket) size() int     { return s.granted }
func (s *socket) capacity() int { return s.granted / eventCharge }

func (s *socket) take(b *batch, wait bool) (int, unix.Errno) {
	b.begin()
	n, errno := s.receiver.receive(wait)
	if errno != 0 {
		return 0, errno
	}
	b.at = time.Now()
	odd := s.fill(b, n)
	return n, s.checkLoss(b, n, odd)
}

// fill adds n messages to the batch. It reports whether some were not as the kernel's
// are, and may have been charged with more.
func (s *socket) fill(b *batch, n int) (odd bool) {
	truncated := false
	for i := range n {
		m := s.receiver.message(i, s.group)
		if !m.kernel || len(m.data) >= nlmsg.HeaderSize && binary.NativeEndian.Uint16(m.data[4:]) != s.family.ID {
			s.refused.Add(1)
			odd = true
			continue
		}
		truncated = truncated || m.truncated
		b.add(m.data, m.namespace)
	}
	if truncated {
		s.receiver.grow(2 * s.receiver.size)
	}
	return odd || truncated
}

// checkLoss adds an EventLost where the kernel dropped messages. n were read just now;
// odd says that others' messages were among them.
func (s *socket) checkLoss(b *batch, n int, odd bool) unix.Errno {
	s.unchecked += n
	s.odd = s.odd || odd
	drained := n < b.most
	if drained && !s.odd && s.unchecked < s.granted/mostCharge && !s.book.waiting() {
		s.unchecked = 0
		return 0
	}
	queued, drops, errno := socketMemory(s.fd, &s.memory)
	if errno != 0 {
		return errno
	}
	b.addLoss(s.book.observe(s.unchecked, drops, queued))
	s.unchecked, s.odd = 0, s.odd && !drained
	return 0
}

func (s *socket) count() (lost, refused uint64) {
	var memory [16]uint32
	if _, drops, errno := socketMemory(s.fd, &memory); errno == 0 {
		s.drops = s.widen(drops)
	}
	return s.drops, s.refused.Load()
}

// widen turns the kernel's count, which wraps around at 32 bits, into the number of
// drops since the listener began.
func (s *socket) widen(drops uint32) uint64 {
	return s.drops + uint64(drops-s.base-uint32(s.drops))
}

func (s *socket) close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }
