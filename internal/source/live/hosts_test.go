package live_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"mptcpctl/hostnet"
	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"
)

// dialAll opens all namespaces from inside one of them, of which those in directory
// have a name.
func dialAll(t *testing.T, from *lab.Namespace, directory string, events bool) *live.Hosts {
	t.Helper()
	config := &live.HostsConfig{
		Search: hostnet.NamespaceSearch{Named: []string{directory}},
		Warn:   func(error) {}, // of other processes' namespaces
	}
	if events {
		config.Events = &pathmanager.ListenConfig{}
	}
	var hosts *live.Hosts
	err := from.Do(func() (err error) {
		hosts, err = live.DialAll(t.Context(), config)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hosts.Close() })
	return hosts
}

// inhabit starts a process in the namespace, which makes it one that is found, and
// returns the name that it has then.
func inhabit(t *testing.T, ns *lab.Namespace) (name string, p *lab.Process) {
	t.Helper()
	p, err := ns.StartProcess(t.Context(), lab.ProcessConfig{Args: []string{"sleep", "600"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return fmt.Sprintf("pid %d", p.Pid()), p
}

func sees(hosts *live.Hosts, name string) func() bool {
	return func() bool {
		return slices.ContainsFunc(hosts.Views(), func(v source.View) bool { return v.Netns() == name })
	}
}

// heardFrom reads the events of all namespaces while the test runs, and returns what tells
// whether one of a type has come from a namespace. Other tests' namespaces are among
// them: thousands of events a second.
func heardFrom(t *testing.T, hosts *live.Hosts) (heard func(netns string, typ mptcp.EventType) func() bool) {
	t.Helper()
	type kind struct {
		netns string
		typ   mptcp.EventType
	}
	var mu sync.Mutex
	kinds := map[kind]bool{}
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		for batch, err := range hosts.Batches(ctx) {
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			for i := range batch {
				kinds[kind{batch[i].Netns, batch[i].Type}] = true
			}
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
	})
	return func(netns string, typ mptcp.EventType) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return kinds[kind{netns, typ}]
		}
	}
}

// TestHostsHearAllNamespaces: namespaces with a number and without, and one that
// comes while events are read, are dumped and heard under their names.
func TestHostsHearAllNamespaces(t *testing.T) {
	t.Parallel()
	own, other := host(t), host(t)
	hosts := dialAll(t, own, t.TempDir(), true)
	heard := heardFrom(t, hosts)
	name, p := inhabit(t, other)
	await.True(t, "the namespace of the process", sees(hosts, name))
	conns := pairs(t, other, 1)
	await.True(t, "its events", heard(name, mptcp.EventSubflowEstablished))
	await.True(t, "both ends of one connection", func() bool { // one that got no second subflow may linger
		snapshots, err := hosts.Snapshots(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(snapshots, func(s track.Snapshot) bool { return s.Netns == name })
		if i < 0 || len(snapshots[i].Connections) < 2 || snapshots[i].Connections[0].Netns != name {
			t.Fatalf("snapshots %+v", snapshots)
		}
		return len(snapshots[i].Connections) == 2
	})
	found, err := hosts.Lookup(t.Context(), name, tokens(t, conns))
	if err != nil || len(found) != 1 {
		t.Errorf("lookup: %v, %v", found, err)
	}
	if found, err := hosts.Lookup(t.Context(), "nowhere", tokens(t, conns)); err != nil || found != nil {
		t.Errorf("lookup in no namespace: %v, %v", found, err)
	}
	p.Close()
	await.True(t, "the end of the namespace", func() bool { return !sees(hosts, name)() })
}

// TestEndedOfAllNamespaces: the last figures of subflows of a namespace that came
// after the start are in the tracker's state, under the name of that namespace. No
// dump sees them: there is but one, before.
func TestEndedOfAllNamespaces(t *testing.T) {
	t.Parallel()
	own, other := host(t), host(t)
	hosts := dialAll(t, own, t.TempDir(), true)
	tracker := track.New(hosts, &track.Config{Reconcile: -1, Sample: -1, KeepTime: time.Hour, Keep: 1 << 16})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = tracker.Run(ctx) }) // ends with ctx
	defer running.Wait()
	defer cancel()
	name, _ := inhabit(t, other)
	await.True(t, "the namespace", sees(hosts, name))
	s, err := lab.Serve(ctx, other, netip.MustParseAddrPort("0.0.0.0:7000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// The kernel wipes the figures of a first subflow that the peer closed before:
	// not every connection has them.
	await.True(t, "a connection with its last figures", func() bool {
		const bytes = 1 << 16
		c, err := lab.Connect(ctx, other, netip.MustParseAddrPort("10.77.1.1:7000"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Exchange(bytes); err != nil {
			t.Fatal(err)
		}
		token, ok := c.Token()
		if !ok {
			t.Fatal("no token")
		}
		c.Close()
		ended := func() (found *track.Ended) {
			for e := range tracker.State().Ended() {
				if e.Key == (mptcp.Key{Netns: name, Token: token}) {
					found = e
				}
			}
			return found
		}
		await.True(t, "the end of the connection", func() bool { return ended() != nil })
		for until := time.Now().Add(time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
			var sent uint64
			for _, s := range ended().Connection.Subflows {
				sent += s.BytesSent
			}
			if sent >= bytes {
				return true
			}
		}
		return false
	})
}

// TestEndedKnowsItsNamespace: the ends of subflows are told with their namespace,
// and those of plain TCP sockets are not told.
func TestEndedKnowsItsNamespace(t *testing.T) {
	own, other := host(t), host(t)
	second := netip.MustParseAddr("10.77.2.1")
	name, _ := inhabit(t, other)
	hosts := dialAll(t, own, t.TempDir(), false)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := hosts.Ended(ctx)
	plain, err := lab.Serve(ctx, other, netip.MustParseAddrPort("127.0.0.1:7001"), &lab.ServeConfig{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	c, err := lab.Connect(ctx, other, plain.Addr(), &lab.ConnectConfig{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	conns := append(pairs(t, own, 1), pairs(t, other, 1)...)
	// A join that is not up when it is closed has no remote port left, and is not told.
	await.True(t, "a dump that shows both ends of both second subflows up", func() bool {
		return upFrom(t, ctx, hosts, second) == 4
	})
	for _, c := range conns {
		c.Close()
	}
	want := map[string]bool{hosts.Views()[0].Netns(): true, name: true}
	for e, err := range ended {
		if err != nil {
			t.Fatal(err)
		}
		if e.Subflow.Local.Port() == plain.Addr().Port() || e.Subflow.Remote.Port() == plain.Addr().Port() {
			t.Errorf("%v > %v was no subflow", e.Subflow.Local, e.Subflow.Remote)
		}
		if e.Subflow.Local.Addr() == second {
			delete(want, e.Netns)
		}
		if len(want) == 0 {
			return
		}
	}
	t.Errorf("no end of the second subflow was told of %v", slices.Collect(maps.Keys(want)))
}

// upFrom returns how many ends of subflows that start or end at the address are up.
func upFrom(t *testing.T, ctx context.Context, hosts *live.Hosts, a netip.Addr) int {
	t.Helper()
	snapshots, err := hosts.Snapshots(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range snapshots {
		for _, row := range s.Subflows {
			if row.TCP == mptcp.StateEstablished && (row.Local.Addr() == a || row.Remote.Addr() == a) {
				n++
			}
		}
	}
	return n
}
