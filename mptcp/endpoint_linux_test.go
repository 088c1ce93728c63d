package mptcp_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/sockdiag"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// Addresses of the network in which endpoints of all flags are tried.
var (
	startAddress     = netip.MustParseAddr("10.0.1.2") // of the client: the connection starts there
	routedAddress    = netip.MustParseAddr("10.0.2.2") // the routes choose it for the server's second address
	triedAddress     = netip.MustParseAddr("10.0.2.3")
	lastAddress      = netip.MustParseAddr("10.0.2.4") // of the last endpoint in the list
	serverAddress    = netip.MustParseAddr("10.0.1.1")
	announcedAddress = netip.MustParseAddr("10.0.2.1")
)

// TestEndpointFlagsAgainstTheKernel adds an endpoint with each set of flags, opens a
// connection, has the peer announce an address, and compares the subflows that the
// path manager makes with what the methods say.
//
// The path manager takes endpoints in the order of the list: once the last one has its
// subflow, the tried one was looked at.
func TestEndpointFlagsAgainstTheKernel(t *testing.T) {
	labtest.MPTCP(t)
	w := newWorld(t)
	tried := 0
	for flags := mptcp.EndpointFlags(0); flags <= mptcp.KnownEndpointFlags; flags++ {
		for _, e := range []mptcp.Endpoint{
			{ID: 201, Address: triedAddress, Flags: flags},
			{ID: 201, Address: triedAddress, Flags: flags, IfIndex: w.second},
			{ID: 201, Address: triedAddress, Flags: flags, Port: 4000},
			{ID: 201, Address: startAddress, Flags: flags},
		} {
			if w.try(t, e) {
				tried++
			}
		}
	}
	if tried < 40 {
		t.Errorf("the kernel took %d sets of flags only", tried)
	}
}

// world is a client and a server with two links.
type world struct {
	client, server *lab.Host
	pm, peer       *pathmanager.Client
	sockets        *sockdiag.Client
	second         int32 // the client's second device
	listener       *lab.Server
}

func newWorld(t *testing.T) *world {
	topology, _ := scenario.FindTopology("two-subnets")
	l, err := lab.Build(t.Context(), topology)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w := &world{client: l.Host(lab.ClientHost), server: l.Host(lab.ServerHost)}
	for _, h := range l.Hosts() { // an announcement that collides with an echo is sent again
		if err := h.SetSysctl("net.mptcp.add_addr_timeout", "1"); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []netip.Addr{triedAddress, lastAddress} {
		if err := w.client.AddAddress("eth1", netip.PrefixFrom(a, 24)); err != nil {
			t.Fatal(err)
		}
	}
	index, err := w.client.IfIndex("eth1")
	if err != nil {
		t.Fatal(err)
	}
	w.second = int32(index)
	w.pm, w.peer = pathManager(t, w.client, 8), pathManager(t, w.server, 0)
	err = w.client.Do(func() (err error) {
		w.sockets, err = sockdiag.Dial(nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.sockets.Close() })
	if w.listener, err = lab.Serve(t.Context(), w.server.Namespace, netip.MustParseAddrPort("0.0.0.0:7000"), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.listener.Close() })
	return w
}

func pathManager(t *testing.T, h *lab.Host, accepted uint32) (pm *pathmanager.Client) {
	err := h.Do(func() (err error) {
		pm, err = pathmanager.Dial(nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pm.Close() })
	most := uint32(8)
	if err := pm.SetLimits(t.Context(), pathmanager.LimitsUpdate{AddAddrAccepted: &accepted, Subflows: &most}); err != nil {
		t.Fatal(err)
	}
	return pm
}

// try compares prediction and kernel for one endpoint, and reports whether the kernel
// takes such an endpoint.
func (w *world) try(t *testing.T, e mptcp.Endpoint) bool {
	t.Helper()
	ctx := t.Context()
	for _, pm := range []*pathmanager.Client{w.pm, w.peer} {
		if err := pm.FlushEndpoints(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.pm.AddEndpoint(ctx, e); err != nil {
		return false
	}
	if got, err := w.pm.Endpoint(ctx, e.ID); err != nil || got.Flags != e.Flags {
		return false // the kernel does not know a flag
	}
	if err := w.pm.AddEndpoint(ctx, mptcp.Endpoint{ID: 202, Address: lastAddress, Flags: mptcp.FlagSubflow}); err != nil {
		t.Fatal(err)
	}
	c, err := lab.Connect(
		ctx,
		w.client.Namespace,
		netip.AddrPortFrom(serverAddress, 7000),
		&lab.ConnectConfig{From: netip.AddrPortFrom(startAddress, 0)},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exchange(10); err != nil {
		t.Fatal(err)
	}
	token, ok := c.Token()
	if !ok {
		t.Fatal("the connection is not MPTCP")
	}
	w.await(t, e, token, func(from, to netip.Addr) bool { return from == lastAddress && to == serverAddress })
	joins, routed := prediction(e)
	settled := w.settled(t)
	if err := w.peer.AddEndpoint(ctx, mptcp.Endpoint{Address: announcedAddress, Flags: mptcp.FlagSignal}); err != nil {
		t.Fatal(err)
	}
	seen := w.await(
		t,
		e,
		token,
		func(_, to netip.Addr) bool { return to == announcedAddress || !joins && !routed && settled() },
	)

	for _, expected := range []struct {
		from, to netip.Addr
		want     bool
	}{
		{e.Address, serverAddress, e.Address == startAddress || e.Flags.CreatesSubflows()},
		{e.Address, announcedAddress, joins},
		{routedAddress, announcedAddress, routed},
	} {
		if got := seen[[2]netip.Addr{expected.from, expected.to}]; got != expected.want {
			t.Errorf("%s on %s, port %d, device %d: a subflow from %s to %s: %v, want %v",
				e.Flags, e.Address, e.Port, e.IfIndex, expected.from, expected.to, got, expected.want)
		}
	}
	return true
}

// prediction returns whether the announced address gets a subflow from the endpoint, or
// one from the address that the routes choose. A laminar endpoint serves once: where a
// subflow has its address already, the announced address gets none at all; and none
// comes from one with a port, which the kernel's own listener occupies.
func prediction(e mptcp.Endpoint) (joins, routed bool) {
	usedUp := e.Address == startAddress || e.Flags.CreatesSubflows() || e.Port != 0
	joins = e.Flags.JoinsAnnounced() && (e.Flags.Has(mptcp.FlagFullmesh) || !usedUp)
	return joins, !e.Flags.JoinsAnnounced()
}

// echoes returns how many announcements the client has acknowledged. It makes the
// subflows to an announced address in the same run of its path manager.
func (w *world) echoes(t *testing.T) uint64 {
	t.Helper()
	n, _, err := w.client.Counter("EchoAddTx")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// settled returns a function that reports whether the client acknowledged another
// announcement, and had some time since to make subflows of it.
func (w *world) settled(t *testing.T) func() bool {
	const grace = 50 * time.Millisecond
	before, at := w.echoes(t), time.Time{}
	return func() bool {
		if at.IsZero() && w.echoes(t) > before {
			at = time.Now()
		}
		return !at.IsZero() && time.Since(at) > grace
	}
}

// await polls the connection's subflows until one is as wanted, and returns all of
// them, from which address to which.
func (w *world) await(
	t *testing.T,
	e mptcp.Endpoint,
	token mptcp.Token,
	wanted func(from, to netip.Addr) bool,
) map[[2]netip.Addr]bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	for {
		seen, there := map[[2]netip.Addr]bool{}, false
		for s, err := range w.sockets.Subflows(ctx, nil) {
			if err != nil {
				t.Fatal(err)
			}
			if s.MPTCP.TokenLocal != token {
				continue
			}
			from, to := s.Local.Addr().Unmap(), s.Remote.Addr().Unmap()
			seen[[2]netip.Addr{from, to}] = true
			there = there || wanted(from, to)
		}
		if there {
			return seen
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s on %s: the subflow did not come: %v", e.Flags, e.Address, seen)
		case <-time.After(time.Millisecond):
		}
	}
}
