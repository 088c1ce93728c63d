package sockdiag

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"syscall"
	"time"
	"unsafe"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"

	"golang.org/x/sys/unix"
)

// Destroyed yields the TCP sockets that end in the namespace, with their last counters
// (SKNLGRP_INET_TCP_DESTROY). It listens from the call on, not only from the start of the
// iteration: call it, then list, and no socket's end is missed. Iterate only once.
//
// The kernel gives neither the token nor the upper layer protocol of a socket that ended,
// and it reports plain TCP sockets and listeners too. The cookie tells which of the
// subflows that were listed before it is. If the peer closed first, the kernel wipes the
// remote port and the counters of the initial subflow before it reports it; those of joins,
// and those on the side that closed first, are whole. Connections are not reported.
//
// An error for which [errors.Is] holds with ENOBUFS says that ends were missed, because
// they came faster than they were read; the iteration goes on. Any other error ends it, and
// so does the end of ctx, with its error. Errors are [*Error]. It needs no privilege.
func (c *Client) Destroyed(ctx context.Context) iter.Seq2[Subflow, error] {
	const op = "watch ended sockets"
	l, err := c.listenDestroyed()
	return func(yield func(Subflow, error) bool) {
		if err != nil {
			yield(Subflow{}, &Error{Op: op, Err: err})
			return
		}
		defer l.file.Close()
		stop := context.AfterFunc(ctx, func() { _ = l.file.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
		for {
			err := l.receive(func(row *Subflow) bool { return yield(*row, nil) })
			switch {
			case errors.Is(err, errStopped):
				return
			case err == nil:
			case ctx.Err() != nil:
				yield(Subflow{}, &Error{Op: op, Err: ctx.Err()})
				return
			case errors.Is(err, unix.ENOBUFS):
				if !yield(Subflow{}, &Error{Op: op, Err: err}) {
					return
				}
			default:
				yield(Subflow{}, &Error{Op: op, Err: err})
				return
			}
		}
	}
}

// errStopped is returned when the caller has left the loop.
var errStopped = errors.New("stopped")

// destroyListener is a socket in the groups of ended TCP sockets.
type destroyListener struct {
	file *os.File
	raw  syscall.RawConn
	buf  []byte
	row  Subflow
}

// listenDestroyed opens a listener in the client's namespace. The garbage collector closes
// a listener that nobody iterates over.
func (c *Client) listenDestroyed() (*destroyListener, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return nil, fs.ErrClosed
	}
	size := c.config.DestroyedBuffer
	if size == 0 {
		size = 4 << 20
	}
	var fd int
	err := c.home.do(func() (err error) {
		fd, err = openGroups(size)
		return err
	})
	if err != nil {
		return nil, err
	}
	l := &destroyListener{file: os.NewFile(uintptr(fd), "sock_diag"), buf: make([]byte, destroyedSize)}
	l.raw, err = l.file.SyscallConn()
	if err != nil {
		l.file.Close()
		return nil, err
	}
	return l, nil
}

// destroyedSize holds what the kernel says of one socket that ended, several times over. A
// listener keeps it, and there may be one in each of thousands of namespaces.
const destroyedSize = 8 << 10

// openGroups opens a socket in both groups of ended TCP sockets.
func openGroups(size int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return -1, err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size) // a small one loses sooner, and says so
	}
	groups := uint32(1<<(uapi.SknlgrpInetTCPDestroy-1) | 1<<(uapi.SknlgrpInet6TCPDestroy-1))
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// receive waits for a datagram and calls row with its sockets.
func (l *destroyListener) receive(row func(*Subflow) bool) error {
	var n int
	var sender uint32
	var failed error
	err := l.raw.Read(func(fd uintptr) bool {
		n, sender, failed = receiveFrom(int(fd), l.buf)
		return failed != unix.EAGAIN
	})
	if err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	if sender != 0 {
		return nil // an administrator's process can send to the group as well
	}
	for batch := l.buf[:n]; len(batch) > 0; {
		m, rest, ok := nlmsg.Next(batch)
		if !ok {
			return errTruncated
		}
		batch = rest
		if m.Type() != uapi.SockDiagByFamily {
			continue
		}
		if err := DecodeSubflow(m.Payload(), &l.row); err != nil {
			return err
		}
		if !row(&l.row) {
			return errStopped
		}
	}
	return nil
}

// receiveFrom reads a datagram and the netlink port of its sender, which is 0 for the
// kernel. Unlike unix.Recvfrom it does not allocate.
func receiveFrom(fd int, b []byte) (n int, sender uint32, err error) {
	var from unix.RawSockaddrNetlink
	size := uint32(unsafe.Sizeof(from))
	for {
		r, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), 0, uintptr(unsafe.Pointer(&from)), uintptr(unsafe.Pointer(&size)))
		switch errno {
		case 0:
			return int(r), from.Pid, nil
		case unix.EINTR:
		default:
			return 0, 0, errno
		}
	}
}
