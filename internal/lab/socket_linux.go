package lab

import (
	"net/netip"
	"time"
	"unsafe"

	"mptcpctl/internal/uapi"

	"golang.org/x/sys/unix"
)

// past returns a deadline that is over.
func past() time.Time { return time.Unix(1, 0) }

// newSocket opens a stream socket for the address's family, non-blocking. The net
// package is not asked: it takes plain TCP where MPTCP fails, without a word.
func newSocket(addr netip.Addr, tcp bool) (int, error) {
	family, protocol := unix.AF_INET6, uapi.IPPROTO_MPTCP
	if addr.Is4() {
		family = unix.AF_INET
	}
	if tcp {
		protocol = unix.IPPROTO_TCP
	}
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
}

// sockaddr returns the address in the form of the socket calls.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: 0}
}

// getsockopt returns an option of any length up to 512 bytes.
func getsockopt(fd, level, option int) (string, error) {
	buffer := make([]byte, 512)
	size := uint32(len(buffer))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&buffer[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return "", errno
	}
	return string(buffer[:size]), nil
}
