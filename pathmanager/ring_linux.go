package pathmanager

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"mptcpctl/internal/bpf"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// ring is a BPF ring buffer with the kernel's events, mapped into this process. A socket
// filter copies each event into it and drops the message. A reader that wants to wait asks
// for the next event to come to the socket instead, which wakes it.
//
// Positions count bytes since the beginning and never go back; position & mask is the
// place in data. Four of them divide the ring:
//
//	      read, to be released   known, not read   written since the look
//	… free ┌────────────────────┬─────────────────┬──────────────────────┐ free …
//	    consumer                at                end                 producer
//
//	producer   the program moves it when it reserves a record, in a page of the kernel
//	end        look moves it to producer
//	at         next moves it past a record, and stops at one that is still being written
//	consumer   release moves it to at: the program may write there again
//
// A record is a header of 8 bytes (the length, with a bit while it is being written and a
// bit if it was discarded), the count of drops so far, and the netlink message. The count
// tells how many events were lost between two records.
//
// The program's instructions are few and never change, so they are written down rather
// than compiled: see package bpf.
type ring struct {
	files    []int // ring buffer, state, program
	program  int
	consumer []byte // the page with the position
	producer []byte // the page with the position, and the data twice, so that no record is cut
	state    []byte // of the program: see stateDrops
	data     []byte

	mask    uint64
	at      uint64
	end     uint64
	dropped uint32 // the count of drops in the newest record that was read
	base    uint64 // refused messages that were our own proof
	asked   bool   // for an event to come to the socket
}

// createMap creates a map.
func createMap(typ, key, value, entries, flags uint32) (int, error) {
	attr := struct{ typ, key, value, entries, flags uint32 }{typ, key, value, entries, flags}
	fd, err := bpf.Syscall(unix.BPF_MAP_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return fd, os.NewSyscallError("bpf map", err)
}

// newRing returns a ring whose program has proved itself, but is attached to nothing
// yet. The size is rounded down to a power of two.
//
// It asks for the privilege before it calls bpf(2): under a seccomp list without that
// call, such as systemd's @system-service, the call would kill the process.
func newRing(size int, rule ringRule) (*ring, error) {
	if err := bpf.MayLoad(); err != nil {
		return nil, err
	}
	r := &ring{}
	if err := r.open(size, rule); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// attach makes the program the filter of the socket. From then on the socket receives
// nothing but what is asked for, and what passed a filter before this moment.
func (r *ring) attach(socket int) error {
	err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, r.program)
	return os.NewSyscallError("socket option SO_ATTACH_BPF", err)
}

func (r *ring) open(size int, rule ringRule) error {
	page := os.Getpagesize()
	size = max(1<<(bits.Len(uint(size))-1), page)
	buffer, err := createMap(unix.BPF_MAP_TYPE_RINGBUF, 0, 0, uint32(size), 0)
	if err != nil {
		return err
	}
	r.files = append(r.files, buffer)
	state, err := createMap(unix.BPF_MAP_TYPE_ARRAY, 4, stateSize, 1, unix.BPF_F_MMAPABLE)
	if err != nil {
		return err
	}
	r.files = append(r.files, state)
	r.program, err = bpf.Load(unix.BPF_PROG_TYPE_SOCKET_FILTER, ringProgram(buffer, state, rule), 0, 0)
	if err != nil {
		return err
	}
	r.files = append(r.files, r.program)
	if r.consumer, err = unix.Mmap(buffer, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		r.producer, err = unix.Mmap(buffer, int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED)
	}
	if err == nil {
		r.state, err = unix.Mmap(state, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	r.data, r.mask = r.producer[page:], uint64(size-1)
	return r.prove()
}

// prove shows that the program sees the sender of a message: it must refuse what one socket
// of ours sends to another, and name the port of the former. If the kernel's structures
// are not those that the program knows, the engine must not be used.
func (r *ring) prove() error {
	target, to, err := newProbe()
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if err := r.attach(target); err != nil {
		return err
	}
	probe, from, err := newProbe()
	if err != nil {
		return err
	}
	defer unix.Close(probe)
	if err := unix.Sendto(probe, make([]byte, nlmsg.HeaderSize+genlHeaderSize), 0, to); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	sender := (*[2]uint32)(unsafe.Pointer(&r.state[stateSender]))
	r.base = r.count(stateRefused)
	if r.base != 1 || sender[0] != from.Pid || sender[1] != 0 {
		return fmt.Errorf("the filter does not see who sends: %w", mptcp.ErrNotSupported)
	}
	return nil
}

// newProbe returns a bound socket and its address.
func newProbe() (int, *unix.SockaddrNetlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return -1, nil, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return -1, nil, errors.Join(os.NewSyscallError("bind", err), unix.Close(fd))
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return -1, nil, errors.Join(os.NewSyscallError("getsockname", err), unix.Close(fd))
	}
	return fd, name.(*unix.SockaddrNetlink), nil
}

// size returns how many bytes of records the ring holds.
func (r *ring) size() int { return int(r.mask + 1) }

// count reads a counter of the program.
func (r *ring) count(field int) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&r.state[field])))
}

func (r *ring) drops() uint64   { return r.count(stateDrops) }
func (r *ring) refused() uint64 { return r.count(stateRefused) - r.base }

// look notes up to where records are written, or are being written.
func (r *ring) look() { r.end = atomic.LoadUint64((*uint64)(unsafe.Pointer(&r.producer[0]))) }

// known reports whether there was one more at the last look.
func (r *ring) known() bool { return r.at != r.end }

// empty reports whether there was neither a record nor a loss at the last look.
func (r *ring) empty() bool { return !r.known() && uint32(r.drops()) == r.dropped }

// next returns the next message up to the last look, and how many events were lost before
// it. The message is valid until release. Without one it returns nil.
func (r *ring) next() (msg []byte, lost uint32) {
	for r.known() {
		at := r.at & r.mask
		head := atomic.LoadUint32((*uint32)(unsafe.Pointer(&r.data[at])))
		if head&unix.BPF_RINGBUF_BUSY_BIT != 0 {
			return nil, 0
		}
		n := uint64(head &^ unix.BPF_RINGBUF_DISCARD_BIT)
		record := r.data[at+unix.BPF_RINGBUF_HDR_SZ:][:n]
		r.at += (n + unix.BPF_RINGBUF_HDR_SZ + 7) &^ 7
		if head&unix.BPF_RINGBUF_DISCARD_BIT != 0 || n < recordPrefix+nlmsg.HeaderSize {
			continue
		}
		// Two processors may have read the count in another order than they reserved.
		drops := *(*uint32)(unsafe.Pointer(&record[0]))
		if lost = drops - r.dropped; int32(lost) < 0 {
			lost = 0
		}
		r.dropped += lost
		msg = record[recordPrefix:]
		return msg[:min(len(msg), int(*(*uint32)(unsafe.Pointer(&msg[0]))))], lost
	}
	return nil, 0
}

// pending reports whether a record is written, or is being written.
func (r *ring) pending() bool {
	if !r.known() {
		r.look()
	}
	return r.known()
}

// tail returns how many events were lost after the last record, when all were read.
func (r *ring) tail() (lost uint32) {
	drops := uint32(r.drops()) // before the look: drops in between belong to a later record
	if drops == r.dropped || r.pending() {
		return 0
	}
	lost = drops - r.dropped
	r.dropped = drops
	return lost
}

// release gives back the room of the records that were read.
func (r *ring) release() {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&r.consumer[0])), r.at)
}

// ask asks for the next event to come to the socket, which wakes the reader. It reports
// whether there is still none in the ring.
func (r *ring) ask() bool {
	atomic.StoreUint64(r.waiting(), 1)
	r.asked = true
	return !r.pending()
}

// unask withdraws what ask asked for. It reports whether it was too late: the event is in
// the socket, or on its way there.
func (r *ring) unask() (late bool) {
	if !r.asked {
		return false
	}
	r.asked = false
	return atomic.SwapUint64(r.waiting(), 0) == 0
}

func (r *ring) waiting() *uint64 { return (*uint64)(unsafe.Pointer(&r.state[stateWaiting])) }

// close gives everything back.
func (r *ring) close() error {
	var err error
	for _, memory := range [][]byte{r.consumer, r.producer, r.state} {
		if memory != nil {
			err = errors.Join(err, os.NewSyscallError("munmap", unix.Munmap(memory)))
		}
	}
	for _, fd := range r.files {
		err = errors.Join(err, os.NewSyscallError("close", unix.Close(fd)))
	}
	return err
}

// ringError is the error of a ring that cannot be made.
func ringError(err error) error {
	e := &Error{Op: "ring engine", Message: err.Error(), Err: err}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		switch e.kind = classify(errno, ""); errno {
		case unix.EPERM, unix.EACCES:
			e.Message += " (needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN in the initial user namespace)"
		case unix.EINVAL, unix.ENOSYS:
			e.kind = mptcp.ErrNotSupported
		}
	}
	return e
}
