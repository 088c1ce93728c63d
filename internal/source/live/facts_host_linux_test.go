package live_test

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/internal/source/gather"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"

	"golang.org/x/sys/unix"
)

// standIn starts a program of that name in the namespace, which waits until the test
// has ended.
func standIn(t *testing.T, ns *lab.Namespace, name string) int {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(sleep, path); err != nil {
		t.Fatal(err)
	}
	cmd := ns.Command(t.Context(), path, "3600")
	cmd.Args[0] = "sleep"
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	short := name[:min(len(name), 15)]
	await.True(t, name+" is called so", func() bool {
		comm, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "comm"))
		return err == nil && strings.TrimSpace(string(comm)) == short
	})
	return cmd.Process.Pid
}

// The programs that manage endpoints are those of the namespace, by their names.
func TestFactsOfManagers(t *testing.T) {
	ns, other := labtest.MPTCP(t), labtest.MPTCP(t)
	if f := factsOf(t, ns, nil); len(f.Managers) != 0 {
		t.Errorf("managers of a new namespace: %v", f.Managers)
	}
	want := []mptcp.Process{{PID: standIn(t, ns, "NetworkManager"), Name: "NetworkManager"}}
	standIn(t, ns, "NetworkManagerX") // another program, longer by a letter
	standIn(t, other, "mptcpd")
	f := factsOf(t, ns, nil)
	if !slices.Equal(f.Managers, want) {
		t.Errorf("got %v, want %v", f.Managers, want)
	}
	want = append(want, mptcp.Process{PID: standIn(t, ns, "mptcpd"), Name: "mptcpd"})
	standIn(t, ns, "systemd-networkd") // has no setting for MPTCP
	f = factsOf(t, ns, nil)
	slices.SortFunc(f.Managers, func(a, b mptcp.Process) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(want, func(a, b mptcp.Process) int { return strings.Compare(a.Name, b.Name) })
	if !slices.Equal(f.Managers, want) {
		t.Errorf("got %v, want %v", f.Managers, want)
	}
}

// Who listens to the path manager's events in another process counts, this process
// and those that only watch do not.
func TestFactsOfSubscribers(t *testing.T) {
	ns := labtest.MPTCP(t)
	startNamed(t, ns, "mptcpctl")
	listener := startListener(t, ns)
	count := func() int {
		f := factsOf(t, ns, nil)
		if f.Subscribers == nil {
			t.Fatal("not known")
		}
		return *f.Subscribers
	}
	await.True(t, "the listener counts", func() bool { return count() == 1 })
	err := ns.Do(func() error {
		own, err := pathmanager.Listen(nil)
		if err == nil {
			t.Cleanup(func() { own.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// A program that watches all namespaces of the machine may listen for a while too.
	await.True(t, "the listener of this process does not count", func() bool { return count() == 1 })
	if err := listener.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = listener.Wait() // it was killed
	await.True(t, "nobody listens any more", func() bool { return count() == 0 })
}

// The version of iproute2 is that of the ip command in the path.
func TestFactsOfIPRoute2(t *testing.T) {
	ns := labtest.MPTCP(t)
	for _, tt := range []struct{ name, script, want string }{
		{"old", "echo 'ip utility, iproute2-5.10.0'", "5.10.0"},
		{"with libbpf", "echo 'ip utility, iproute2-6.1.0, libbpf 1.1.2'", "6.1.0"},
		{"by date", "echo 'ip utility, iproute2-ss200127'", ""},
		{"no version", "echo hello", ""},
		{"fails", "exit 3", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "ip"), []byte("#!/bin/sh\n"+tt.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			if f := factsOf(t, ns, nil); f.IPRoute2 != tt.want {
				t.Errorf("got %q, want %q", f.IPRoute2, tt.want)
			}
			if f := factsOf(t, ns, &gather.Config{Alone: true}); f.IPRoute2 != "" {
				t.Errorf("alone: %q", f.IPRoute2)
			}
		})
	}
}

// Routes are looked up from each endpoint to the peers, without and with its device.
func TestFactsOfLookups(t *testing.T) {
	t.Parallel()
	topology, _ := scenario.FindTopology("two-subnets")
	l, err := lab.Build(t.Context(), topology)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, server := l.Host(lab.ClientHost), l.Host(lab.ServerHost)
	index, err := client.IfIndex("eth1")
	if err != nil {
		t.Fatal(err)
	}
	second, peer := netip.MustParseAddr("10.0.2.2"), netip.MustParseAddr("10.0.1.1")
	err = client.Do(func() error {
		pm, err := pathmanager.Dial(nil)
		if err != nil {
			return err
		}
		defer pm.Close()
		return pm.AddEndpoint(
			t.Context(),
			mptcp.Endpoint{Address: second, IfIndex: int32(index), Flags: mptcp.FlagSubflow},
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	if f := factsOf(t, client.Namespace, nil); len(f.Lookups) != 0 {
		t.Errorf("without a connection: %v", f.Lookups)
	}
	connect(t, client.Namespace, server.Namespace, netip.AddrPortFrom(peer, 7003))
	f := factsOf(t, client.Namespace, nil)
	want := []hostnet.LookupRequest{{Dst: peer, Src: second}, {Dst: peer, Src: second, OIF: index}}
	if len(f.Lookups) != len(want) {
		t.Fatalf("got %+v", f.Lookups)
	}
	for i, l := range f.Lookups {
		if l.Request != want[i] || l.Error != "" || l.Route.IfIndex != index || l.Route.Gateway.String() != "10.0.2.1" {
			t.Errorf("got %+v", l)
		}
	}
}

// connect makes a connection that lasts as long as the test, and has carried data.
func connect(t *testing.T, from, to *lab.Namespace, at netip.AddrPort) {
	t.Helper()
	s, err := lab.Serve(t.Context(), to, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c, err := lab.Connect(t.Context(), from, s.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Exchange(1000); err != nil {
		t.Fatal(err)
	}
}

// Other namespaces count where it matters: what they hold, how they lie to this one,
// and under which name.
func TestFactsOfOtherNamespaces(t *testing.T) {
	inner, outer, far := lab.HostSpec{Name: "inner"}, lab.HostSpec{Name: "outer"}, lab.HostSpec{Name: "far"}
	anywhere := netip.MustParsePrefix("0.0.0.0/0")
	inner.Routes = []lab.Route{{To: anywhere, Via: netip.MustParseAddr("10.7.0.1"), Dev: "eth0"}}
	outer.Sysctls = []lab.Sysctl{{Name: "net.ipv4.ip_forward", Value: "1"}}
	far.Routes = []lab.Route{
		{To: netip.MustParsePrefix("10.7.0.0/24"), Via: netip.MustParseAddr("10.8.0.1"), Dev: "eth0"},
	}
	end := func(host, name, address string) lab.End {
		return lab.End{Host: host, Name: name, Addresses: []netip.Prefix{netip.MustParsePrefix(address)}}
	}
	l, err := lab.Build(t.Context(), lab.Topology{
		Name: "nested", Hosts: []lab.HostSpec{inner, outer, far},
		Links: []lab.Link{
			{A: end("inner", "eth0", "10.7.0.2/24"), B: end("outer", "veth0", "10.7.0.1/24")},
			{A: end("outer", "eth0", "10.8.0.1/24"), B: end("far", "eth0", "10.8.0.2/24")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	connect(t, l.Host("inner").Namespace, l.Host("far").Namespace, netip.MustParseAddrPort("10.8.0.2:7004"))
	pid := standIn(t, l.Host("inner").Namespace, "in-a-container")
	inside := func(f *doctor.Facts) (doctor.Namespace, bool) {
		i := slices.IndexFunc(f.Elsewhere, func(n doctor.Namespace) bool { return n.Name == strconv.Itoa(pid) })
		if i < 0 {
			return doctor.Namespace{}, false
		}
		return f.Elsewhere[i], true
	}
	f := factsOf(t, l.Host("outer").Namespace, nil)
	want := doctor.Namespace{
		Name:        strconv.Itoa(pid),
		Hint:        "in-a-container",
		Connections: 1,
		Single:      1,
		Used:        true,
		Behind:      true,
	}
	if n, ok := inside(&f); !ok || n != want {
		t.Errorf("got %+v, want %+v; gaps %v", f.Elsewhere, want, f.Unseen)
	}
	f = factsOf(t, l.Host("far").Namespace, nil) // it has a connection: what others hold does not matter
	if f.Elsewhere != nil {
		t.Errorf("a server is told of %+v", f.Elsewhere)
	}
	f = factsOf(t, l.Host("outer").Namespace, &gather.Config{Alone: true})
	if f.Elsewhere != nil {
		t.Errorf("alone: %+v", f.Elsewhere)
	}

	standIn(t, l.Host("outer").Namespace, "the-host")
	err = l.Host("outer").Do(func() error {
		pm, err := pathmanager.Dial(nil)
		if err != nil {
			return err
		}
		defer pm.Close()
		return pm.AddEndpoint(
			t.Context(),
			mptcp.Endpoint{Address: netip.MustParseAddr("10.8.0.1"), Flags: mptcp.FlagSubflow},
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	f = factsOf(t, l.Host("inner").Namespace, nil)
	if i := slices.IndexFunc(f.Elsewhere, func(n doctor.Namespace) bool { return n.Hint == "the-host" }); i < 0 ||
		f.Elsewhere[i].Makers != 1 || !f.Elsewhere[i].Ahead || f.Elsewhere[i].Used || f.Elsewhere[i].Behind {
		t.Errorf("from inside: %+v; gaps %v", f.Elsewhere, f.Unseen)
	}
}

// What needs privileges is named as not seen without them.
func TestFactsUnprivileged(t *testing.T) {
	ns, other := labtest.MPTCP(t), labtest.MPTCP(t)
	standIn(t, other, "elsewhere")
	var f doctor.Facts
	err := ns.Do(func() error {
		h, err := live.Dial(nil)
		if err != nil {
			return err
		}
		defer h.Close()
		none := [2]unix.CapUserData{} // on this thread, which ends
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
			return err
		}
		f, err = h.Facts(t.Context(), &gather.Config{Window: time.Millisecond})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []doctor.Gap{
		{What: "events", Why: "needs CAP_NET_ADMIN"},
		{What: "the firewall of this host", Why: "needs CAP_NET_ADMIN"},
	} {
		if !slices.Contains(f.Unseen, want) {
			t.Errorf("no gap %v in %v", want, f.Unseen)
		}
	}
	if !slices.ContainsFunc(f.Unseen, func(g doctor.Gap) bool { return g.What == "other network namespaces" }) {
		t.Errorf("no gap about other namespaces in %v", f.Unseen)
	}
}

// The packet filter is read with the namespace.
func TestFactsOfFirewall(t *testing.T) {
	ns := labtest.MPTCP(t)
	if f := factsOf(t, ns, nil); f.Firewall == nil || len(f.Firewall.Chains) != 0 {
		t.Errorf("a new namespace has %+v; gaps %v", f.Firewall, f.Unseen)
	}
	if err := ns.SetFirewall(lab.FirewallRule{Hook: lab.HookInput, Verdict: lab.Drop}); err != nil {
		t.Fatal(err)
	}
	if f := factsOf(t, ns, nil); f.Firewall == nil || len(f.Firewall.Chains) != 1 {
		t.Errorf("got %+v; gaps %v", f.Firewall, f.Unseen)
	}
}

// A host that is looked at again knows since when MPTCP is left out.
func TestFactsOfBlackhole(t *testing.T) {
	t.Parallel()
	s, _ := scenario.Find("syn-dropped")
	l, err := lab.Build(t.Context(), s.Topology)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, server := l.Host(lab.ClientHost), l.Host(lab.ServerHost)
	if _, known, err := client.Counter(s.Needs); err == nil && !known {
		labtest.Skip(t, "the kernel has no counter %s, and does not leave MPTCP out", s.Needs)
	}
	for _, f := range s.Faults {
		if err := l.Host(f.Host).SetFirewall(f.Firewall...); err != nil {
			t.Fatal(err)
		}
	}
	var h *live.Host
	err = client.Do(func() (err error) {
		h, err = live.Dial(&live.Config{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	look := func() (f doctor.Facts) {
		t.Helper()
		err := client.Do(func() (err error) { // counters are those of the thread
			f, err = h.Facts(t.Context(), &gather.Config{Alone: true})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := look(); !f.BlackholeSeen.IsZero() {
		t.Errorf("seen at %v, before anything", f.BlackholeSeen)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	serve, err := lab.Serve(ctx, server.Namespace, netip.MustParseAddrPort("10.0.1.1:12345"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer serve.Close()
	c, err := lab.Connect(ctx, client.Namespace, serve.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	await.True(t, "the counter Blackhole moves", func() bool {
		n, _, err := client.Counter(s.Needs)
		return err == nil && n > 0
	})
	first := look()
	if first.BlackholeSeen.Before(began) || first.BlackholeSeen.After(time.Now()) {
		t.Errorf("seen at %v, begun at %v", first.BlackholeSeen, began)
	}
	if again := look(); !again.BlackholeSeen.Equal(first.BlackholeSeen) {
		t.Errorf("seen at %v, then at %v", first.BlackholeSeen, again.BlackholeSeen)
	}
	first.Blackholed = []doctor.Flow{{Remote: serve.Addr()}}
	r := doctor.Diagnose(first)
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Rule == "D33" })
	if i < 0 || !strings.Contains(strings.Join(r.Findings[i].Evidence, "\n"), "began at") {
		t.Errorf("found %+v", r.Findings)
	}
}
