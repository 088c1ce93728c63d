package scenario

import (
	"net/netip"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
)

// peerScenarios are those in which the other side, or one beside it, is in the way.
func peerScenarios() []Scenario {
	return []Scenario{
		{
			Name: "join-forbidden", Summary: "the server forbids joins to its address and announces no other",
			Topology: pair().With(func(t *lab.Topology) {
				t.Server().Set("net.mptcp.allow_join_initial_addr_port", "0")
			}),
			Traffic: Traffic{Repeat: true},
			Shows:   []Symptom{subflows(lab.ClientHost, 0)},
			Host:    lab.ClientHost, Rule: rule.JoinsForbidden,
		},
		{
			Name: "listener-closed-far", Summary: "the server stops listening: seen from the client",
			Topology: pair(), Traffic: Traffic{Repeat: true},
			Faults: atServer(
				"reject SYN with MP_JOIN by a reset, as a closed port does", "",
				lab.FirewallRule{Verdict: lab.RejectReset}.OnSYN(lab.SubtypeMPJoin),
			),
			Shows: []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 2)},
			Host:  lab.ClientHost, Rule: rule.ListenerClosed,
		},
		{
			Name: "load-balancer", Summary: "the second path leads to another server that does not know the connection",
			Topology: balanced(), Traffic: Traffic{Repeat: true},
			Shows: []Symptom{counts("other", "MPJoinNoTokenFound", 1)},
			Host:  "other", Rule: rule.LoadBalancer,
		},
		{
			Name: "load-balancer-far", Summary: "the same, seen from the client: the join is refused",
			Topology: balanced(), Traffic: Traffic{Repeat: true},
			Shows: []Symptom{counts("other", "MPJoinNoTokenFound", 1)},
			Host:  lab.ClientHost, Rule: rule.LoadBalancer,
		},
	}
}

// balanced is pair with a second server behind the second link that has the first
// one's address too.
func balanced() lab.Topology {
	t := pair()
	t.Hosts = append(t.Hosts, lab.HostSpec{Name: OtherServer, Sysctls: weakHost()})
	t.Links[1].B = lab.End{
		Host:      OtherServer,
		Name:      "eth1",
		Addresses: append(prefixes("10.0.2.1/24"), netip.MustParsePrefix("10.0.1.1/32")),
	}
	return t
}

// OtherServer is the host that a load balancer sends joins to. Where a topology
// has it, it runs a server of its own.
const OtherServer = "other"
