package probe

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"time"

	"mptcpctl/internal/netcat"
	"mptcpctl/internal/uapi"

	"golang.org/x/sys/unix"
)

// Request says how to connect.
type Request struct {
	To     netip.AddrPort
	From   netip.Addr // the zero value: the kernel chooses
	Device string     // that the socket is bound to; "": none
	TCP    bool       // plain TCP
}

// Spoken is what a connection speaks.
type Spoken string

// What may be spoken. Unknown: the kernel is older than 5.16 and cannot say.
const (
	MPTCP    Spoken = "mptcp"
	Fallback Spoken = "fallback"
	TCP      Spoken = "tcp"
	Unknown  Spoken = "unknown"
)

// Conn is a connection that was made, or what came of the trial.
type Conn struct {
	Request Request
	Local   netip.AddrPort
	Spoken  Spoken // "" where it failed
	Took    time.Duration
	Err     error // nil: connected; else a syscall.Errno, ETIMEDOUT when ctx ended first

	fd int
}

// Connect makes a connection in the network namespace of the calling thread. It
// waits no longer than ctx lasts; the caller closes what it returns.
func Connect(ctx context.Context, r Request) *Conn {
	c := &Conn{Request: r, fd: -1}
	began := time.Now()
	c.Err = c.connect(ctx)
	c.Took = time.Since(began)
	if c.Err != nil {
		c.Close()
		return c
	}
	c.Spoken = c.spoken()
	return c
}

func (c *Conn) connect(ctx context.Context) (err error) {
	family, protocol := unix.AF_INET6, uapi.IPPROTO_MPTCP
	if c.Request.To.Addr().Is4() {
		family = unix.AF_INET
	}
	if c.Request.TCP {
		protocol = unix.IPPROTO_TCP
	}
	c.fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(protocol))
	if err != nil {
		return err
	}
	if c.Request.Device != "" {
		if err := unix.BindToDevice(c.fd, c.Request.Device); err != nil {
			return err
		}
	}
	if c.Request.From.IsValid() {
		if err := unix.Bind(c.fd, netcat.Sockaddr(netip.AddrPortFrom(c.Request.From, 0))); err != nil {
			return err
		}
	}
	err = unix.Connect(c.fd, netcat.Sockaddr(c.Request.To))
	if errors.Is(err, unix.EINPROGRESS) {
		err = c.await(ctx)
	}
	if err != nil {
		return err
	}
	local, err := unix.Getsockname(c.fd)
	if err != nil {
		return err
	}
	c.Local = addrPort(local)
	return nil
}

// await waits until the socket is connected, or cannot be.
func (c *Conn) await(ctx context.Context) error {
	const pause = 20 * time.Millisecond // how late it hears that ctx ended
	for {
		poll := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(poll, int(pause.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n > 0:
			errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
			if err != nil {
				return err
			}
			if errno != 0 {
				return syscall.Errno(errno)
			}
			return nil
		}
		if ctx.Err() != nil {
			return syscall.ETIMEDOUT
		}
	}
}

func (c *Conn) spoken() Spoken {
	if c.Request.TCP {
		return TCP
	}
	switch netcat.ProtocolOf(c.fd) {
	case netcat.MPTCP:
		return MPTCP
	case netcat.FallenBack:
		return Fallback
	}
	return Unknown
}

// Send writes the bytes, as far as the socket takes them at once.
func (c *Conn) Send(b []byte) error {
	_, err := unix.Write(c.fd, b)
	return err
}

// Close ends the connection. It may be called more than once.
func (c *Conn) Close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}

func addrPort(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
