package cli

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// uplinks makes the devices w0 and w1, with the addresses, and routes by them.
func uplinks(t *testing.T, inside func(func() error) error, addresses [2][]string, routes ...netlink.Route) {
	t.Helper()
	err := inside(func() error {
		for i, name := range []string{"w0", "w1"} {
			wire := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "x"}
			if err := netlink.LinkAdd(wire); err != nil {
				return err
			}
			for _, a := range addresses[i] {
				text, deprecated := strings.CutSuffix(a, " deprecated")
				address, err := netlink.ParseAddr(text)
				if err != nil {
					return err
				}
				address.Flags = unix.IFA_F_NODAD
				if deprecated {
					address.ValidLft = 1 << 20
				}
				if err := netlink.AddrAdd(wire, address); err != nil {
					return err
				}
			}
			for _, end := range []string{name, name + "x"} {
				l, err := netlink.LinkByName(end)
				if err != nil {
					return err
				}
				if err := netlink.LinkSetUp(l); err != nil {
					return err
				}
			}
		}
		for _, r := range routes {
			for name, index := range map[string]int{"w0": 1, "w1": 2} {
				l, err := netlink.LinkByName(name)
				if err != nil {
					return err
				}
				if r.LinkIndex == index {
					r.LinkIndex = l.Attrs().Index
					break
				}
				for _, hop := range r.MultiPath {
					if hop.LinkIndex == index {
						hop.LinkIndex = l.Attrs().Index
					}
				}
			}
			if err := netlink.RouteAdd(&r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func prefix(t *testing.T, text string) *net.IPNet {
	t.Helper()
	_, n, err := net.ParseCIDR(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Routes that are a choice by a hash are said to be one, and not a device.
func TestPathsByAHash(t *testing.T) {
	for policy, want := range map[string]string{"0": " dev w", "1": "dev w0 or w1, as a hash"} {
		ns := labtest.MPTCP(t)
		uplinks(t, ns.Do, [2][]string{{"10.1.1.2/24"}, {"10.1.2.2/24"}}, netlink.Route{
			Dst: prefix(t, "10.9.0.0/16"), MultiPath: []*netlink.NexthopInfo{
				{LinkIndex: 1, Gw: net.ParseIP("10.1.1.1")}, {LinkIndex: 2, Gw: net.ParseIP("10.1.2.1")},
			},
		})
		err := ns.Do(func() error {
			return os.WriteFile("/proc/sys/net/ipv4/fib_multipath_hash_policy", []byte(policy), 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
		got := ask(t, ns, self(t), "mptcpctl", "paths", "to", "10.9.0.1")
		if !strings.Contains(got.stdout, want) || strings.Contains(got.stdout, " or w1") != (policy == "1") ||
			strings.Contains(got.stdout, "by a hash of its ports") != (policy == "1") {
			t.Errorf("policy %s: %v", policy, got)
		}
	}
}

// An address that two links have is that of the link by which packets leave; the other
// link is no path of its own.
func TestPathsWithOneAddressOnTwoLinks(t *testing.T) {
	ns := labtest.MPTCP(t)
	gateway := net.ParseIP("10.1.8.1")
	uplinks(t, ns.Do, [2][]string{{"10.1.8.100/24"}, {"10.1.8.100/24"}},
		netlink.Route{LinkIndex: 1, Gw: gateway, Priority: 1}, netlink.Route{LinkIndex: 2, Gw: gateway, Priority: 2})
	got := ask(t, ns, self(t), "mptcpctl", "paths", "to", "10.9.0.1")
	for _, want := range []string{
		"  10.1.8.100 dev w0 link up metric 1 via 10.1.8.1, the initial subflow\n",
		"  10.1.8.100 dev w1 link up via 10.1.8.1, not usable: another link has the same address",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%v, want %q", got, want)
		}
	}
}

// One address of each further link is recommended.
func TestPathsRecommendOneAddressOfALink(t *testing.T) {
	ns := labtest.MPTCP(t)
	uplinks(t, ns.Do, [2][]string{{"fd91:1::2/64"}, {"fd91:2::abcd/64 deprecated", "fd91:2::2/64", "fd91:2::3/64"}},
		netlink.Route{LinkIndex: 1, Gw: net.ParseIP("fd91:1::1"), Priority: 1},
		netlink.Route{LinkIndex: 2, Gw: net.ParseIP("fd91:2::1"), Priority: 2})
	got := ask(t, ns, self(t), "mptcpctl", "paths", "to", "fd99::1")
	if n := strings.Count(got.stdout, "mptcpctl endpoint add"); n != 1 ||
		strings.Contains(got.stdout, "add fd91:2::abcd") ||
		!strings.Contains(got.stdout, "is on the same device: this one would add a subflow, not a path") ||
		!strings.Contains(got.stdout, "a deprecated address") {
		t.Errorf("%d commands: %v", n, got)
	}
}

// The answer is for the flow that is asked about, and says on what else rules depend.
func TestPathsOfAFlow(t *testing.T) {
	ns := labtest.MPTCP(t)
	uplinks(t, ns.Do, [2][]string{{"10.1.1.2/24"}, {"10.1.2.2/24"}},
		netlink.Route{Dst: prefix(t, "10.9.0.0/16"), LinkIndex: 1, Gw: net.ParseIP("10.1.1.1"), Table: 102},
		netlink.Route{Dst: prefix(t, "10.9.0.0/16"), LinkIndex: 2, Gw: net.ParseIP("10.1.2.1"), Table: 103})
	err := ns.Do(func() error {
		marked := netlink.NewRule()
		marked.Mark, marked.Table, marked.Priority = 2, 102, 100
		user := netlink.NewRule()
		user.UIDRange, user.Table, user.Priority = netlink.NewRuleUIDRange(77, 78), 103, 101
		if err := netlink.RuleAdd(marked); err != nil {
			return err
		}
		return netlink.RuleAdd(user)
	})
	// The user namespace of an ordinary user has no user 77: there the marks alone are tried.
	users := !errors.Is(err, unix.EINVAL) || initialUserNamespace(t)
	if err != nil && users {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"paths to 10.9.0.1":              "routing rules depend on fwmark 0x2, uidrange 77-78: the answer may differ",
		"paths to 10.9.0.1 mark 2":       "the initial subflow goes from 10.1.1.2 dev w0 via 10.1.1.1",
		"paths to 10.9.0.1 uid 77":       "the initial subflow goes from 10.1.2.2 dev w1 via 10.1.2.1",
		"paths mark 2 uid 0 to 10.9.0.1": "the answer is for a flow with mark 0x2 uid 0",

		"endpoint check 10.1.2.2 dev w1 to 10.9.0.1":         "routing rules depend on fwmark 0x2, uidrange 77-78",
		"endpoint check 10.1.2.2 dev w1 to 10.9.0.1 uid 77":  "routing rules depend on fwmark 0x2: ",
		"endpoint check 10.1.1.2 dev w0 mark 2 to 10.9.0.1":  "the answer is for a flow with mark 0x2",
		"endpoint check 10.1.1.2 dev w0 to 10.9.0.1 mark 99": "no route to 10.9.0.1",
	} {
		if !users && (strings.Contains(line, "uid 77") || strings.Contains(want, "uidrange")) {
			continue
		}
		got := ask(t, ns, self(t), "mptcpctl", strings.Fields(line)...)
		out := got.stdout
		if strings.HasPrefix(line, "endpoint") {
			out += got.stderr
		}
		if !strings.Contains(out, want) {
			t.Errorf("%s: %v, want %q", line, got, want)
		}
	}
	for _, line := range []string{"paths mark", "paths uid x", "paths mark 4294967296"} {
		if got := ask(t, ns, self(t), "mptcpctl", strings.Fields(line)...); !strings.Contains(got.stderr, "number") {
			t.Errorf("%s: %v", line, got)
		}
	}
}

// A link-local peer is on one link: endpoints of others do not reach it.
func TestCheckOfALinkLocalPeer(t *testing.T) {
	ns := labtest.MPTCP(t)
	uplinks(t, ns.Do, [2][]string{{"fe80::1:2/64"}, {"fe80::2:2/64"}})
	for line, want := range map[string]string{
		"endpoint check fe80::2:2 dev w1 to fe80::9%w0": "fe80::9%w0 is on the link of w0 alone",
		"endpoint check fe80::2:2 dev w1 to fe80::9":    "fe80::9 is on the link of one device alone",
		"endpoint check fe80::1:2 dev w0 to fe80::9%w0": "fe80::1:2 dev w0 subflow",
	} {
		got := ask(t, ns, self(t), "mptcpctl", strings.Fields(line)...)
		if !strings.Contains(got.stdout, want) || strings.Contains(got.stdout, "alone") != strings.Contains(want, "alone") {
			t.Errorf("%s: %v, want %q", line, got, want)
		}
	}
}

// What the host's own firewall does to joins is said before the endpoint is there.
func TestCheckAsksTheFirewall(t *testing.T) {
	ns := labtest.MPTCP(t)
	uplinks(t, ns.Do, [2][]string{{"10.1.1.2/24"}, {"10.1.2.2/24"}},
		netlink.Route{Dst: prefix(t, "10.9.0.0/16"), LinkIndex: 1, Gw: net.ParseIP("10.1.1.1"), Priority: 1},
		netlink.Route{Dst: prefix(t, "10.9.0.0/16"), LinkIndex: 2, Gw: net.ParseIP("10.1.2.1"), Priority: 2})
	if err := ns.SetFirewall(lab.FirewallRule{Hook: lab.HookOutput, Out: "w1", Verdict: lab.Drop}.OnSYN(lab.SubtypeMPJoin)); err != nil {
		t.Fatal(err)
	}
	got := ask(t, ns, self(t), "mptcpctl", strings.Fields("endpoint check 10.1.2.2 dev w1 to 10.9.0.1")...)
	if want := "the firewall of this host drops joins from 10.1.2.2 to 10.9.0.1 (D35)"; !strings.Contains(got.stdout, want) {
		t.Errorf("%v, want %q", got, want)
	}
}
