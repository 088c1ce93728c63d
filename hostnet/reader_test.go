package hostnet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/hostnet"
	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// cable is a veth link between a client and a server namespace.
type cable struct {
	name   string // at the client; "peer-" and the name at the server
	client string // address with prefix
	metric int    // of the route to the prefix
}

// connect lays cables between the namespaces, up at both ends.
func connect(t *testing.T, client, server *lab.Namespace, cables ...cable) {
	t.Helper()
	do(t, client, func() error {
		for _, c := range cables {
			veth := &netlink.Veth{
				LinkAttrs:     netlink.LinkAttrs{Name: c.name, Namespace: netlink.NsFd(client.Fd())},
				PeerName:      "peer-" + c.name,
				PeerNamespace: netlink.NsFd(server.Fd()),
			}
			if err := netlink.LinkAdd(veth); err != nil {
				return fmt.Errorf("link %s: %w", c.name, err)
			}
			link, err := netlink.LinkByName(c.name)
			if err != nil {
				return err
			}
			if err := netlink.LinkSetUp(link); err != nil {
				return err
			}
			if err := address(link, c); err != nil {
				return fmt.Errorf("address %s: %w", c.client, err)
			}
		}
		return nil
	})
	do(t, server, func() error {
		for _, c := range cables {
			if err := setUp("peer-"+c.name, true); err != nil {
				return err
			}
		}
		return nil
	})
	for _, c := range cables {
		settle(t, client, func(n hostnet.Network) bool { l, ok := n.LinkByName(c.name); return ok && l.Usable() })
	}
}

// address gives a link its address, and the route to its prefix the metric.
func address(link netlink.Link, c cable) error {
	addr, err := netlink.ParseAddr(c.client)
	if err != nil {
		return err
	}
	addr.Flags = unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_NODAD
	if err := netlink.AddrAdd(link, addr); err != nil {
		return err
	}
	prefix := *addr.IPNet
	prefix.IP = addr.IP.Mask(addr.Mask)
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: &prefix, Scope: netlink.SCOPE_LINK, Priority: c.metric}
	if addr.IP.To4() != nil {
		route.Src = addr.IP
	} else {
		route.Scope = netlink.SCOPE_UNIVERSE
	}
	return netlink.RouteAdd(route)
}

// setUp sets a link of the calling thread's namespace up or down.
func setUp(name string, up bool) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if up {
		return netlink.LinkSetUp(link)
	}
	return netlink.LinkSetDown(link)
}

// do runs f in the namespace and fails the test on its error.
func do(t *testing.T, ns *lab.Namespace, f func() error) {
	t.Helper()
	if err := ns.Do(f); err != nil {
		t.Fatal(err)
	}
}

// reader opens a reader in the namespace.
func reader(t *testing.T, ns *lab.Namespace) *hostnet.Reader {
	t.Helper()
	var r *hostnet.Reader
	do(t, ns, func() (err error) {
		r, err = hostnet.New(nil)
		return err
	})
	t.Cleanup(func() { r.Close() })
	return r
}

// settle waits until the namespace is as wanted.
func settle(t *testing.T, ns *lab.Namespace, wanted func(hostnet.Network) bool) {
	t.Helper()
	r := reader(t, ns)
	deadline := time.Now().Add(await.Patience)
	for {
		n, err := r.Network(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if wanted(n) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the network did not become as wanted: %+v", n.Links)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// route adds a route with a gateway on the calling thread.
func route(dev, dst, via string, metric, table int) error {
	link, err := netlink.LinkByName(dev)
	if err != nil {
		return err
	}
	prefix, err := netlink.ParseIPNet(dst)
	if err != nil {
		return err
	}
	return netlink.RouteAdd(
		&netlink.Route{
			LinkIndex: link.Attrs().Index,
			Dst:       prefix,
			Gw:        net.ParseIP(via),
			Priority:  metric,
			Table:     table,
		},
	)
}

// path returns the candidate with the address.
func path(t *testing.T, r *hostnet.Reader, address, to string) hostnet.Path {
	t.Helper()
	var dst netip.Addr
	if to != "" {
		dst = netip.MustParseAddr(to)
	}
	report, err := r.Paths(t.Context(), hostnet.LookupRequest{Dst: dst})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(report.Paths, func(p hostnet.Path) bool { return p.Address == netip.MustParseAddr(address) })
	if i < 0 {
		t.Fatalf("no path from %s in %+v", address, report.Paths)
	}
	return report.Paths[i]
}

// The set-up that Red Hat's procedure starts from: which address is the source of
// the initial subflow, and which one is there for another.
func TestPathsOfRedHatsProcedure(t *testing.T) {
	client, server := labtest.Namespace(t), labtest.Namespace(t)
	connect(t, client, server,
		cable{"enp1s0", "192.0.2.2/24", 100},
		cable{"wlp1s0", "192.0.2.3/24", 600})
	r := reader(t, client)

	report, err := r.Paths(t.Context(), hostnet.LookupRequest{Dst: netip.MustParseAddr("192.0.2.1")})
	if err != nil {
		t.Fatal(err)
	}
	d := report.Destinations[0]
	if d.Source.String() != "192.0.2.2" || d.Device != "enp1s0" || d.Assumed {
		t.Errorf("destination %+v", d)
	}
	first, second := report.Paths[0], report.Paths[1]
	if first.Address.String() != "192.0.2.2" || !first.Initial || first.Metric != 100 || first.Device != "enp1s0" ||
		!first.Usable {
		t.Errorf("initial %+v", first)
	}
	if second.Address.String() != "192.0.2.3" || second.Initial || second.Metric != 600 || second.Device != "wlp1s0" ||
		!second.Usable {
		t.Errorf("second %+v", second)
	}
	if second.OwnLink || second.LeavesBy != "enp1s0" || !slices.Equal(second.SharesPrefixWith, []string{"enp1s0"}) {
		t.Errorf("bound to its address alone, 192.0.2.3 must leave by enp1s0: %+v", second)
	}

	do(t, client, func() error { return setUp("wlp1s0", false) })
	if p := path(t, r, "192.0.2.3", "192.0.2.1"); p.Problem != hostnet.ProblemLinkDown || p.Usable {
		t.Errorf("link down: %+v", p)
	}
	do(t, client, func() error { return setUp("wlp1s0", true) })
	do(t, server, func() error { return setUp("peer-wlp1s0", false) })
	settle(t, client, func(n hostnet.Network) bool { l, _ := n.LinkByName("wlp1s0"); return l.Up && !l.Carrier })
	if p := path(t, r, "192.0.2.3", "192.0.2.1"); p.Problem != hostnet.ProblemNoCarrier {
		t.Errorf("cable pulled: %+v", p)
	}
}

func TestPathsWithRoutesAndRules(t *testing.T) {
	client, server := labtest.Namespace(t), labtest.Namespace(t)
	connect(t, client, server, cable{"eth0", "10.1.0.2/24", 0}, cable{"wlan0", "10.2.0.2/24", 0})
	do(t, client, func() error { return route("eth0", "0.0.0.0/0", "10.1.0.1", 100, 0) })
	r := reader(t, client)

	if p := path(t, r, "10.2.0.2", ""); p.Problem != hostnet.ProblemNotOnLink ||
		p.Destination.String() != "203.0.113.1" {
		t.Errorf("no route by wlan0: %+v", p)
	}
	do(t, client, func() error { return route("wlan0", "0.0.0.0/0", "10.2.0.1", 600, 0) })
	if p := path(t, r, "10.2.0.2", ""); !p.Usable || p.OwnLink || p.LeavesBy != "eth0" || p.Metric != 600 ||
		p.Gateway.String() != "10.2.0.1" {
		t.Errorf("second default route: %+v", p)
	}
	do(t, client, func() error {
		rule := netlink.NewRule()
		rule.Src, rule.Table, rule.Priority = &net.IPNet{
			IP:   net.IPv4(10, 2, 0, 2).To4(),
			Mask: net.CIDRMask(32, 32),
		}, 100, 1000
		if err := netlink.RuleAdd(rule); err != nil {
			return err
		}
		return route("wlan0", "0.0.0.0/0", "10.2.0.1", 7, 100)
	})
	if p := path(t, r, "10.2.0.2", ""); !p.Usable || !p.OwnLink || p.LeavesBy != "wlan0" || p.Metric != 7 {
		t.Errorf("rule by source: %+v", p)
	}
	if p := path(t, r, "10.1.0.2", ""); !p.Initial || !p.OwnLink || p.Metric != 100 {
		t.Errorf("initial: %+v", p)
	}
	if p := path(t, r, "10.2.0.2", "10.1.0.2"); p.Problem != hostnet.ProblemLocal {
		t.Errorf("to this host: %+v", p)
	}
}

func TestPathsOfIPv6(t *testing.T) {
	client, server := labtest.Namespace(t), labtest.Namespace(t)
	connect(t, client, server,
		cable{"eth0", "2001:db8:1::2/64", 256}, cable{"wlan0", "2001:db8:2::2/64", 256}, cable{"old", "10.1.0.2/24", 0})
	do(t, client, func() error {
		if err := route("eth0", "::/0", "2001:db8:1::1", 100, 0); err != nil {
			return err
		}
		return route("wlan0", "::/0", "2001:db8:2::1", 600, 0)
	})
	r := reader(t, client)
	if p := path(t, r, "2001:db8:1::2", "2001:4860::1"); !p.Initial || !p.Usable || p.Metric != 100 ||
		p.Device != "eth0" {
		t.Errorf("initial: %+v", p)
	}
	if p := path(t, r, "2001:db8:2::2", "2001:4860::1"); p.Initial || !p.Usable || p.Metric != 600 ||
		p.Gateway.String() != "2001:db8:2::1" {
		t.Errorf("second: %+v", p)
	}
	if p := path(t, r, "10.1.0.2", "2001:4860::1"); p.Problem != hostnet.ProblemFamily {
		t.Errorf("IPv4: %+v", p)
	}
}

func TestLookupErrors(t *testing.T) {
	client, server := labtest.Namespace(t), labtest.Namespace(t)
	connect(t, client, server, cable{"eth0", "10.1.0.2/24", 0})
	do(t, client, func() error {
		for prefix, kind := range map[string]int{"10.8.0.0/16": unix.RTN_PROHIBIT, "10.9.0.0/16": unix.RTN_UNREACHABLE} {
			dst, err := netlink.ParseIPNet(prefix)
			if err != nil {
				return err
			}
			if err := netlink.RouteAdd(&netlink.Route{Dst: dst, Type: kind}); err != nil {
				return err
			}
		}
		return nil
	})
	r := reader(t, client)
	for _, tt := range []struct {
		dst, src string
		want     syscall.Errno
		older    syscall.Errno // what older kernels say
	}{
		{"203.0.113.1", "", syscall.ENETUNREACH, 0},
		{"2001:db8::1", "", syscall.ENETUNREACH, 0},
		{"10.8.1.1", "", syscall.EACCES, 0},
		{"10.9.1.1", "", syscall.EHOSTUNREACH, 0},
		{"10.1.0.9", "10.77.0.1", syscall.ENETUNREACH, syscall.EINVAL},
	} {
		q := hostnet.LookupRequest{Dst: netip.MustParseAddr(tt.dst)}
		if tt.src != "" {
			q.Src = netip.MustParseAddr(tt.src)
		}
		_, err := r.Lookup(t.Context(), q)
		typed, ok := errors.AsType[*hostnet.Error](err)
		if !(errors.Is(err, tt.want) || tt.older != 0 && errors.Is(err, tt.older)) || !ok ||
			!strings.HasPrefix(err.Error(), "route lookup "+tt.dst) {
			t.Errorf("%+v: %v (%+v)", tt, err, typed)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Lookup(ctx, hostnet.LookupRequest{Dst: netip.MustParseAddr("10.1.0.1")}); !errors.Is(
		err,
		context.Canceled,
	) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := r.Links(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestReaderSeesTheWholeNetwork(t *testing.T) {
	client, server := labtest.Namespace(t), labtest.Namespace(t)
	connect(t, client, server, cable{"eth0", "10.1.0.2/24", 0}, cable{"wlan0", "10.2.0.2/24", 0})
	do(t, client, func() error {
		rule := netlink.NewRule()
		// No other user has a number in an ordinary user's namespace.
		rule.Priority, rule.Mark, rule.Table, rule.UIDRange = 500, 0x10, 77, netlink.NewRuleUIDRange(0, 0)
		rule.IifName, rule.OifName = "lo", "wlan0"
		if err := netlink.RuleAdd(rule); err != nil {
			return err
		}
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		wlan0, err := netlink.LinkByName("wlan0")
		if err != nil {
			return err
		}
		dst, err := netlink.ParseIPNet("10.50.0.0/16")
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{Dst: dst, Table: 77, MultiPath: []*netlink.NexthopInfo{
			{LinkIndex: eth0.Attrs().Index, Gw: net.IPv4(10, 1, 0, 1)},
			{LinkIndex: wlan0.Attrs().Index, Gw: net.IPv4(10, 2, 0, 1), Hops: 3},
		}})
	})
	n, err := reader(t, client).Network(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eth0, _ := n.LinkByName("eth0")
	wlan0, _ := n.LinkByName("wlan0")
	if eth0.Kind != "veth" || eth0.Type != "ether" || eth0.State() != "up" || eth0.Tunnel || eth0.Wireless ||
		eth0.MTU < 576 {
		t.Errorf("%+v", eth0)
	}
	if lo, ok := n.LinkByName("lo"); !ok || !lo.Loopback || lo.Kind != "" {
		t.Errorf("%+v", lo)
	}
	i := slices.IndexFunc(n.Routes, func(r hostnet.Route) bool { return r.Table == 77 })
	if i < 0 {
		t.Fatalf("no route of table 77 in %+v", n.Routes)
	}
	want := []hostnet.NextHop{
		{netip.MustParseAddr("10.1.0.1"), eth0.Index, 1},
		{netip.MustParseAddr("10.2.0.1"), wlan0.Index, 4},
	}
	if r := n.Routes[i]; !slices.Equal(r.NextHops, want) || !r.Uses(wlan0.Index) || r.Dst.String() != "10.50.0.0/16" ||
		r.Type != "unicast" {
		t.Errorf("multipath %+v", r)
	}
	if !slices.ContainsFunc(
		n.Routes,
		func(r hostnet.Route) bool { return r.Table == hostnet.TableLocal && r.Type == "local" },
	) {
		t.Error("no routes of the table local")
	}
	j := slices.IndexFunc(n.Rules, func(r hostnet.Rule) bool { return r.Priority == 500 })
	if j < 0 {
		t.Fatalf("no rule 500 in %+v", n.Rules)
	}
	if r := n.Rules[j]; r.Mark != 0x10 || r.MarkMask != 0 || r.Table != 77 || r.UIDs == nil || *r.UIDs != (hostnet.UIDRange{}) ||
		r.IIF != "lo" ||
		r.OIF != "wlan0" ||
		r.Family != "inet" ||
		r.SuppressPrefixLen != nil {
		t.Errorf("%+v", r)
	}
}

func TestNames(t *testing.T) {
	client, server := labtest.Namespace(t), labtest.Namespace(t)
	connect(t, client, server, cable{"eth0", "10.1.0.2/24", 0})
	r := reader(t, client)
	n, err := r.Network(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	link, _ := n.LinkByName("eth0")
	names := hostnet.NewNames(r)
	if got := names.Name(link.Index); got != "eth0" {
		t.Errorf("got %q", got)
	}
	if got := names.Name(99999); got != "if99999" {
		t.Errorf("no such link: %q", got)
	}
	do(t, client, func() error {
		l, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetDown(l); err != nil {
			return err
		}
		return netlink.LinkSetName(l, "lan0")
	})
	if err := names.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := names.Name(link.Index); got != "lan0" {
		t.Errorf("renamed: %q", got)
	}
	do(t, client, func() error {
		l, err := netlink.LinkByName("lan0")
		if err != nil {
			return err
		}
		return netlink.LinkDel(l)
	})
	if err := names.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := names.Name(link.Index); got != "lan0" {
		t.Errorf("gone: %q", got)
	}
	replayed := hostnet.NewNames(nil)
	replayed.Learn(n.Links)
	if got := replayed.Name(link.Index) + " " + replayed.Name(99999); got != "eth0 if99999" {
		t.Errorf("from a recording: %q", got)
	}
}
