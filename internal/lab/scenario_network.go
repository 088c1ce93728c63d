package lab

import (
	"net/netip"

	"mptcpctl/mptcp"
)

// Addresses of the scenarios' network: link N has 10.0.N.2 at the client and
// 10.0.N.1 at the server.
const (
	client1, server1 = "10.0.1.2", "10.0.1.1"
	client2, server2 = "10.0.2.2", "10.0.2.1"
	client3          = "10.0.3.2"
)

// plainPair is client and server with two links and nothing to use the second.
func plainPair() Topology {
	t := twoLinks("10.0.1.2/24", "10.0.1.1/24", "10.0.2.2/24", "10.0.2.1/24")
	t.SetClient(mptcp.Limits{Subflows: 2})
	return t
}

// pair is client and server with two links, and an endpoint on the second.
func pair() Topology {
	t := plainPair()
	t.Client().Endpoints = []Endpoint{subflowOn(client2, "eth1")}
	return t
}

// uneven is pair with a first link so slow that a stream needs the second one.
func uneven() Topology {
	return pair().With(func(t *Topology) { t.Links[0].A.Rate = 1 << 20 })
}

// singleLink is client and server with one link.
func singleLink() Topology {
	return Topology{
		Hosts: []HostSpec{{Name: ServerHost, Sysctls: weakHost()}, {Name: ClientHost, Sysctls: weakHost()}},
		Links: []Link{{
			A: End{Host: ClientHost, Name: "eth0", Addresses: prefixes("10.0.1.2/24")},
			B: End{Host: ServerHost, Name: "eth0", Addresses: prefixes("10.0.1.1/24")},
		}},
		Paths: []Path{path("eth0", client1, server1)},
	}
}

// triple is pair with a third link and an endpoint on it.
func triple() Topology {
	t := pair()
	c := t.Client()
	c.Endpoints = append(c.Endpoints, subflowOn(client3, "eth2"))
	c.Rules = append(c.Rules, PolicyRule{From: netip.MustParsePrefix("10.0.3.2/32"), Table: 103, Priority: 103})
	c.Routes = append(c.Routes, Route{To: anywhere4(), Via: netip.MustParseAddr("10.0.3.1"), Dev: "eth2", Table: 103})
	t.Links = append(t.Links, Link{
		A: End{Host: ClientHost, Name: "eth2", Addresses: prefixes("10.0.3.2/24")},
		B: End{Host: ServerHost, Name: "eth2", Addresses: prefixes("10.0.3.1/24")},
	})
	t.Paths = append(t.Paths, path("eth2", client3, server1))
	return t
}

// announcing is plainPair with a server that announces its second address to a
// client that accepts it.
func announcing() Topology {
	t := plainPair()
	t.SetClient(mptcp.Limits{AddAddrAccepted: 2, Subflows: 2})
	t.Server().Endpoints = []Endpoint{signalOn(server2)}
	t.Paths[1].Destination = netip.MustParseAddr(server2)
	return t
}

func subflowOn(address, dev string) Endpoint {
	return Endpoint{Address: netip.MustParseAddr(address), Dev: dev, Flags: mptcp.FlagSubflow}
}

func signalOn(address string) Endpoint {
	return Endpoint{Address: netip.MustParseAddr(address), Flags: mptcp.FlagSignal}
}

func anywhere4() netip.Prefix { return netip.PrefixFrom(netip.IPv4Unspecified(), 0) }

// atServer is a fault before the traffic: one rule where packets come in at the
// server, by the device.
func atServer(text, device string, r FirewallRule) []Fault {
	return filter(BeforeTraffic, ServerHost, text, device, r)
}

func filter(when Moment, host, text, device string, r FirewallRule) []Fault {
	r.Hook, r.In = HookInput, device
	return []Fault{{When: when, Host: host, Firewall: []FirewallRule{r}, Text: text}}
}
