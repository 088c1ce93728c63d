package live_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"
)

// pairs makes a server, and connections to it that have a second subflow each.
func pairs(t *testing.T, ns *lab.Namespace, n int) []*lab.Conn {
	t.Helper()
	s, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("0.0.0.0:7000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var conns []*lab.Conn
	for range n {
		conns = append(conns, pair(t, ns))
	}
	return conns
}

// pair makes a connection with a second subflow. A busy kernel may let a join fail,
// for which it makes no second attempt: then another connection takes its place.
func pair(t *testing.T, ns *lab.Namespace) *lab.Conn {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		c, err := lab.Connect(t.Context(), ns, netip.MustParseAddrPort("10.77.1.1:7000"), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.Exchange(100); err != nil {
			t.Fatal(err)
		}
		for until := time.Now().Add(patience / 6); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
			if c.AdditionalSubflows() == 1 {
				return c
			}
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for a second subflow")
		}
	}
}

func tokens(t *testing.T, conns []*lab.Conn) []mptcp.Token {
	t.Helper()
	var all []mptcp.Token
	for _, c := range conns {
		token, ok := c.Token()
		if !ok {
			t.Fatal("a connection without a token")
		}
		all = append(all, token)
	}
	return all
}

// cookies returns which sockets the rows are of.
func cookies(rows []track.SubflowRow) []uint64 {
	var all []uint64
	for i := range rows {
		all = append(all, rows[i].Cookie)
	}
	slices.Sort(all)
	return all
}

// TestSampleFindsWhatCameAndWent asks again and again for the subflows of some
// connections: looked up one by one they are those of a dump, also after one came
// or went that nobody looked up before.
func TestSampleFindsWhatCameAndWent(t *testing.T) {
	ns := host(t)
	conns := pairs(t, ns, 4)
	wanted := tokens(t, conns[:2])
	h := dial(t, ns, nil)
	agree := func(n int) func() bool {
		return func() bool {
			var want []track.SubflowRow
			snapshot, err := h.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range snapshot.Subflows {
				if slices.Contains(wanted, row.Token) {
					want = append(want, row)
				}
			}
			got, err := h.Sample(t.Context(), "", wanted)
			if err != nil {
				t.Fatal(err)
			}
			return len(got) == n && slices.Equal(cookies(got), cookies(want))
		}
	}
	for range 5 {
		await.True(t, "two subflows each", agree(4))
	}
	manage(t, ns, func(pm *pathmanager.Client) error { return pm.RemoveEndpoint(t.Context(), 5) })
	await.True(t, "one subflow each", agree(2))
	// A join that a busy kernel let fail is tried again with another endpoint only.
	again := 0
	await.True(t, "a new subflow each", func() bool {
		if again++; again%400 == 1 {
			manage(t, ns, func(pm *pathmanager.Client) error {
				_ = pm.RemoveEndpoint(t.Context(), 6) // there is none the first time
				return pm.AddEndpoint(
					t.Context(),
					mptcp.Endpoint{ID: 6, Address: netip.MustParseAddr("10.77.2.1"), Flags: mptcp.FlagSubflow},
				)
			})
		}
		return agree(4)()
	})
	if rows, err := h.Sample(t.Context(), "elsewhere", wanted); err != nil || rows != nil {
		t.Errorf("of another namespace: %v, %v", rows, err)
	}
}

// TestEndedTellsSubflowsOnly: of all sockets that end only those are told that a
// dump or an event showed as subflows, with their last figures.
func TestEndedTellsSubflowsOnly(t *testing.T) {
	ns := host(t)
	conns := pairs(t, ns, 1)
	h := dial(t, ns, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := h.Ended(ctx)
	snapshot, err := h.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	known := map[uint64]bool{}
	for _, row := range snapshot.Subflows {
		known[row.Cookie] = true
	}
	plain, err := lab.Serve(ctx, ns, netip.MustParseAddrPort("127.0.0.1:7001"), &lab.ServeConfig{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := lab.Connect(ctx, ns, plain.Addr(), &lab.ConnectConfig{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	plain.Close()
	conns[0].Close()
	for e, err := range ended {
		if err != nil {
			t.Fatal(err)
		}
		if !known[e.Subflow.Cookie] {
			t.Errorf("%v > %v was no subflow", e.Subflow.Local, e.Subflow.Remote)
		}
		if e.Subflow.Local.Addr() == netip.MustParseAddr("10.77.2.1") {
			return // the client's second subflow
		}
	}
	t.Error("the end of the second subflow was not told")
}
