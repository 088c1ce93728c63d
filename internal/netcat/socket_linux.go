package netcat

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// past returns a deadline that is over.
func past() time.Time { return time.Unix(1, 0) }

// socket opens an MPTCP socket for the address's family, or tells why there are
// none. Package net is not asked to: it takes plain TCP where MPTCP fails.
func socket(addr netip.Addr) (int, error) {
	family := unix.AF_INET6
	if addr.Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, uapi.IPPROTO_MPTCP)
	switch {
	case errors.Is(err, unix.ENOPROTOOPT):
		return -1, mptcp.ErrDisabled
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL):
		return -1, mptcp.ErrNotSupported
	}
	return fd, err
}

// hint says what to do about an error of socket.
func hint(err error) string {
	switch {
	case errors.Is(err, mptcp.ErrDisabled):
		return "switch it on with sysctl -w net.mptcp.enabled=1"
	case errors.Is(err, mptcp.ErrNotSupported):
		return "MPTCP needs Linux 5.6 or later with CONFIG_MPTCP"
	case errors.Is(err, unix.EACCES) && isReserved(err):
		return "ports below net.ipv4.ip_unprivileged_port_start, 1024 unless it was set, need CAP_NET_BIND_SERVICE: " +
			"run it as root or take a higher port"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return "the system refuses it (a firewall, SELinux, seccomp or a container's policy)"
	}
	return ""
}

// bindError is what became of an attempt to take a port.
type bindError struct {
	port uint16
	err  error
}

func (e *bindError) Error() string { return e.err.Error() }
func (e *bindError) Unwrap() error { return e.err }

// isReserved reports whether the port was one for privileged programs.
func isReserved(err error) bool {
	bind, ok := errors.AsType[*bindError](err)
	return ok && bind.port > 0 && bind.port < 1024
}

// bindTo gives the socket its address.
func bindTo(fd int, at netip.AddrPort) error {
	if err := unix.Bind(fd, Sockaddr(at)); err != nil {
		return &bindError{at.Port(), err}
	}
	return nil
}

// dial connects to one address.
func dial(ctx context.Context, source, to netip.AddrPort) (*net.TCPConn, error) {
	fd, err := socket(to.Addr())
	if err != nil {
		return nil, err
	}
	if source.Addr().IsValid() {
		// Bound without a port, so that the kernel may choose one at connect that is
		// in use towards other peers; refused, it is chosen now.
		if source.Port() == 0 {
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		} else {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		}
		if err == nil {
			err = bindTo(fd, source)
		}
	}
	if err == nil {
		err = unix.Connect(fd, Sockaddr(to))
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return nil, errors.Join(err, unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), "connection")
	defer file.Close() // FileConn takes a copy
	if err := established(ctx, file); err != nil {
		return nil, err
	}
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// established waits until a connecting socket is connected, or cannot be.
func established(ctx context.Context, file *os.File) error {
	stop := context.AfterFunc(ctx, func() { file.SetWriteDeadline(past()) })
	defer stop()
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		if _, failed = unix.Getpeername(int(fd)); failed == nil {
			return true
		}
		errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			failed = err
		case errno != 0:
			failed = unix.Errno(errno)
		default:
			return false // still connecting
		}
		return true
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, failed)
}

// listenAt opens a listener at one address.
// An IPv6 listener takes IPv6 alone.
func listenAt(at netip.AddrPort) (*net.TCPListener, error) {
	fd, err := socket(at.Addr())
	if err != nil {
		return nil, err
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil && at.Addr().Is6() {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = bindTo(fd, at)
	}
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), "listener")
	defer file.Close() // FileListener takes a copy
	l, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// Sockaddr returns the address in the form of the socket calls.
func Sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zone(a.Addr().Zone())}
}

// zone returns the index of a link-local address's device, given by name or number.
func zone(name string) uint32 {
	if name == "" {
		return 0
	}
	if device, err := net.InterfaceByName(name); err == nil {
		return uint32(device.Index)
	}
	n, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0 // the kernel refuses a link-local address without a device
	}
	return uint32(n)
}

// Protocol is what a connection speaks.
type Protocol string

// What a connection speaks. Unknown: the kernel is older than 5.16 and cannot say.
const (
	MPTCP           Protocol = "MPTCP"
	FallenBack      Protocol = "fell back to TCP"
	UnknownProtocol Protocol = "MPTCP socket"
)

// protocolOf asks the kernel what an established connection speaks now.
func protocolOf(c *net.TCPConn) Protocol {
	raw, err := c.SyscallConn()
	if err != nil {
		return UnknownProtocol
	}
	protocol := UnknownProtocol
	// An error means that the connection is closed: nothing is known then.
	_ = raw.Control(func(fd uintptr) { protocol = ProtocolOf(int(fd)) })
	return protocol
}

// ProtocolOf asks the kernel what the socket of an established connection speaks
// now. It may still fall back later.
func ProtocolOf(fd int) Protocol {
	if is, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, uapi.TCPIsMPTCP); err == nil {
		if is != 0 {
			return MPTCP
		}
		return FallenBack
	}
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	plain := err == nil && protocol == unix.IPPROTO_TCP
	_, err = unix.GetsockoptInt(fd, uapi.SOL_MPTCP, uapi.SockoptInfo)
	return protocolByInfo(plain, err, infoKnown)
}

// protocolByInfo tells the protocol before Linux 6.10, by the answer to MPTCP_INFO.
// A socket that accept(2) gave for a plain TCP client is a TCP socket and knows no
// MPTCP options at all; one that fell back says EOPNOTSUPP, and so does every MPTCP
// socket before 5.16, where known is false.
func protocolByInfo(plain bool, err error, known func() bool) Protocol {
	switch {
	case plain:
		return FallenBack
	case err == nil:
		return MPTCP
	case errors.Is(err, unix.EOPNOTSUPP) && known():
		return FallenBack
	}
	return UnknownProtocol
}

// infoKnown reports whether the kernel has MPTCP_INFO: an MPTCP socket that is not
// connected answers it with anything but EOPNOTSUPP.
func infoKnown() bool {
	fd, err := socket(netip.IPv4Unspecified())
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	_, err = unix.GetsockoptInt(fd, uapi.SOL_MPTCP, uapi.SockoptInfo)
	return !errors.Is(err, unix.EOPNOTSUPP)
}
