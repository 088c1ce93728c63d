package scenario

import (
	"net/netip"

	"mptcpctl/internal/lab"
	"mptcpctl/mptcp"
)

// Topologies returns the topologies at hand, in the order of `lab list`. The
// caller owns them.
func Topologies() []lab.Topology {
	return []lab.Topology{redHat(), twoSubnets(), ipv6(), announce(), natted()}
}

// FindTopology returns the topology of that name.
func FindTopology(name string) (lab.Topology, bool) {
	for _, t := range Topologies() {
		if t.Name == name {
			return t, true
		}
	}
	return lab.Topology{}, false
}

// redHat is the network of Red Hat's procedure. A switch of its own joins the
// three links, as in a real network.
func redHat() lab.Topology {
	return lab.Topology{
		Name:    "redhat",
		Summary: "Red Hat's procedure: a client with Ethernet and Wi-Fi in one subnet",
		Hosts: []lab.HostSpec{
			{Name: lab.ServerHost, Sysctls: weakHost()}, {Name: "switch", Bridges: []string{"br0"}},
			{Name: lab.ClientHost, Sysctls: append(weakHost(), oneSubnet()...)},
		},
		Links: []lab.Link{
			{
				A: lab.End{Host: lab.ClientHost, Name: "enp1s0", Addresses: prefixes("192.0.2.2/24"), Metric: 100},
				B: lab.End{Host: "switch", Name: "port2", Bridge: "br0"},
			},
			{
				A: lab.End{Host: lab.ClientHost, Name: "wlp1s0", Addresses: prefixes("192.0.2.3/24"), Metric: 600},
				B: lab.End{Host: "switch", Name: "port3", Bridge: "br0"},
			},
			{
				A: lab.End{Host: lab.ServerHost, Name: "enp1s0", Addresses: prefixes("192.0.2.1/24")},
				B: lab.End{Host: "switch", Name: "port1", Bridge: "br0"},
			},
		},
		Paths: []lab.Path{
			path("enp1s0", "192.0.2.2", "192.0.2.1"), path("wlp1s0", "192.0.2.3", "192.0.2.1"),
		},
	}
}

// twoSubnets gives client and server two links, a subnet on each.
func twoSubnets() lab.Topology {
	t := twoLinks("10.0.1.2/24", "10.0.1.1/24", "10.0.2.2/24", "10.0.2.1/24")
	t.Name = "two-subnets"
	t.Summary = "two links in two subnets; the client has an endpoint on the second"
	t.SetClient(mptcp.Limits{Subflows: 2}, lab.Endpoint{
		Address: netip.MustParseAddr("10.0.2.2"), Dev: "eth1", Flags: mptcp.FlagSubflow,
	})
	return t
}

// ipv6 is twoSubnets over IPv6 alone.
func ipv6() lab.Topology {
	t := twoLinks("2001:db8:1::2/64", "2001:db8:1::1/64", "2001:db8:2::2/64", "2001:db8:2::1/64")
	t.Name = "ipv6"
	t.Summary = "two links in two IPv6 subnets; the client has an endpoint on the second"
	t.SetClient(mptcp.Limits{Subflows: 2}, lab.Endpoint{
		Address: netip.MustParseAddr("2001:db8:2::2"), Dev: "eth1", Flags: mptcp.FlagSubflow,
	})
	return t
}

// announce lets the server offer its second address.
func announce() lab.Topology {
	t := twoLinks("10.0.1.2/24", "10.0.1.1/24", "10.0.2.2/24", "10.0.2.1/24")
	t.Name = "announce"
	t.Summary = "the server announces its second address; the client accepts it"
	t.SetClient(mptcp.Limits{AddAddrAccepted: 1, Subflows: 2})
	server, _ := t.Host(lab.ServerHost)
	server.Limits = &mptcp.Limits{Subflows: 2}
	server.Endpoints = []lab.Endpoint{{Address: netip.MustParseAddr("10.0.2.1"), Flags: mptcp.FlagSignal}}
	t.Paths[1].Destination = netip.MustParseAddr("10.0.2.1")
	return t
}

// natted puts a router with source NAT on the second path.
func natted() lab.Topology {
	server, client := lab.HostSpec{
		Name:    lab.ServerHost,
		Sysctls: weakHost(),
	}, lab.HostSpec{
		Name:    lab.ClientHost,
		Sysctls: weakHost(),
	}
	client.Limits = &mptcp.Limits{Subflows: 2}
	client.Endpoints = []lab.Endpoint{
		{Address: netip.MustParseAddr("192.168.2.2"), Dev: "eth1", Flags: mptcp.FlagSubflow},
	}
	client.Rules = []lab.PolicyRule{{From: netip.MustParsePrefix("192.168.2.2/32"), Table: 102, Priority: 102}}
	client.Routes = []lab.Route{
		{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.168.2.1"), Dev: "eth1", Table: 102},
	}
	router := lab.HostSpec{
		Name:    "router",
		Sysctls: append(weakHost(), lab.Sysctl{Name: "net.ipv4.ip_forward", Value: "1"}),
		Routes: []lab.Route{
			{To: netip.MustParsePrefix("10.0.1.0/24"), Via: netip.MustParseAddr("10.0.2.1"), Dev: "wan"},
		},
		Firewall: []lab.FirewallRule{{Hook: lab.HookPostrouting, Out: "wan", Verdict: lab.Masquerade}},
	}
	return lab.Topology{
		Name:    "nat",
		Summary: "the second path passes a router that rewrites the client's address",
		Hosts:   []lab.HostSpec{server, router, client},
		Links: []lab.Link{
			{
				A: lab.End{Host: lab.ClientHost, Name: "eth0", Addresses: prefixes("10.0.1.2/24")},
				B: lab.End{Host: lab.ServerHost, Name: "eth0", Addresses: prefixes("10.0.1.1/24")},
			},
			{
				A: lab.End{Host: lab.ClientHost, Name: "eth1", Addresses: prefixes("192.168.2.2/24")},
				B: lab.End{Host: "router", Name: "lan", Addresses: prefixes("192.168.2.1/24")},
			},
			{
				A: lab.End{Host: "router", Name: "wan", Addresses: prefixes("10.0.2.254/24")},
				B: lab.End{Host: lab.ServerHost, Name: "eth1", Addresses: prefixes("10.0.2.1/24")},
			},
		},
		Paths: []lab.Path{path("eth0", "10.0.1.2", "10.0.1.1"), path("eth1", "192.168.2.2", "10.0.1.1")},
	}
}

// twoLinks joins client and server by eth0 and eth1. What the client sends from
// its second address leaves by the second link: a rule by source sees to it.
func twoLinks(client1, server1, client2, server2 string) lab.Topology {
	c1, s1 := netip.MustParsePrefix(client1), netip.MustParsePrefix(server1)
	c2, s2 := netip.MustParsePrefix(client2), netip.MustParsePrefix(server2)
	anywhere := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if c2.Addr().Is6() {
		anywhere = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return lab.Topology{
		Hosts: []lab.HostSpec{
			{Name: lab.ServerHost, Sysctls: weakHost()},
			{
				Name:    lab.ClientHost,
				Sysctls: weakHost(),
				Rules: []lab.PolicyRule{
					{From: netip.PrefixFrom(c2.Addr(), c2.Addr().BitLen()), Table: 102, Priority: 102},
				},
				Routes: []lab.Route{{To: anywhere, Via: s2.Addr(), Dev: "eth1", Table: 102}},
			},
		},
		Links: []lab.Link{
			{
				A: lab.End{Host: lab.ClientHost, Name: "eth0", Addresses: []netip.Prefix{c1}},
				B: lab.End{Host: lab.ServerHost, Name: "eth0", Addresses: []netip.Prefix{s1}},
			},
			{
				A: lab.End{Host: lab.ClientHost, Name: "eth1", Addresses: []netip.Prefix{c2}},
				B: lab.End{Host: lab.ServerHost, Name: "eth1", Addresses: []netip.Prefix{s2}},
			},
		},
		Paths: []lab.Path{
			{From: lab.ClientHost, To: lab.ServerHost, Dev: "eth0", Source: c1.Addr(), Destination: s1.Addr()},
			{From: lab.ClientHost, To: lab.ServerHost, Dev: "eth1", Source: c2.Addr(), Destination: s1.Addr()},
		},
	}
}

// weakHost lets a host take packets for any of its addresses on any link. A new
// namespace inherits the machine's rp_filter, so it is set and not assumed.
func weakHost() []lab.Sysctl {
	return []lab.Sysctl{
		{Name: "net.ipv4.conf.all.rp_filter", Value: "0"}, {Name: "net.ipv4.conf.default.rp_filter", Value: "0"},
	}
}

// oneSubnet makes two links in one subnet two paths. Without it both devices
// answer the peer's ARP for either address: the answer that comes first wins, the
// peer sends to the wrong device, and the subflow that is bound to the other
// device never sees its packets.
func oneSubnet() []lab.Sysctl {
	var all []lab.Sysctl
	for _, scope := range []string{"all", "default"} {
		all = append(all,
			lab.Sysctl{Name: "net.ipv4.conf." + scope + ".arp_ignore", Value: "1"},
			lab.Sysctl{Name: "net.ipv4.conf." + scope + ".arp_announce", Value: "2"})
	}
	return all
}

func path(dev, source, destination string) lab.Path {
	return lab.Path{
		From: lab.ClientHost, To: lab.ServerHost, Dev: dev,
		Source: netip.MustParseAddr(source), Destination: netip.MustParseAddr(destination),
	}
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}
