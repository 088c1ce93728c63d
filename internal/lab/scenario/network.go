package scenario

import (
	"net/netip"

	"mptcpctl/internal/lab"
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
func plainPair() lab.Topology {
	t := twoLinks("10.0.1.2/24", "10.0.1.1/24", "10.0.2.2/24", "10.0.2.1/24")
	t.SetClient(mptcp.Limits{Subflows: 2})
	return t
}

// pair is client and server with two links, and an endpoint on the second.
func pair() lab.Topology {
	t := plainPair()
	t.Client().Endpoints = []lab.Endpoint{subflowOn(client2, "eth1")}
	return t
}

// uneven is pair with a first link so slow that a stream needs the second one.
func uneven() lab.Topology {
	return pair().With(func(t *lab.Topology) { t.Links[0].A.Rate = 1 << 20 })
}

// singleLink is client and server with one link.
func singleLink() lab.Topology {
	return lab.Topology{
		Hosts: []lab.HostSpec{{Name: lab.ServerHost, Sysctls: weakHost()}, {Name: lab.ClientHost, Sysctls: weakHost()}},
		Links: []lab.Link{{
			A: lab.End{Host: lab.ClientHost, Name: "eth0", Addresses: prefixes("10.0.1.2/24")},
			B: lab.End{Host: lab.ServerHost, Name: "eth0", Addresses: prefixes("10.0.1.1/24")},
		}},
		Paths: []lab.Path{path("eth0", client1, server1)},
	}
}

// triple is pair with a third link and an endpoint on it.
func triple() lab.Topology {
	t := pair()
	c := t.Client()
	c.Endpoints = append(c.Endpoints, subflowOn(client3, "eth2"))
	c.Rules = append(c.Rules, lab.PolicyRule{From: netip.MustParsePrefix("10.0.3.2/32"), Table: 103, Priority: 103})
	c.Routes = append(
		c.Routes, lab.Route{To: anywhere4(), Via: netip.MustParseAddr("10.0.3.1"), Dev: "eth2", Table: 103},
	)
	t.Links = append(t.Links, lab.Link{
		A: lab.End{Host: lab.ClientHost, Name: "eth2", Addresses: prefixes("10.0.3.2/24")},
		B: lab.End{Host: lab.ServerHost, Name: "eth2", Addresses: prefixes("10.0.3.1/24")},
	})
	t.Paths = append(t.Paths, path("eth2", client3, server1))
	return t
}

// announcing is plainPair with a server that announces its second address to a
// client that accepts it.
func announcing() lab.Topology {
	t := plainPair()
	t.SetClient(mptcp.Limits{AddAddrAccepted: 2, Subflows: 2})
	t.Server().Endpoints = []lab.Endpoint{SignalOn(server2)}
	t.Paths[1].Destination = netip.MustParseAddr(server2)
	return t
}

func subflowOn(address, dev string) lab.Endpoint {
	return lab.Endpoint{Address: netip.MustParseAddr(address), Dev: dev, Flags: mptcp.FlagSubflow}
}

// SignalOn is an endpoint that announces the address.
func SignalOn(address string) lab.Endpoint {
	return lab.Endpoint{Address: netip.MustParseAddr(address), Flags: mptcp.FlagSignal}
}

func anywhere4() netip.Prefix { return netip.PrefixFrom(netip.IPv4Unspecified(), 0) }

// atServer is a fault before the traffic: one rule where packets come in at the
// server, by the device.
func atServer(text, device string, r lab.FirewallRule) []Fault {
	return filter(BeforeTraffic, lab.ServerHost, text, device, r)
}

func filter(when Moment, host, text, device string, r lab.FirewallRule) []Fault {
	r.Hook, r.In = lab.HookInput, device
	return []Fault{{When: when, Host: host, Firewall: []lab.FirewallRule{r}, Text: text}}
}
