package lab

import (
	"net/netip"

	"mptcpctl/mptcp"
)

// Topologies returns the topologies at hand, in the order of `lab list`. The
// caller owns them.
func Topologies() []Topology {
	return []Topology{redHat(), twoSubnets(), ipv6(), announce(), natted()}
}

// FindTopology returns the topology of that name.
func FindTopology(name string) (Topology, bool) {
	for _, t := range Topologies() {
		if t.Name == name {
			return t, true
		}
	}
	return Topology{}, false
}

// redHat is the network of Red Hat's procedure. A switch of its own joins the
// three links, as in a real network.
func redHat() Topology {
	return Topology{
		Name:    "redhat",
		Summary: "Red Hat's procedure: a client with Ethernet and Wi-Fi in one subnet",
		Hosts: []HostSpec{
			{Name: ServerHost, Sysctls: weakHost()},
			{Name: "switch", Bridges: []string{"br0"}},
			{Name: ClientHost, Sysctls: append(weakHost(), oneSubnet()...)},
		},
		Links: []Link{
			{
				A: End{Host: ClientHost, Name: "enp1s0", Addresses: prefixes("192.0.2.2/24"), Metric: 100},
				B: End{Host: "switch", Name: "port2", Bridge: "br0"},
			},
			{
				A: End{Host: ClientHost, Name: "wlp1s0", Addresses: prefixes("192.0.2.3/24"), Metric: 600},
				B: End{Host: "switch", Name: "port3", Bridge: "br0"},
			},
			{
				A: End{Host: ServerHost, Name: "enp1s0", Addresses: prefixes("192.0.2.1/24")},
				B: End{Host: "switch", Name: "port1", Bridge: "br0"},
			},
		},
		Paths: []Path{
			path("enp1s0", "192.0.2.2", "192.0.2.1"),
			path("wlp1s0", "192.0.2.3", "192.0.2.1"),
		},
	}
}

// twoSubnets gives client and server two links, a subnet on each.
func twoSubnets() Topology {
	t := twoLinks("10.0.1.2/24", "10.0.1.1/24", "10.0.2.2/24", "10.0.2.1/24")
	t.Name = "two-subnets"
	t.Summary = "two links in two subnets; the client has an endpoint on the second"
	t.SetClient(mptcp.Limits{Subflows: 2}, Endpoint{
		Address: netip.MustParseAddr("10.0.2.2"), Dev: "eth1", Flags: mptcp.FlagSubflow,
	})
	return t
}

// ipv6 is twoSubnets over IPv6 alone.
func ipv6() Topology {
	t := twoLinks("2001:db8:1::2/64", "2001:db8:1::1/64", "2001:db8:2::2/64", "2001:db8:2::1/64")
	t.Name = "ipv6"
	t.Summary = "two links in two IPv6 subnets; the client has an endpoint on the second"
	t.SetClient(mptcp.Limits{Subflows: 2}, Endpoint{
		Address: netip.MustParseAddr("2001:db8:2::2"), Dev: "eth1", Flags: mptcp.FlagSubflow,
	})
	return t
}

// announce lets the server offer its second address.
func announce() Topology {
	t := twoLinks("10.0.1.2/24", "10.0.1.1/24", "10.0.2.2/24", "10.0.2.1/24")
	t.Name = "announce"
	t.Summary = "the server announces its second address; the client accepts it"
	t.SetClient(mptcp.Limits{AddAddrAccepted: 1, Subflows: 2})
	server, _ := t.Host(ServerHost)
	server.Limits = &mptcp.Limits{Subflows: 2}
	server.Endpoints = []Endpoint{{Address: netip.MustParseAddr("10.0.2.1"), Flags: mptcp.FlagSignal}}
	t.Paths[1].Destination = netip.MustParseAddr("10.0.2.1")
	return t
}

// natted puts a router with source NAT on the second path.
func natted() Topology {
	server, client := HostSpec{Name: ServerHost, Sysctls: weakHost()}, HostSpec{Name: ClientHost, Sysctls: weakHost()}
	client.Limits = &mptcp.Limits{Subflows: 2}
	client.Endpoints = []Endpoint{{Address: netip.MustParseAddr("192.168.2.2"), Dev: "eth1", Flags: mptcp.FlagSubflow}}
	client.Rules = []PolicyRule{{From: netip.MustParsePrefix("192.168.2.2/32"), Table: 102, Priority: 102}}
	client.Routes = []Route{{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.168.2.1"), Dev: "eth1", Table: 102}}
	router := HostSpec{
		Name:     "router",
		Sysctls:  append(weakHost(), Sysctl{"net.ipv4.ip_forward", "1"}),
		Routes:   []Route{{To: netip.MustParsePrefix("10.0.1.0/24"), Via: netip.MustParseAddr("10.0.2.1"), Dev: "wan"}},
		Firewall: []FirewallRule{{Hook: HookPostrouting, Out: "wan", Verdict: Masquerade}},
	}
	return Topology{
		Name:    "nat",
		Summary: "the second path passes a router that rewrites the client's address",
		Hosts:   []HostSpec{server, router, client},
		Links: []Link{
			{
				A: End{Host: ClientHost, Name: "eth0", Addresses: prefixes("10.0.1.2/24")},
				B: End{Host: ServerHost, Name: "eth0", Addresses: prefixes("10.0.1.1/24")},
			},
			{
				A: End{Host: ClientHost, Name: "eth1", Addresses: prefixes("192.168.2.2/24")},
				B: End{Host: "router", Name: "lan", Addresses: prefixes("192.168.2.1/24")},
			},
			{
				A: End{Host: "router", Name: "wan", Addresses: prefixes("10.0.2.254/24")},
				B: End{Host: ServerHost, Name: "eth1", Addresses: prefixes("10.0.2.1/24")},
			},
		},
		Paths: []Path{path("eth0", "10.0.1.2", "10.0.1.1"), path("eth1", "192.168.2.2", "10.0.1.1")},
	}
}

// twoLinks joins client and server by eth0 and eth1. What the client sends from
// its second address leaves by the second link: a rule by source sees to it.
func twoLinks(client1, server1, client2, server2 string) Topology {
	c1, s1 := netip.MustParsePrefix(client1), netip.MustParsePrefix(server1)
	c2, s2 := netip.MustParsePrefix(client2), netip.MustParsePrefix(server2)
	anywhere := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if c2.Addr().Is6() {
		anywhere = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return Topology{
		Hosts: []HostSpec{
			{Name: ServerHost, Sysctls: weakHost()},
			{
				Name:    ClientHost,
				Sysctls: weakHost(),
				Rules:   []PolicyRule{{From: netip.PrefixFrom(c2.Addr(), c2.Addr().BitLen()), Table: 102, Priority: 102}},
				Routes:  []Route{{To: anywhere, Via: s2.Addr(), Dev: "eth1", Table: 102}},
			},
		},
		Links: []Link{
			{
				A: End{Host: ClientHost, Name: "eth0", Addresses: []netip.Prefix{c1}},
				B: End{Host: ServerHost, Name: "eth0", Addresses: []netip.Prefix{s1}},
			},
			{
				A: End{Host: ClientHost, Name: "eth1", Addresses: []netip.Prefix{c2}},
				B: End{Host: ServerHost, Name: "eth1", Addresses: []netip.Prefix{s2}},
			},
		},
		Paths: []Path{
			{From: ClientHost, To: ServerHost, Dev: "eth0", Source: c1.Addr(), Destination: s1.Addr()},
			{From: ClientHost, To: ServerHost, Dev: "eth1", Source: c2.Addr(), Destination: s1.Addr()},
		},
	}
}

// weakHost lets a host take packets for any of its addresses on any link. A new
// namespace inherits the machine's rp_filter, so it is set and not assumed.
func weakHost() []Sysctl {
	return []Sysctl{
		{"net.ipv4.conf.all.rp_filter", "0"},
		{"net.ipv4.conf.default.rp_filter", "0"},
	}
}

// oneSubnet makes two links in one subnet two paths. Without it both devices
// answer the peer's ARP for either address: the answer that comes first wins, the
// peer sends to the wrong device, and the subflow that is bound to the other
// device never sees its packets.
func oneSubnet() []Sysctl {
	var all []Sysctl
	for _, scope := range []string{"all", "default"} {
		all = append(all,
			Sysctl{"net.ipv4.conf." + scope + ".arp_ignore", "1"},
			Sysctl{"net.ipv4.conf." + scope + ".arp_announce", "2"})
	}
	return all
}

func path(dev, source, destination string) Path {
	return Path{
		From: ClientHost, To: ServerHost, Dev: dev,
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
