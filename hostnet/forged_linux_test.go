package hostnet_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"mptcpctl/hostnet"
	"mptcpctl/internal/lab/labtest"

	"golang.org/x/sys/unix"
)

// routePorts returns the netlink ports of this network namespace's sockets that ask for
// links and routes. The calling thread is in the namespace.
func routePorts(t *testing.T) (ports []uint32) {
	t.Helper()
	sockets, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sockets)) {
		fields := strings.Fields(line)
		port, ok := uint32(0), len(fields) > 2 && fields[1] == "0" // NETLINK_ROUTE
		if ok {
			for _, digit := range fields[2] {
				port = port*10 + uint32(digit-'0')
			}
		}
		if port != 0 {
			ports = append(ports, port)
		}
	}
	return ports
}

// disturb sends one message to each of the ports, or with full as many as find room.
func disturb(t *testing.T, full bool) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	sent := 0
	for _, port := range routePorts(t) {
		for size := 9000; size >= unix.SizeofNlMsghdr; {
			err := unix.Sendto(
				fd,
				make([]byte, size),
				unix.MSG_DONTWAIT,
				&unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port},
			)
			switch {
			case err == unix.EAGAIN:
				size /= 3
			case err != nil:
				t.Fatal(err)
			default:
				sent++
			}
			if err == nil && !full {
				break
			}
		}
	}
	if sent == 0 {
		t.Error("nothing was sent: the test needs a reader that it can disturb")
	}
}

// Root of a container can write to the sockets that are opened in its namespace. It does
// not keep the kernel's answers from a reader, nor those of other threads.
func TestForgedMessagesDoNotStopReader(t *testing.T) {
	ns := labtest.Namespace(t)
	var r *hostnet.Reader
	err := ns.Do(func() (err error) {
		r, err = hostnet.New(nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ask := func(what string) {
		t.Helper()
		links, err := r.Links(t.Context())
		if err != nil || len(links) != 1 {
			t.Errorf("%s: %d links, %v", what, len(links), err)
		}
		if _, err := r.Lookup(t.Context(), hostnet.LookupRequest{Dst: netip.MustParseAddr("127.0.0.1")}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, full := range []bool{false, true} {
		if err := ns.Do(func() error { disturb(t, full); return nil }); err != nil {
			t.Fatal(err)
		}
		ask("from another thread")
		if err := ns.Do(func() error { disturb(t, full); ask("from its own namespace"); return nil }); err != nil {
			t.Fatal(err)
		}
	}
}
