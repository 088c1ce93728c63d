package probe

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/lab/labtest"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// listening opens a listener on loopback, over MPTCP or TCP, and returns its address.
func listening(t *testing.T, protocol, backlog int) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if err = errors.Join(err, unix.Listen(fd, backlog)); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return addrPort(bound)
}

// connected connects once and closes, with more time than a loaded machine needs.
func connected(t *testing.T, r Request) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := Connect(ctx, r)
	c.Close()
	return c
}

// What the kernel says of a socket is what is spoken on it.
func TestSpoken(t *testing.T) {
	inside(t, func() {
		for _, c := range []struct {
			protocol int
			tcp      bool
			want     Spoken
		}{
			{unix.IPPROTO_MPTCP, false, MPTCP},
			{unix.IPPROTO_TCP, false, Fallback},
			{unix.IPPROTO_MPTCP, true, TCP},
			{unix.IPPROTO_TCP, true, TCP},
		} {
			to := listening(t, c.protocol, 8)
			got := connected(t, Request{To: to, TCP: c.tcp})
			if got.Err != nil || got.Spoken != c.want || got.Local.Addr() != to.Addr() || got.Took <= 0 {
				t.Errorf("protocol %d, plain TCP %v: %+v, want %s", c.protocol, c.tcp, got, c.want)
			}
		}
	})
}

// A connection goes from the address and the device that are asked for.
func TestConnectFromAddress(t *testing.T) {
	inside(t, func() {
		to := listening(t, unix.IPPROTO_MPTCP, 8)
		from := netip.MustParseAddr("127.0.0.2")
		if got := connected(t, Request{To: to, From: from, Device: "lo"}); got.Err != nil || got.Local.Addr() != from {
			t.Errorf("from %v: %+v", from, got)
		}
		for name, r := range map[string]Request{
			"an address that this host lacks": {To: to, From: netip.MustParseAddr("192.0.2.9")},
			"a device that is not there":      {To: to, Device: "none0"},
		} {
			if got := connected(t, r); got.Err == nil || got.Spoken != "" {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
}

// What fails is an errno, whichever it is.
func TestConnectFails(t *testing.T) {
	inside(t, func() {
		free := listening(t, unix.IPPROTO_TCP, 8)
		for _, tcp := range []bool{false, true} {
			refused := connected(
				t,
				Request{To: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.3"), free.Port()), TCP: tcp},
			)
			if !errors.Is(refused.Err, syscall.ECONNREFUSED) || refused.Spoken != "" || refused.Local.IsValid() {
				t.Errorf("nobody listens, plain TCP %v: %+v", tcp, refused)
			}
			lost := connected(t, Request{To: netip.MustParseAddrPort("192.0.2.1:1"), TCP: tcp})
			if !errors.Is(lost.Err, syscall.ENETUNREACH) {
				t.Errorf("no route, plain TCP %v: %+v", tcp, lost)
			}
		}
	})
}

// A server that does not answer keeps nobody longer than the context lasts.
func TestConnectIsPatientAsLongAsItsContext(t *testing.T) {
	inside(t, func() {
		to := listening(t, unix.IPPROTO_TCP, 0)
		for tries := range 8 { // once the queue is full the kernel drops SYN
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			c := Connect(ctx, Request{To: to, TCP: true})
			cancel()
			t.Cleanup(c.Close)
			if c.Err == nil {
				continue
			}
			if !errors.Is(c.Err, syscall.ETIMEDOUT) || c.Took < 200*time.Millisecond {
				t.Errorf("try %d: %v after %v", tries, c.Err, c.Took)
			}
			return
		}
		t.Error("a listener without a queue took eight connections")
	})
}

// inside runs the test on a thread in a network namespace of its own.
func inside(t *testing.T, test func()) {
	t.Helper()
	ns := labtest.MPTCP(t)
	if err := ns.Do(func() error { test(); return nil }); err != nil {
		t.Fatal(err)
	}
}
