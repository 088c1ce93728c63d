package lab_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"

	"github.com/vishvananda/netlink"
)

func TestMain(m *testing.M) {
	actAsProcess() // the tests of Process start this program again
	labtest.Main(m)
}

// patience is how long a test waits for what comes at once on an idle machine.
const patience = await.Patience

// build makes a topology for the test and gives its hosts their limits and
// endpoints.
func build(t *testing.T, topology lab.Topology) *lab.Lab {
	t.Helper()
	labtest.MPTCP(t) // skips where nothing of this can run
	l, err := lab.Build(t.Context(), topology)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, host := range l.Hosts() {
		if host.Spec.Limits != nil {
			setLimits(t, host, *host.Spec.Limits)
		}
		for _, e := range host.Spec.Endpoints {
			addEndpoint(t, host, e)
		}
	}
	return l
}

// withClient calls f with a client of the host's path manager.
func withClient(t *testing.T, host *lab.Host, f func(*pathmanager.Client) error) {
	t.Helper()
	err := host.Do(func() error {
		c, err := pathmanager.Dial(nil)
		if err != nil {
			return err
		}
		return errors.Join(f(c), c.Close())
	})
	if err != nil {
		t.Fatalf("path manager in %s: %v", host.Name, err)
	}
}

func setLimits(t *testing.T, host *lab.Host, limits mptcp.Limits) {
	t.Helper()
	withClient(t, host, func(c *pathmanager.Client) error {
		return c.SetLimits(
			t.Context(),
			pathmanager.LimitsUpdate{AddAddrAccepted: &limits.AddAddrAccepted, Subflows: &limits.Subflows},
		)
	})
}

func addEndpoint(t *testing.T, host *lab.Host, endpoint lab.Endpoint) {
	t.Helper()
	e := mptcp.Endpoint{Address: endpoint.Address, Flags: endpoint.Flags}
	if endpoint.Dev != "" {
		index, err := host.IfIndex(endpoint.Dev)
		if err != nil {
			t.Fatal(err)
		}
		e.IfIndex = int32(index)
	}
	withClient(t, host, func(c *pathmanager.Client) error { return c.AddEndpoint(t.Context(), e) })
}

// packets returns how many packets have gone out by a device.
func packets(t *testing.T, host *lab.Host, device string) uint64 {
	t.Helper()
	var n uint64
	err := host.Do(func() error {
		link, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		n = link.Attrs().Statistics.TxPackets
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTopologiesConnect(t *testing.T) {
	for _, topology := range scenario.Topologies() {
		t.Run(topology.Name, func(t *testing.T) {
			l := build(t, topology)
			for _, path := range topology.Paths {
				for _, tcp := range []bool{true, false} {
					exchange(t, l, path, tcp)
				}
			}
		})
	}
}

// exchange connects along a path and sends data both ways.
func exchange(t *testing.T, l *lab.Lab, path lab.Path, tcp bool) {
	t.Helper()
	server, err := lab.Serve(t.Context(), l.Host(path.To).Namespace, netip.AddrPortFrom(path.Destination, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := lab.Connect(ctx, l.Host(path.From).Namespace, server.Addr(), &lab.ConnectConfig{
		From: netip.AddrPortFrom(path.Source, 0), TCP: tcp,
	})
	if err != nil {
		t.Fatalf("%s to %s, TCP %v: %v", path.Source, path.Destination, tcp, err)
	}
	defer c.Close()
	if err := c.Exchange(100_000); err != nil {
		t.Errorf("%s to %s, TCP %v: %v", path.Source, path.Destination, tcp, err)
	}
	if _, ok := c.Token(); ok == tcp {
		t.Errorf("%s to %s: MPTCP %v, want %v", path.Source, path.Destination, ok, !tcp)
	}
	if got := server.Received(); got != 100_000 {
		t.Errorf("server received %d bytes, want 100000", got)
	}
}

// TestTopologiesJoin proves that the second subflow of each topology comes up and
// leaves by the second device.
func TestTopologiesJoin(t *testing.T) {
	for _, topology := range scenario.Topologies() {
		t.Run(topology.Name, func(t *testing.T) {
			if topology.Name == "redhat" { // where the procedure adds the endpoint by hand
				topology.Hosts[2].Endpoints = []lab.Endpoint{{
					Address: netip.MustParseAddr("192.0.2.3"), Dev: "wlp1s0", Flags: 2,
				}}
			}
			l := build(t, topology)
			first, second := topology.Paths[0], topology.Paths[1]
			client := l.Host(lab.ClientHost)
			before := packets(t, client, second.Dev)
			unspecified := netip.IPv6Unspecified()
			server, err := lab.Serve(
				t.Context(),
				l.Host(lab.ServerHost).Namespace,
				netip.AddrPortFrom(unspecified, 4000),
				nil,
			)
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			c, err := lab.Connect(t.Context(), client.Namespace, netip.AddrPortFrom(first.Destination, 4000), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got := c.LocalAddr().String(); netip.MustParseAddrPort(got).Addr() != first.Source {
				t.Errorf("initial subflow leaves from %s, want %s", got, first.Source)
			}
			if err := c.Exchange(1000); err != nil {
				t.Fatal(err)
			}
			await.True(t, "second subflow", func() bool {
				return len(server.Conns()) == 1 && c.AdditionalSubflows() == 1 &&
					server.Conns()[0].AdditionalSubflows() == 1
			})
			// SYN, and the ACK that ends the handshake: both by the second device.
			await.True(t, "packets by "+second.Dev, func() bool { return packets(t, client, second.Dev) >= before+2 })
			if err := c.Exchange(1 << 20); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBuildRefusesNonsense(t *testing.T) {
	for name, topology := range map[string]lab.Topology{
		"host twice":   {Hosts: []lab.HostSpec{{Name: "a"}, {Name: "a"}}},
		"unknown host": {Hosts: []lab.HostSpec{{Name: "a"}}, Links: []lab.Link{{A: lab.End{Host: "a", Name: "x"}, B: lab.End{Host: "b", Name: "y"}}}},
		"long name":    {Hosts: []lab.HostSpec{{Name: "a"}}, Links: []lab.Link{{A: lab.End{Host: "a", Name: "sixteen-letters-"}, B: lab.End{Host: "a", Name: "y"}}}},
	} {
		if l, err := lab.Build(t.Context(), topology); err == nil {
			l.Close()
			t.Errorf("%s: built", name)
		}
	}
}

func TestBuildStopsWithContext(t *testing.T) {
	labtest.Namespace(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	topology, _ := scenario.FindTopology("redhat")
	if l, err := lab.Build(ctx, topology); !errors.Is(err, context.Canceled) {
		l.Close()
		t.Errorf("got %v, want context canceled", err)
	}
}

func TestLinksAndAddresses(t *testing.T) {
	topology, _ := scenario.FindTopology("two-subnets")
	l := build(t, topology)
	client, path := l.Host(lab.ClientHost), topology.Paths[0]
	reach := func() error {
		server, err := lab.Serve(
			t.Context(),
			l.Host(lab.ServerHost).Namespace,
			netip.AddrPortFrom(path.Destination, 0),
			nil,
		)
		if err != nil {
			return err
		}
		defer server.Close()
		c, err := lab.Connect(
			t.Context(),
			client.Namespace,
			server.Addr(),
			&lab.ConnectConfig{From: netip.AddrPortFrom(path.Source, 0)},
		)
		if err != nil {
			return err
		}
		return errors.Join(c.Exchange(1), c.Close())
	}
	check := func(what string, err error, reachable bool) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := reach(); (err == nil) != reachable {
			t.Errorf("%s: reachable %v, want %v (%v)", what, err == nil, reachable, err)
		}
	}
	address := netip.MustParsePrefix("10.0.1.2/24")
	check("at first", nil, true)
	check("link down", client.LinkDown("eth0"), false)
	check("link up", client.LinkUp("eth0"), true)
	check("address removed", client.RemoveAddress("eth0", address), false)
	check("address added", client.AddAddress("eth0", address), true)
	check("shaped", client.Shape("eth0", 1<<20), true)
	check("not shaped", client.Shape("eth0", 0), true)
	check("device removed", client.RemoveLink("eth0"), false)
}

func TestShapeSlows(t *testing.T) {
	topology, _ := scenario.FindTopology("two-subnets")
	l := build(t, topology)
	if err := l.Host(lab.ClientHost).Shape("eth0", 4<<20); err != nil {
		t.Fatal(err)
	}
	server, err := lab.Serve(t.Context(), l.Host(lab.ServerHost).Namespace, netip.MustParseAddrPort("10.0.1.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := lab.Connect(t.Context(), l.Host(lab.ClientHost).Namespace, server.Addr(), &lab.ConnectConfig{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	if err := c.Exchange(1 << 20); err != nil {
		t.Fatal(err)
	}
	// 1 MiB at 4 MiB/s is 250 ms; the bucket and what is under way take off some.
	if took := time.Since(start); took < 120*time.Millisecond {
		t.Errorf("1 MiB took %v at 4 MiB/s", took)
	}
}

func TestAbortEndsThePeer(t *testing.T) {
	ns := labtest.MPTCP(t)
	server, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := lab.Connect(t.Context(), ns, server.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exchange(10); err != nil {
		t.Fatal(err)
	}
	if err := c.Abort(); err != nil {
		t.Fatal(err)
	}
	await.True(t, "server's end closed", func() bool {
		_, err := server.Conns()[0].SyscallConn()
		if err != nil {
			return true
		}
		_, err = server.Conns()[0].Info()
		return err != nil
	})
}

func TestConnectRefused(t *testing.T) {
	ns := labtest.MPTCP(t)
	_, err := lab.Connect(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:9"), nil)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want connection refused", err)
	}
}

func TestConnectGivesUpWithContext(t *testing.T) {
	topology, _ := scenario.FindTopology("two-subnets")
	l := build(t, topology)
	if err := l.Host(lab.ServerHost).SetFirewall(lab.FirewallRule{Hook: lab.HookInput, Verdict: lab.Drop}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := lab.Connect(ctx, l.Host(lab.ClientHost).Namespace, netip.MustParseAddrPort("10.0.1.1:80"), nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want deadline exceeded", err)
	}
}

func TestConnectMapped(t *testing.T) {
	ns := labtest.MPTCP(t)
	server, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("0.0.0.0:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), server.Addr().Port())
	c, err := lab.Connect(t.Context(), ns, to, &lab.ConnectConfig{V6: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exchange(10); err != nil {
		t.Error(err)
	}
	if _, ok := c.Token(); !ok {
		t.Error("no token")
	}
}

func TestInfoLength(t *testing.T) {
	ns := labtest.MPTCP(t)
	server, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("[::1]:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := lab.Connect(t.Context(), ns, server.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	info, err := c.Info()
	if err != nil {
		t.Fatal(err)
	}
	token, _ := c.Token()
	if len(info) < 48 || uint32(token) != binary.NativeEndian.Uint32(info[uapi.InfoToken:]) || token == 0 {
		t.Errorf("info of %d bytes, token %s", len(info), token)
	}
}

func TestCounter(t *testing.T) {
	ns := labtest.MPTCP(t)
	server, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for n := range 3 {
		got, known, err := ns.Counter("MPCapableSYNTX")
		if err != nil || !known && n > 0 || got != uint64(n) {
			t.Errorf("after %d connections: %d, known %v, %v", n, got, known, err)
		}
		c, err := lab.Connect(t.Context(), ns, server.Addr(), nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if _, known, err := ns.Counter("NoSuchCounter"); known || err != nil {
		t.Errorf("an unknown counter: known %v, %v", known, err)
	}
}

// Connections outlive a listener that is closed for itself, and end with the server.
func TestCloseListenerKeepsConnections(t *testing.T) {
	ns := labtest.MPTCP(t)
	server, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := lab.Connect(t.Context(), ns, server.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exchange(10); err != nil {
		t.Fatal(err)
	}
	if err := server.CloseListener(); err != nil {
		t.Fatal(err)
	}
	if err := c.Exchange(10); err != nil {
		t.Errorf("the connection ended with the listener: %v", err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Exchange(10); err == nil {
		t.Error("the connection outlives the server")
	}
}
