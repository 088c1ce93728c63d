package live_test

import (
	"context"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/kernel"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/source/gather"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// factsOf gathers the facts of the namespace.
func factsOf(t *testing.T, ns *lab.Namespace, c *gather.Config) (f doctor.Facts) {
	t.Helper()
	err := ns.Do(func() error {
		h, err := live.Dial(nil)
		if err != nil {
			return err
		}
		defer h.Close()
		f, err = h.Facts(t.Context(), c)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Each field of the facts holds what the kernel has.
func TestFacts(t *testing.T) {
	ns := labtest.MPTCP(t)
	ctx := t.Context()
	local := netip.MustParseAddr("127.0.0.1")
	err := ns.Do(func() error {
		pm, err := pathmanager.Dial(nil)
		if err != nil {
			return err
		}
		defer pm.Close()
		for _, e := range []mptcp.Endpoint{
			{Address: netip.MustParseAddr("127.0.0.5"), Port: 12400, Flags: mptcp.FlagSignal},
			{Address: netip.MustParseAddr("127.0.0.6"), Flags: mptcp.FlagSubflow},
		} {
			if err := pm.AddEndpoint(ctx, e); err != nil {
				return err
			}
		}
		return pm.SetLimits(ctx, pathmanager.LimitsUpdate{Subflows: new(uint32(3)), AddAddrAccepted: new(uint32(1))})
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := lab.Serve(ctx, ns, netip.AddrPortFrom(local, 7001), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	plain, err := lab.Serve(ctx, ns, netip.AddrPortFrom(local, 7002), &lab.ServeConfig{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for _, s := range []*lab.Server{server, plain} {
		c, err := lab.Connect(ctx, ns, s.Addr(), &lab.ConnectConfig{TCP: s == plain})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Exchange(1000); err != nil {
			t.Fatal(err)
		}
	}
	f := factsOf(t, ns, &gather.Config{Window: 10 * time.Millisecond})

	if f.Kernel.Release != kernel.Release() || !f.Kernel.SocketTried || f.Kernel.SocketError != 0 ||
		f.Kernel.Events == nil ||
		!*f.Kernel.Events {
		t.Errorf("kernel %+v", f.Kernel)
	}
	if f.Sysctls.Enabled == nil || !*f.Sysctls.Enabled {
		t.Errorf("sysctls %+v", f.Sysctls.Raw)
	}
	if _, ok := f.IPv4["all"]; !ok || len(f.IPv4) < 3 {
		t.Errorf("settings of devices: %v", f.IPv4)
	}
	if n, _ := f.MPTCP.Now.Get("MPCapableSYNACKRX"); n == 0 || f.MPTCP.Window < 10*time.Millisecond {
		t.Errorf("MPCapableSYNACKRX %d in %v", n, f.MPTCP.Window)
	}
	if f.TCP.Now.Len() == 0 {
		t.Error("no TCP counters")
	}
	if f.Limits == nil || *f.Limits != (mptcp.Limits{AddAddrAccepted: 1, Subflows: 3}) {
		t.Errorf("limits %v", f.Limits)
	}
	if len(f.Endpoints) != 2 || f.Endpoints[0].Port != 12400 {
		t.Errorf("endpoints %v", f.Endpoints)
	}
	if f.Subscribers == nil || *f.Subscribers != 0 {
		t.Errorf("subscribers %v: those of this program do not count", f.Subscribers)
	}
	if len(f.Network.Links) == 0 || len(f.Network.Addresses) == 0 || len(f.Network.Rules) == 0 {
		t.Errorf("network %+v", f.Network)
	}
	checkSockets(t, &f)
}

// checkSockets looks at the sockets that TestFacts made.
func checkSockets(t *testing.T, f *doctor.Facts) {
	t.Helper()
	pid := os.Getpid()
	held := func(p []mptcp.Process) bool { return len(p) == 1 && p[0].PID == pid }
	if len(f.Connections) != 2 {
		t.Fatalf("connections %+v", f.Connections)
	}
	for _, c := range f.Connections {
		if len(c.Subflows) == 0 || c.Side == mptcp.SideUnknown || !held(c.Processes) {
			t.Errorf("connection %+v", c)
		}
	}
	own, kernels := 0, 0
	for _, l := range f.Listeners {
		switch l.Local.String() {
		case "127.0.0.1:7001":
			own++
			if !held(l.Processes) {
				t.Errorf("listener of %v", l.Processes)
			}
		case "127.0.0.5:12400":
			kernels++
			if l.Inode != 0 {
				t.Errorf("the kernel's listener has inode %d", l.Inode)
			}
		}
	}
	if own != 1 || kernels != 1 {
		t.Errorf("listeners %+v", f.Listeners)
	}
	if len(f.PlainListeners) != 1 || f.PlainListeners[0].Local.Port() != 7002 || !held(f.PlainListeners[0].Processes) {
		t.Errorf("plain listeners %+v", f.PlainListeners)
	}
	if len(f.PlainFlows) != 2 || !held(f.PlainFlows[0].Processes) {
		t.Errorf("plain flows %+v", f.PlainFlows)
	}
	if len(f.Blackholed) != 0 {
		t.Errorf("blackholed %+v", f.Blackholed)
	}
}

// What moves, and what is announced, while the facts are gathered is in them;
// connections that were there before are told apart.
func TestFactsOfTheWindow(t *testing.T) {
	t.Parallel()
	ns := labtest.MPTCP(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := lab.Serve(ctx, ns, netip.MustParseAddrPort("127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	old, err := lab.Connect(ctx, ns, s.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			c, err := lab.Connect(ctx, ns, s.Addr(), nil)
			if err != nil {
				done <- err
				return
			}
			c.Close()
			time.Sleep(time.Millisecond) // a fast machine would make more events than are kept
		}
		done <- nil
	}()
	f := factsOf(t, ns, &gather.Config{Window: 2 * time.Second})
	cancel()
	<-done
	if n, _ := f.MPTCP.Moved.Get("MPCapableSYNACKRX"); n == 0 {
		t.Error("MPCapableSYNACKRX did not move")
	}
	if f.EventsSince.IsZero() || len(f.Events) == 0 || f.EventsLost != 0 {
		t.Fatalf("events since %v: %d, lost %d; gaps %v", f.EventsSince, len(f.Events), f.EventsLost, f.Unseen)
	}
	if len(f.EarlierThan) < 2 {
		t.Errorf("earlier: %v, want both ends of the first connection", f.EarlierThan)
	}
	for _, e := range f.Events {
		if e.Time.After(f.Time) {
			t.Errorf("event at %v, the counters are of %v", e.Time, f.Time)
		}
	}
}

// A switched-off MPTCP is seen by opening a socket.
func TestFactsOfDisabled(t *testing.T) {
	ns := labtest.MPTCP(t)
	if err := ns.Do(func() error { return os.WriteFile("/proc/sys/net/mptcp/enabled", []byte("0"), 0) }); err != nil {
		t.Fatal(err)
	}
	f := factsOf(t, ns, nil)
	if f.Kernel.SocketError != syscall.ENOPROTOOPT || f.Sysctls.Enabled == nil || *f.Sysctls.Enabled {
		t.Errorf("socket %v, sysctls %v", f.Kernel.SocketError, f.Sysctls.Raw)
	}
	if r := doctor.Diagnose(f); r.Verdict != doctor.Failure || r.Findings[0].Rule != "D02" {
		t.Errorf("report %+v", r)
	}
}
