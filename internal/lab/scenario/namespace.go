package scenario

import (
	"net/netip"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
	"mptcpctl/mptcp"
)

// Hosts of networks with a namespace behind another one.
const (
	outerHost = "host"
	guestHost = "guest"
)

// namespaceScenarios are those in which what belongs together is in two network
// namespaces.
func namespaceScenarios() []Scenario {
	return []Scenario{
		{
			Name: "wrong-namespace", Summary: "endpoints are on the host, and the program connects from a container",
			Topology: nested(), Programs: []Program{{lab.ClientHost, "app"}},
			Shows: []Symptom{subflows(lab.ClientHost, 0)},
			Host:  outerHost, Rule: rule.WrongNamespace,
		},
		{
			Name: "wrong-namespace-inside", Summary: "the same, seen from the container",
			Topology: nested(), Programs: []Program{{outerHost, "desktop"}},
			Shows: []Symptom{subflows(lab.ClientHost, 0)},
			Host:  lab.ClientHost, Rule: rule.WrongNamespace,
		},
	}
}

// nested is a client that is a container on a host: the host has two links to the
// server, and an endpoint on the second.
func nested() lab.Topology {
	p := pair()
	outer := *p.Client()
	outer.Name = outerHost
	route(&outer, "eth0")
	for i := range p.Links {
		p.Links[i].A.Host = outerHost
	}
	p.Links = append(p.Links, behind(lab.ClientHost, outerHost))
	return lab.Topology{
		Hosts: []lab.HostSpec{*p.Server(), outer, {Name: lab.ClientHost, Sysctls: weakHost(), Routes: defaultRoute()}},
		Links: p.Links,
		Paths: []lab.Path{path("eth0", "10.9.0.2", server1)},
	}
}

// withGuest is pair with a container on the client.
func withGuest() lab.Topology {
	t := pair()
	route(t.Client(), "eth0")
	t.Hosts = append(
		t.Hosts,
		lab.HostSpec{Name: guestHost, Sysctls: weakHost(), Routes: defaultRoute(), Limits: &mptcp.Limits{Subflows: 2}},
	)
	t.Links = append(t.Links, behind(guestHost, lab.ClientHost))
	return t
}

// behind joins a container to its host.
func behind(container, host string) lab.Link {
	return lab.Link{
		A: lab.End{Host: container, Name: "eth0", Addresses: prefixes("10.9.0.2/24")},
		B: lab.End{Host: host, Name: "veth0", Addresses: prefixes("10.9.0.1/24")},
	}
}

func defaultRoute() []lab.Route {
	return []lab.Route{{To: anywhere4(), Via: netip.MustParseAddr("10.9.0.1"), Dev: "eth0"}}
}

// route makes the host a router for containers, as their engines do it.
func route(h *lab.HostSpec, out string) {
	h.Set("net.ipv4.ip_forward", "1")
	h.Firewall = append(h.Firewall, lab.FirewallRule{Hook: lab.HookPostrouting, Out: out, Verdict: lab.Masquerade})
}
