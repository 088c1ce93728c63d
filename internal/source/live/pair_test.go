package live_test

import (
	"net/netip"
	"slices"
	"sync"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
)

// pairsOf returns the pairs of the connections that a host has.
func pairsOf(t *testing.T, ns *lab.Namespace, h *live.Host) (all []mptcp.Pair) {
	t.Helper()
	err := ns.Do(func() error {
		snapshot, err := h.Snapshot(t.Context())
		for i := range snapshot.Connections {
			all = append(all, snapshot.Connections[i].Pair)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b mptcp.Pair) int { return slices.Compare(a[:], b[:]) })
	return all
}

// TestPairThroughNAT: both ends name connections alike, although the server sees another
// address, before and while data goes both ways.
func TestPairThroughNAT(t *testing.T) {
	if labtest.KernelBefore(t, 6, 5) {
		t.Skip("the kernel does not tell the bytes that a pair is computed with (Linux 6.5 or later)")
	}
	topology, ok := scenario.FindTopology("nat")
	if !ok {
		t.Fatal("there is no such network")
	}
	network, err := lab.Build(t.Context(), topology)
	if err != nil {
		labtest.SkipMissing(t, err)
		t.Fatal(err)
	}
	t.Cleanup(func() { network.Close() })
	client, server := network.Host(lab.ClientHost).Namespace, network.Host(lab.ServerHost).Namespace
	echo, err := lab.Serve(t.Context(), server, netip.MustParseAddrPort("10.0.1.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })
	const n = 8
	var conns []*lab.Conn
	for i := range n {
		from := "10.0.1.2:0"
		if i%2 == 1 {
			from = "192.168.2.2:0" // behind the router that rewrites it
		}
		c, err := lab.Connect(t.Context(), client, echo.Addr(), &lab.ConnectConfig{From: netip.MustParseAddrPort(from)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		conns = append(conns, c)
	}
	here, there := dial(t, client, nil), dial(t, server, nil)
	var first []mptcp.Pair
	same := func() bool {
		a, b := pairsOf(t, client, here), pairsOf(t, server, there)
		first = a
		return len(a) == n && slices.Equal(a, b) && !slices.Contains(a, mptcp.Pair{}) && len(slices.Compact(slices.Clone(a))) == n
	}
	await.True(t, "the same pairs at both ends", same)
	before := slices.Clone(first)
	var talking sync.WaitGroup
	for _, c := range conns {
		talking.Go(func() {
			for range 40 {
				if err := c.Exchange(50_000); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 40 { // none is wrong meanwhile; one in doubt has none
		for _, end := range [][]mptcp.Pair{pairsOf(t, client, here), pairsOf(t, server, there)} {
			for _, p := range end {
				if !p.IsZero() && !slices.Contains(before, p) {
					t.Errorf("pair %s is new", p)
				}
			}
		}
	}
	talking.Wait()
	await.True(t, "the same pairs after that", func() bool { return same() && slices.Equal(first, before) })
}
