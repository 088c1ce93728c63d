package scenario

import (
	"net/netip"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
	"mptcpctl/mptcp"
)

// routeScenarios are those in which packets of the second path go astray.
func routeScenarios() []Scenario {
	return []Scenario{
		{
			Name: "wrong-link", Summary: "no dev and no routing rule for the source: the second subflow leaves " +
				"through the first link",
			Topology: pair().With(noSourceRule).With(func(t *lab.Topology) { t.Client().Endpoints[0].Dev = "" }),
			Shows:    bothJoined(1),
			Host:     lab.ClientHost, Rule: rule.WrongLink,
		},
		{
			Name: "wrong-link-filtered", Summary: "the same, and the server's reverse path filter drops packets " +
				"from the wrong link",
			Topology: pair().With(noSourceRule).With(func(t *lab.Topology) {
				t.Client().Endpoints[0].Dev = ""
				strict(t.Server())
			}),
			Shows: []Symptom{joinHangs(client2), counts(lab.ServerHost, "IPReversePathFilter", 1)},
			Host:  lab.ClientHost, Rule: rule.WrongLink,
		},
		{
			Name: "filtered-at-server", Summary: "the server's reverse path filter drops packets of the second path",
			Topology: pair().With(noSourceRule).With(func(t *lab.Topology) {
				t.Client().Endpoints[0].Dev = ""
				strict(t.Server())
			}),
			Traffic: Traffic{Repeat: true},
			Shows:   []Symptom{counts(lab.ServerHost, "IPReversePathFilter", 3)},
			Host:    lab.ServerHost, Rule: rule.ReversePathFilter,
		},
	}
}

// boundRouteScenarios are those in which dev, a rule or a tunnel sends them astray.
func boundRouteScenarios() []Scenario {
	return []Scenario{
		{
			Name: "phantom-route", Summary: "dev is given, but no route leads from it: the kernel looks for the " +
				"peer on the link itself",
			Topology: pair().With(noSourceRule).With(func(t *lab.Topology) {
				t.Server().Set("net.ipv4.conf.all.arp_ignore", "1") // else it answers for its other address
			}),
			Shows: []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 1)},
			Host:  lab.ClientHost, Rule: rule.NoRoute,
		},
		{
			Name: "strict-filter", Summary: "the client's reverse path filter drops the answers on the second link",
			Topology: pair().With(noSourceRule).With(func(t *lab.Topology) {
				c := t.Client()
				c.Routes = []lab.Route{{To: anywhere4(), Via: netip.MustParseAddr(server2), Dev: "eth1", Metric: 1000}}
				strict(c)
			}),
			Shows: []Symptom{joinHangs(client2), counts(lab.ClientHost, "IPReversePathFilter", 1)},
			Host:  lab.ClientHost, Rule: rule.ReversePathFilter,
		},
		{
			Name: "tunnel-takes-route", Summary: "a VPN has the default route: the second subflow goes into the tunnel",
			Topology: pair().With(noSourceRule).With(func(t *lab.Topology) {
				c := t.Client()
				c.Endpoints[0].Dev = ""
				c.Tunnels = []lab.Tunnel{{Name: "tun0", Address: netip.MustParsePrefix("10.8.0.2/24")}}
				c.Rules = []lab.PolicyRule{{From: netip.MustParsePrefix("10.0.2.2/32"), Table: 108, Priority: 108}}
				c.Routes = []lab.Route{{To: anywhere4(), Dev: "tun0", Table: 108}}
			}),
			Shows: []Symptom{joinHangs(client2)},
			Host:  lab.ClientHost, Rule: rule.TunnelRoute,
		},
		{
			Name: "rule-by-mark", Summary: "joins carry the program's mark, a rule by mark gives them their route, " +
				"and a firewall drops them",
			Topology: pair().With(markedRoute), Traffic: Traffic{Mark: routedMark},
			Faults: atServer(
				"drop SYN with MP_JOIN", "eth1", lab.FirewallRule{Verdict: lab.Drop}.OnSYN(lab.SubtypeMPJoin),
			),
			Shows: []Symptom{joinHangs(client2)},
			Host:  lab.ClientHost, Rule: rule.JoinUnanswered,
		},
		{
			Name: "one-subnet", Summary: "two links in one subnet, and an endpoint without dev",
			Topology: redHat().With(func(t *lab.Topology) {
				t.SetClient(mptcp.Limits{Subflows: 1}, subflowOn("192.0.2.3", ""))
				t.Client().Sysctls = weakHost()
			}),
			Shows: []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 1)},
			Host:  lab.ClientHost, Rule: rule.SameSubnet,
		},
	}
}

// noSourceRule takes away what makes the second address leave by the second link.
func noSourceRule(t *lab.Topology) { t.Client().Rules, t.Client().Routes = nil, nil }

// strict switches the reverse path filter of a host to strict.
func strict(h *lab.HostSpec) {
	h.Sysctls = []lab.Sysctl{
		{Name: "net.ipv4.conf.all.rp_filter", Value: "1"}, {Name: "net.ipv4.conf.default.rp_filter", Value: "1"},
	}
}

// routedMark is the mark of sockets for which a rule has the route of the second path.
const routedMark = 0x20

// markedRoute leaves the client's second address without a route, but for packets with the
// mark.
func markedRoute(t *lab.Topology) {
	c := t.Client()
	c.Rules = []lab.PolicyRule{
		{From: netip.MustParsePrefix(client2 + "/32"), Mark: routedMark, Table: 102, Priority: 102},
	}
}
