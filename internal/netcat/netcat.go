// Package netcat is the library behind `mptcpctl nc`: a client and a server on
// MPTCP sockets, with the flags and manners of netcat-openbsd.
//
// It never takes plain TCP in place of MPTCP by itself: where the kernel refuses
// MPTCP sockets it fails and says why. A peer that does not speak MPTCP makes the
// kernel fall back, and Options.Verbose tells so.
//
// When does a connection end?
//
//   - End of input shuts the connection's sending side if anything was sent, or
//     with Options.ShutdownOnEOF (-N) in any case. (netcat-openbsd shuts it with -N
//     only, and then a copied file never ends.) So a listener that was started with
//     an empty input, as in scripts, keeps its connections whole.
//   - A client goes on until both directions have ended, and at a terminal until
//     the peer has ended.
//   - A listener ends a connection when the peer has ended its direction and no
//     more input comes. Until then it goes on listening, because no further subflow
//     could join a connection whose listener is gone.
//
// With Options.KeepOpen many clients are served at once: what they send is written
// to the output as it comes, and the input goes to all who are connected when it is
// read. (netcat-openbsd serves one client after the other.) Input is not read while
// nobody is connected.
package netcat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Options say what [Run] does; the letters are those of the command.
type Options struct {
	Listen   bool   // -l
	KeepOpen bool   // -k, with Listen: go on with further clients
	Host     string // name or address; with Listen the address to listen at, "" for all
	Port     string // number or service name

	Family        Family        // -4, -6
	Source        string        // -s: local address of a client
	SourcePort    uint16        // -p of a client
	Timeout       time.Duration // -w: for connecting, and for a connection on which nothing moves; 0: none
	ShutdownOnEOF bool          // -N
	Numeric       bool          // -n: Host is an address
	Verbose       bool          // -v

	// Listening is called, if set, once the listener is ready.
	Listening func(netip.AddrPort)
}

// Family restricts the addresses of a host name.
type Family string

// The families, in the words of package net's resolver.
const (
	AnyFamily Family = "ip"
	IPv4      Family = "ip4"
	IPv6      Family = "ip6"
)

// Error tells what failed, in netcat's words. It unwraps to the cause:
// [errors.Is] finds the kernel's errno, [mptcp.ErrDisabled] and
// [mptcp.ErrNotSupported] where the kernel has no MPTCP, and [syscall.ETIMEDOUT]
// after Options.Timeout.
type Error struct {
	Op   string // "connect to", "listen on", …
	Host string
	Port string
	Hint string // what to do about it, "" where nothing is known
	Err  error
}

// Error returns netcat's message, such as "connect to 192.0.2.1 port 12345 (tcp)
// failed: Connection refused".
func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s port %s (tcp) failed: %s", e.Op, e.Host, e.Port, reason(e.Err))
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// reason returns the cause as the C library words it: the errno's text with a
// capital, without the name of a system call.
func reason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok && len(errno.Error()) > 0 {
		text := []byte(errno.Error())
		if 'a' <= text[0] && text[0] <= 'z' {
			text[0] -= 'a' - 'A'
		}
		return string(text)
	}
	return err.Error()
}

// Run is netcat: it connects or listens, copies in both directions until all has
// been said, and returns. nil stdin is an empty input. It returns nil when ctx
// ends: that is how a netcat is ended.
//
// A read of stdin that cannot be interrupted (stdin is neither an [os.File] nor a
// connection) holds one goroutine beyond Run's end, until that read returns.
func Run(ctx context.Context, o Options, stdin io.Reader, stdout, stderr io.Writer) error {
	if o.Family == "" {
		o.Family = AnyFamily
	}
	port, err := portNumber(ctx, o.Port, o.Listen)
	if err != nil {
		return err
	}
	s := newSession(o, stdin, stdout, stderr)
	stop := context.AfterFunc(ctx, s.input.interrupt)
	defer stop()
	if o.Listen {
		err = s.listen(ctx, port)
	} else {
		err = s.connect(ctx, port)
	}
	s.finish()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// portNumber resolves a port; a listener may ask for 0.
func portNumber(ctx context.Context, port string, listen bool) (uint16, error) {
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil || port == "" || n == 0 && !listen {
		return 0, fmt.Errorf("port number invalid: %s", port)
	}
	return uint16(n), nil
}

// addresses resolves a host name within the wanted family, in the resolver's
// order of preference.
func (o Options) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		if o.Family == IPv4 && !addr.Is4() || o.Family == IPv6 && addr.Is4() {
			return nil, fmt.Errorf("address family for hostname %s not supported", host)
		}
		return []netip.Addr{addr}, nil
	}
	if o.Numeric {
		return nil, fmt.Errorf("%s is no address", host)
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, string(o.Family), host)
	if err != nil {
		return nil, fmt.Errorf("get address of %s: %w", host, err)
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, nil
}
