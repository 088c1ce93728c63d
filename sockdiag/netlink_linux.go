package sockdiag

import (
	"errors"
	"os"
	"runtime"
	"unsafe"

	"mptcpctl/internal/thread"

	"golang.org/x/sys/unix"
)

// transport carries netlink messages to the kernel and back.
type transport interface {
	// send sends a datagram to the kernel, which answers before send returns: with the
	// first part of a dump, or all of a lookup.
	send(b []byte) error
	// receive reads a datagram. It does not block: EAGAIN says that there is none, so that
	// the answer was lost.
	receive(b []byte) (int, error)
	close() error
}

// netlinkSocket is the transport to the running kernel.
type netlinkSocket struct{ fd int }

// receiveBuffer is the size that a socket asks for, so that the answers to a batch of
// lookups fit. It gets no more than net.core.rmem_max.
const receiveBuffer = 1 << 20

// openNetlink opens a socket in the calling thread's network namespace, connected to port
// 0, so that nobody but the kernel can send to it.
func openNetlink() (*netlinkSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT) {
			err = notSupported("NETLINK_SOCK_DIAG", err)
		}
		return nil, err
	}
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	// Only batches of lookups need it, and they make do with less.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	return &netlinkSocket{fd}, nil
}

// send and receive do not tell the scheduler of the call, because neither waits for
// anything, and each takes less than 0.1 ms. Otherwise the scheduler would take the
// processor away in the middle of most calls: a list of 10,000 connections took 1.06 to
// 1.09 times the processor time, one of 50,000 took 1.04 to 1.06 times.
func (s *netlinkSocket) send(b []byte) error {
	_, err := s.call(unix.SYS_WRITE, b)
	return err
}

func (s *netlinkSocket) receive(b []byte) (int, error) { return s.call(unix.SYS_READ, b) }

// call reads or writes b.
func (s *netlinkSocket) call(number uintptr, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(
			number, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

func (s *netlinkSocket) close() error { return unix.Close(s.fd) }

// home is the network namespace that a client was made in. Sockets that the client opens
// later, from any thread, must be in the same one.
type home struct {
	file *os.File // nil without /proc: the caller's threads are then taken to be at home
}

// currentHome remembers the calling thread's namespace.
func currentHome() home {
	file, err := os.Open(currentNamespace)
	if err != nil {
		return home{}
	}
	return home{file}
}

const currentNamespace = "/proc/thread-self/ns/net"

// do runs f on a thread that is in the namespace. It needs CAP_SYS_ADMIN, unless
// the calling thread is there already.
func (h home) do(f func() error) error {
	if h.file == nil {
		return f()
	}
	runtime.LockOSThread()
	here, err := h.isCurrent()
	if err == nil && here {
		defer runtime.UnlockOSThread()
		return f()
	}
	runtime.UnlockOSThread()
	if err != nil {
		return err
	}
	return thread.Run(func() error {
		if err := thread.Enter(h.file); err != nil {
			return os.NewSyscallError("setns", err)
		}
		return f()
	})
}

// isCurrent reports whether the calling thread is in the namespace.
func (h home) isCurrent() (bool, error) {
	mine, err := h.file.Stat()
	if err != nil {
		return false, err
	}
	current, err := os.Stat(currentNamespace)
	if err != nil {
		return false, err
	}
	return os.SameFile(mine, current), nil
}

func (h home) close() error {
	if h.file == nil {
		return nil
	}
	return h.file.Close()
}
