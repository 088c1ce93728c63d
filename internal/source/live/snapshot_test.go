package live_test

import (
	"net/netip"
	"testing"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/uapi"
	"mptcpctl/track"

	"golang.org/x/sys/unix"
)

// TestSnapshotTellsFallback: no event says that a connection fell back, only its
// socket does.
func TestSnapshotTellsFallback(t *testing.T) {
	ns := host(t)
	h := dial(t, ns, nil)
	for _, tcp := range []bool{true, false} {
		s, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("10.77.1.1:0"), &lab.ServeConfig{TCP: tcp})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		c, err := lab.Connect(t.Context(), ns, s.Addr(), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.Exchange(100); err != nil {
			t.Fatal(err)
		}
		snapshot, err := h.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		shown := 0
		for _, row := range snapshot.Connections {
			if row.Remote == s.Addr() {
				shown++
				if row.Fallback != tcp {
					t.Errorf("a server of TCP alone: %v, and fallback %v", tcp, row.Fallback)
				}
			}
		}
		if shown != 1 {
			t.Errorf("a server of TCP alone: %v, and %d connections to it", tcp, shown)
		}
	}
}

// TestSnapshotIsOfTheSizeOfWhatIsThere: the kernel counts a socket more for each listen() on
// the same socket, and a list of connections is not given memory for them.
func TestSnapshotIsOfTheSizeOfWhatIsThere(t *testing.T) {
	ns := host(t)
	h := dial(t, ns, nil)
	var snapshot track.Snapshot
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, uapi.IPPROTO_MPTCP)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for range 10_000 {
			if err := unix.Listen(fd, 8); err != nil {
				return err
			}
		}
		snapshot, err = h.Snapshot(t.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := cap(snapshot.Connections); n > 1000 {
		t.Errorf("%d connections, and memory for %d", len(snapshot.Connections), n)
	}
}
