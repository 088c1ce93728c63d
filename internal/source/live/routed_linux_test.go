package live_test

import (
	"net/netip"
	"testing"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"
)

// TestDeviceIsWhereTheRoutesLead: a server has both subflows of a client on one address,
// and answers each by the link of the client's address.
func TestDeviceIsWhereTheRoutesLead(t *testing.T) {
	labtest.MPTCP(t)
	topology, _ := scenario.FindTopology("two-subnets")
	l, err := lab.Build(t.Context(), topology)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	client, server := l.Host(lab.ClientHost), l.Host(lab.ServerHost)
	if err := client.Do(func() error {
		pm, err := pathmanager.Dial(nil)
		if err != nil {
			return err
		}
		defer pm.Close()
		return pm.AddEndpoint(t.Context(), mptcp.Endpoint{Address: netip.MustParseAddr("10.0.2.2"), Flags: mptcp.FlagSubflow})
	}); err != nil {
		t.Fatal(err)
	}
	s, err := lab.Serve(t.Context(), server.Namespace, netip.MustParseAddrPort("10.0.1.1:7000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c, err := lab.Connect(t.Context(), client.Namespace, s.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Exchange(10); err != nil {
		t.Fatal(err)
	}
	h := dial(t, server.Namespace, nil)
	want := map[string]string{"10.0.1.2": "eth0", "10.0.2.2": "eth1"}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		snapshot, err := h.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		joined := track.Join(snapshot)
		if len(joined) == 1 && joined[0].SubflowsUp() == 2 {
			checkDevices(t, &joined[0], want)
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no second subflow: %+v", joined)
		}
	}
	listing, err := h.Listing(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	for c := range listing.All() {
		checkDevices(t, c, want)
	}
}

func checkDevices(t *testing.T, c *mptcp.Connection, want map[string]string) {
	t.Helper()
	for _, s := range c.Subflows {
		if w := want[s.Remote.Addr().String()]; s.Device != w {
			t.Errorf("%v to %v: device %q, want %q", s.Local, s.Remote, s.Device, w)
		}
	}
}
