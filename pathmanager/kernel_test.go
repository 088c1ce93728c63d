package pathmanager

import (
	"context"
	"iter"
	"net/netip"
	"os"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for the kernel before it fails.
const patience = await.Patience

// Two addresses of the test host, both on its loopback link.
var (
	first  = netip.MustParseAddr("10.77.1.1")
	second = netip.MustParseAddr("10.77.2.1")
)

// inside runs f in the namespace and fails the test if f fails.
func inside(t testing.TB, ns *lab.Namespace, f func() error) {
	t.Helper()
	if err := ns.Do(f); err != nil {
		t.Fatal(err)
	}
}

// addAddresses gives the loopback link the addresses.
func addAddresses(t testing.TB, ns *lab.Namespace, addrs ...netip.Addr) {
	t.Helper()
	inside(t, ns, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		for _, a := range addrs {
			addr, err := netlink.ParseAddr(netip.PrefixFrom(a, a.BitLen()).String())
			if err == nil {
				addr.Flags = unix.IFA_F_NODAD
				err = netlink.AddrAdd(lo, addr)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// sysctl sets a sysctl of the namespace.
func sysctl(t testing.TB, ns *lab.Namespace, name, value string) {
	t.Helper()
	inside(t, ns, func() error { return os.WriteFile("/proc/sys/net/mptcp/"+name, []byte(value), 0) })
}

// dial opens a client in the namespace.
func dial(t testing.TB, ns *lab.Namespace) *Client {
	t.Helper()
	var c *Client
	inside(t, ns, func() (err error) {
		c, err = Dial(nil)
		return err
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// listen opens a listener in the namespace.
func listen(t testing.TB, ns *lab.Namespace, config *ListenConfig) *Listener {
	t.Helper()
	var l *Listener
	inside(t, ns, func() (err error) {
		l, err = listenMoved(config)
		return err
	})
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// stream takes the events of a listener one by one.
type stream struct {
	t    testing.TB
	pull func() (mptcp.Event, error, bool)
}

func follow(t testing.TB, l *Listener) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	pull, stop := iter.Pull2(l.Events(ctx))
	t.Cleanup(func() {
		cancel()
		stop()
	})
	return &stream{t: t, pull: pull}
}

// next returns the next event.
func (s *stream) next() mptcp.Event {
	s.t.Helper()
	e, err, ok := s.pull()
	if err != nil || !ok {
		s.t.Fatalf("no further event: %v", err)
	}
	return e
}

// until returns the events up to the first of the type.
func (s *stream) until(typ mptcp.EventType) []mptcp.Event {
	s.t.Helper()
	var all []mptcp.Event
	for {
		e := s.next()
		all = append(all, e)
		if e.Type == typ {
			return all
		}
	}
}

// find returns the first event of the type, and drops those before it.
func (s *stream) find(typ mptcp.EventType) mptcp.Event {
	s.t.Helper()
	all := s.until(typ)
	return all[len(all)-1]
}

// sockaddr returns the address for the system calls.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// mptcpListener opens a listening MPTCP socket; port 0 lets the kernel choose.
func mptcpListener(t testing.TB, ns *lab.Namespace, addr netip.AddrPort) (fd int, bound netip.AddrPort) {
	t.Helper()
	inside(t, ns, func() (err error) {
		if fd, err = unix.Socket(int(mptcp.FamilyOf(addr.Addr())), unix.SOCK_STREAM|unix.SOCK_CLOEXEC,
			uapi.IPPROTO_MPTCP); err != nil {
			return err
		}
		if err := unix.Bind(fd, sockaddr(addr)); err != nil {
			return err
		}
		if err := unix.Listen(fd, 16); err != nil {
			return err
		}
		sa, err := unix.Getsockname(fd)
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			bound = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
		case *unix.SockaddrInet6:
			bound = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
		}
		return err
	})
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd, bound
}

// pair is an MPTCP connection with both its ends here.
type pair struct {
	t              testing.TB
	client, server int
}

// connect makes a connection to the listener.
func connect(t testing.TB, ns *lab.Namespace, listener int, to netip.AddrPort) *pair {
	t.Helper()
	p := &pair{t: t}
	inside(t, ns, func() (err error) {
		p.client, err = unix.Socket(
			int(mptcp.FamilyOf(to.Addr())),
			unix.SOCK_STREAM|unix.SOCK_CLOEXEC,
			uapi.IPPROTO_MPTCP,
		)
		if err != nil {
			return err
		}
		if err := unix.Connect(p.client, sockaddr(to)); err != nil {
			return err
		}
		p.server, _, err = unix.Accept(listener)
		return err
	})
	t.Cleanup(func() {
		_, _ = unix.Close(p.client), unix.Close(p.server)
	})
	return p
}

// talk sends a byte to and fro: the connection is fully established then.
func (p *pair) talk() {
	p.t.Helper()
	for _, way := range [][2]int{{p.client, p.server}, {p.server, p.client}} {
		var b [1]byte
		_, err := unix.Write(way[0], []byte{1})
		if err == nil {
			_, err = unix.Read(way[1], b[:])
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

// close closes both ends, the client's first.
func (p *pair) close() {
	_, _ = unix.Close(p.client), unix.Close(p.server)
	p.client, p.server = -1, -1
}

// listenersAreHeard reports whether the kernel tells of listeners.
func listenersAreHeard(t testing.TB) bool {
	t.Helper()
	return !labtest.KernelBefore(t, 6, 2)
}

// heardListener is mptcpListener in a test that waits for the event of it.
func heardListener(t testing.TB, ns *lab.Namespace, addr netip.AddrPort) (fd int, bound netip.AddrPort) {
	t.Helper()
	labtest.NeedListenerEvents(t)
	return mptcpListener(t, ns, addr)
}

// relisten makes the kernel send exactly n LISTENER_CREATED events.
func relisten(t testing.TB, fd, n int) {
	t.Helper()
	labtest.NeedListenerEvents(t)
	for range n {
		if err := unix.Listen(fd, 16); err != nil {
			t.Fatal(err)
		}
	}
}
