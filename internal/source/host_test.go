package source_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"mptcpctl/hostnet"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/source"
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
		c, err := lab.Connect(t.Context(), ns, netip.MustParseAddrPort("10.77.1.1:7000"), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.Exchange(100); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	for _, c := range conns {
		await(t, "a second subflow", func() bool { return c.AdditionalSubflows() == 1 })
	}
	return conns
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
		await(t, "two subflows each", agree(4))
	}
	manage(t, ns, func(pm *pathmanager.Client) error { return pm.RemoveEndpoint(t.Context(), 5) })
	await(t, "one subflow each", agree(2))
	manage(t, ns, func(pm *pathmanager.Client) error {
		return pm.AddEndpoint(t.Context(), mptcp.Endpoint{ID: 6, Address: netip.MustParseAddr("10.77.2.1"), Flags: mptcp.FlagSubflow})
	})
	await(t, "a new subflow each", agree(4))
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
	ctx, cancel := context.WithCancel(t.Context())
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

// TestHostsHearAllNamespaces: namespaces with a number and without, and one that
// comes while events are read, are dumped and heard under their names.
func TestHostsHearAllNamespaces(t *testing.T) {
	own, other := host(t), host(t)
	directory := t.TempDir()
	var hosts *source.Hosts
	err := own.Do(func() (err error) {
		hosts, err = source.DialAll(t.Context(), &source.HostsConfig{
			Events: &pathmanager.ListenConfig{},
			Search: hostnet.NamespaceSearch{Named: []string{directory}},
			Warn:   func(error) {}, // of other processes' namespaces
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer hosts.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heard := make(chan string, 1000)
	go func() {
		for batch, err := range hosts.Batches(ctx) {
			if err != nil {
				return
			}
			for _, e := range batch {
				select {
				case heard <- fmt.Sprint(e.Netns, " ", e.Type):
				default:
				}
			}
		}
	}()
	// A process makes the other namespace one that is found.
	p, err := other.StartProcess(ctx, lab.ProcessConfig{Args: []string{"sleep", "600"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	name := fmt.Sprintf("pid %d", p.Pid())
	await(t, "the namespace of the process", func() bool {
		return slices.ContainsFunc(hosts.Views(), func(v source.View) bool { return v.Netns() == name })
	})
	conns := pairs(t, other, 1)
	want := name + " SF_ESTABLISHED"
	await(t, want, func() bool {
		for {
			select {
			case e := <-heard:
				if e == want {
					return true
				}
			default:
				return false
			}
		}
	})
	snapshots, err := hosts.Snapshots(ctx)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(snapshots, func(s track.Snapshot) bool { return s.Netns == name })
	if i < 0 || len(snapshots[i].Connections) != 2 || snapshots[i].Connections[0].Netns != name {
		t.Fatalf("snapshots %+v", snapshots)
	}
	found, err := hosts.Lookup(ctx, name, tokens(t, conns))
	if err != nil || len(found) != 1 {
		t.Errorf("lookup: %v, %v", found, err)
	}
	if found, err := hosts.Lookup(ctx, "nowhere", tokens(t, conns)); err != nil || found != nil {
		t.Errorf("lookup in no namespace: %v, %v", found, err)
	}
	p.Close()
	await(t, "the end of the namespace", func() bool {
		return !slices.ContainsFunc(hosts.Views(), func(v source.View) bool { return v.Netns() == name })
	})
}
