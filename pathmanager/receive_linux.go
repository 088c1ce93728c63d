package pathmanager

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"mptcpctl/internal/uapi"

	"golang.org/x/sys/unix"
)

const (
	// receiveSlots is how many messages one system call reads at most.
	receiveSlots = 128
	// slotSize is more than four times the longest event that a kernel sends
	// (124 bytes up to Linux 7.3).
	slotSize = 512
	// controlSize holds the control messages of one message: the namespace's
	// number, the group, and a spare one.
	controlSize = 3 * 24

	sockaddrSize = 12 // sizeof(struct sockaddr_nl)
)

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// receiver reads many messages with one system call, into memory of its own.
type receiver struct {
	fd      int
	headers []mmsghdr
	names   []unix.RawSockaddrNetlink
	buffer  []byte
	control []byte // nil if no control messages are asked for
	size    int    // of a slot in buffer
}

// newReceiver returns a receiver for the socket.
func newReceiver(fd, slots, size int, control bool) *receiver {
	r := &receiver{
		fd:      fd,
		headers: make([]mmsghdr, slots),
		names:   make([]unix.RawSockaddrNetlink, slots),
	}
	if control {
		r.control = make([]byte, slots*controlSize)
	}
	iovecs := make([]unix.Iovec, slots)
	for i := range r.headers {
		h := &r.headers[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Namelen = sockaddrSize
		h.Iov = &iovecs[i]
		h.SetIovlen(1)
		if control {
			h.Control = &r.control[i*controlSize]
		}
	}
	r.grow(size)
	return r
}

// grow gives each slot size bytes.
func (r *receiver) grow(size int) {
	r.size = size
	r.buffer = make([]byte, len(r.headers)*size)
	for i := range r.headers {
		iov := r.headers[i].hdr.Iov
		iov.Base = &r.buffer[i*size]
		iov.SetLen(size)
	}
}

// receive reads what is queued, and returns how many messages that were. Without any
// it returns 0 and EAGAIN, with wait after the socket's SO_RCVTIMEO. The scheduler does not
// know of the call, because telling it would cost more than the call: see waiter. The
// runtime's signals interrupt the call all the same.
func (r *receiver) receive(wait bool) (int, syscall.Errno) {
	flags := uintptr(unix.MSG_DONTWAIT)
	if wait {
		flags = unix.MSG_WAITFORONE
	}
	if r.control != nil {
		for i := range r.headers {
			r.headers[i].hdr.SetControllen(controlSize)
		}
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(r.fd),
		uintptr(unsafe.Pointer(&r.headers[0])), uintptr(len(r.headers)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// received is one message, in the receiver's memory.
type received struct {
	data      []byte
	truncated bool
	kernel    bool  // the kernel sent it to the group
	namespace int32 // OwnNamespace or the number of another one
}

// message returns message i of those that receive read.
func (r *receiver) message(i int, g group) received {
	h := &r.headers[i]
	m := received{
		data:      r.buffer[i*r.size:][:min(int(h.len), r.size)],
		truncated: h.hdr.Flags&unix.MSG_TRUNC != 0,
		namespace: OwnNamespace,
	}
	to := uint32(0)
	if r.control != nil {
		m.namespace, to = parseControl(r.control[i*controlSize:][:min(int(h.hdr.Controllen), controlSize)])
	}
	m.kernel = h.hdr.Namelen >= sockaddrSize && g.trusts(&r.names[i], to)
	return m
}

// group is the multicast group that the kernel sends events to.
type group struct {
	number  uint32
	pktinfo bool // the group is in a control message, not in the sender's address
}

// mask returns the bit of the group in a sender's address. Groups above 32 have
// none.
func (g group) mask() uint32 {
	if g.number == 0 || g.number > 32 {
		return 0
	}
	return 1 << (g.number - 1)
}

// trusts reports whether a message with this sender's address came from the kernel, and
// was sent to the group. Anybody with CAP_NET_ADMIN in the namespace can send to the
// group, or to the socket's port, but port id 0 belongs to the kernel.
func (g group) trusts(from *unix.RawSockaddrNetlink, to uint32) bool {
	if from.Family != unix.AF_NETLINK || from.Pid != 0 {
		return false
	}
	if g.pktinfo {
		return to == g.number
	}
	return from.Groups == g.mask()
}

// parseControl reads the control messages of one message: the number of the namespace
// that it comes from (the socket's own has none; 0 is the number of another one) and the
// group that it was sent to.
func parseControl(b []byte) (namespace int32, group uint32) {
	namespace = OwnNamespace
	for len(b) >= unix.SizeofCmsghdr {
		c := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		n := int(c.Len)
		if n < unix.SizeofCmsghdr || n > len(b) {
			break
		}
		if data := b[unix.CmsgLen(0):n]; c.Level == uapi.SOL_NETLINK && len(data) >= 4 {
			switch v := binary.NativeEndian.Uint32(data); c.Type {
			case uapi.NetlinkListenAllNSID:
				namespace = int32(v)
			case uapi.NetlinkPktinfo:
				group = v
			}
		}
		b = b[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(b)):]
	}
	return namespace, group
}

// socketMemory asks the kernel for the bytes in the receive queue and the number
// of messages that it dropped.
func socketMemory(fd int, m *[16]uint32) (queued, drops uint32, errno syscall.Errno) {
	size := uint32(unsafe.Sizeof(*m))
	_, _, errno = unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(m)), uintptr(unsafe.Pointer(&size)), 0)
	return m[0], m[uapi.SkMeminfoDrops], errno
}
