package pathmanager

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// answerSize is more than the kernel ever puts into one answer datagram of this
// family: a dump is cut into pieces of at most 32 KiB.
const answerSize = 32 << 10

// conn is a generic netlink socket that asks and is answered.
//
// The kernel works on a request within the system call that sends it. When the call
// returns, the answer is queued already, so there is nothing to wait for, and no need for
// the runtime's poller. await only guards against an answer that the kernel could not
// allocate.
//
// The socket is connected to port 0, so that nobody but the kernel can send to it:
// otherwise anybody with CAP_NET_ADMIN in the namespace, such as root of a container,
// could fill the receive buffer, and the kernel's answers would be lost.
type conn struct {
	fd  int
	seq uint32
	buf []byte
}

// openConn opens a socket in the network namespace of the calling thread.
func openConn() (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := &conn{fd: fd}
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, errors.Join(os.NewSyscallError("connect", err), c.close())
	}
	// Without extended ACK (before Linux 4.12) errors only say less.
	_ = unix.SetsockoptInt(fd, uapi.SOL_NETLINK, uapi.NetlinkExtACK, 1)
	return c, nil
}

// disconnect lets others send to the socket, as a listener counts what they send.
func (c *conn) disconnect() error {
	address := unix.RawSockaddrNetlink{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(c.fd),
		uintptr(unsafe.Pointer(&address)), unix.SizeofSockaddrNetlink)
	if errno != 0 {
		return os.NewSyscallError("connect", errno)
	}
	return nil
}

func (c *conn) close() error {
	if c.fd < 0 {
		return os.ErrClosed
	}
	err := unix.Close(c.fd)
	c.fd = -1
	return os.NewSyscallError("close", err)
}

// asks is how often a question is asked when there is no room for the answer.
const asks = 4

// again asks a question that changes nothing, and asks again if the kernel had no room
// for the answer.
func again[T any](ask func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		answer, err := ask()
		if try == asks || !errors.Is(err, unix.ENOBUFS) {
			return answer, err
		}
	}
}

// do sends a request and calls visit for each message of the answer. The kernel's refusal
// is an [*Error] without Op and Object. After an error of visit it still reads the rest of
// the answer, so that nothing is left for the next request.
func (c *conn) do(ctx context.Context, request []byte, visit func(msg []byte) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.fd < 0 {
		return os.ErrClosed
	}
	c.seq++
	nlmsg.SetSequence(request, c.seq)
	if err := unix.Sendto(c.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	var failed error
	for {
		datagram, err := c.receive(ctx)
		if errors.Is(err, unix.ENOBUFS) {
			c.drain()
		}
		if err != nil {
			return err
		}
		done, err := c.take(datagram, func(msg []byte) {
			if failed == nil {
				failed = visit(msg)
			}
		})
		if done && err == nil {
			return failed
		}
		if done {
			return err
		}
	}
}

// take calls visit with those messages of a datagram that answer the last request.
func (c *conn) take(b []byte, visit func([]byte)) (done bool, err error) {
	for len(b) > 0 {
		msg, rest, ok := nlmsg.Next(b)
		if !ok {
			return true, nlmsg.Damage(b)
		}
		b = rest
		switch {
		case msg.Sequence() != c.seq: // the rest of an answer that was not read to its end
		case msg.Type() == nlmsg.TypeError, msg.Type() == nlmsg.TypeDone:
			return true, decodeAck(msg)
		case msg.Type() >= nlmsg.MinType:
			visit(msg)
		}
	}
	return false, nil
}

// receive returns the next datagram of the kernel, which is valid until the next call. It
// skips what other processes sent to the socket's port.
func (c *conn) receive(ctx context.Context) ([]byte, error) {
	if c.buf == nil {
		c.buf = make([]byte, answerSize)
	}
	for {
		n, from, err := unix.Recvfrom(c.fd, c.buf, unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			if err := c.await(ctx); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return nil, os.NewSyscallError("recvfrom", err)
		}
		if sa, ok := from.(*unix.SockaddrNetlink); !ok || sa.Pid != 0 {
			continue
		}
		if n > len(c.buf) {
			return nil, os.NewSyscallError("recvfrom", syscall.EMSGSIZE)
		}
		return c.buf[:n], nil
	}
}

// drain reads what is queued, so that the next answer finds room.
func (c *conn) drain() {
	for {
		if _, _, err := unix.Recvfrom(c.fd, c.buf, unix.MSG_TRUNC); err != nil && err != unix.EINTR {
			return
		}
	}
}

// await waits until the socket is readable or the context ends.
func (c *conn) await(ctx context.Context) error {
	fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := unix.Poll(fds, int((50 * time.Millisecond).Milliseconds()))
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
		if n > 0 {
			return nil
		}
	}
}

// family asks the kernel for the path manager's family.
func (c *conn) family(ctx context.Context) (Family, error) {
	var f Family
	err := c.do(ctx, familyRequest(), func(msg []byte) (err error) {
		f, err = decodeFamily(msg)
		f.Raw = bytes.Clone(msg)
		return err
	})
	if errors.Is(err, syscall.ENOENT) {
		return Family{}, fmt.Errorf("generic netlink family %s: %w", uapi.PMFamily, mptcp.ErrNotSupported)
	}
	if err != nil {
		return Family{}, fmt.Errorf("generic netlink family %s: %w", uapi.PMFamily, err)
	}
	return f, nil
}
