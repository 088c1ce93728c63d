package live_test

import (
	"net/netip"
	"testing"

	"mptcpctl/internal/lab"
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
