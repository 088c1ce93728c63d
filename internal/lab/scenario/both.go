package scenario

import (
	"net/netip"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
	"mptcpctl/mptcp"
)

// Both is a scenario that one end alone cannot decide: a client behind a router with NAT, and a
// server. Its rule is what doctor must name on the client with the facts of both ends.
type Both struct {
	Scenario
	// At is where the cause is: a host, or OnTheWay.
	At string
}

// OnTheWay is that the cause is on neither end.
const OnTheWay = "on the way"

// BothEnds returns the scenarios that take both ends. Some show the same on the client.
func BothEnds() []Both {
	list := []Both{
		{Scenario{Name: "both-healthy", Summary: "nothing is wrong", Shows: bothJoined(1), Rule: Healthy}, ""},
		{Scenario{
			Name: "both-plain-server", Summary: "the server's program uses TCP",
			Traffic: Traffic{PlainServer: true},
			Shows:   []Symptom{counts(lab.ClientHost, "MPCapableFallbackSYNACK", 1)}, Rule: rule.ServerUsesTCP,
		}, lab.ServerHost},
		{Scenario{
			Name: "both-syn-stripped", Summary: "the router removes MPTCP from the handshake",
			Faults: atRouter("remove TCP option 30", "lan1", lab.FirewallRule{
				Verdict: lab.StripOption, Option: lab.MPTCPOption(lab.AnySubtype),
			}),
			Shows: []Symptom{counts(lab.ClientHost, "MPCapableFallbackSYNACK", 1)}, Rule: rule.ServerUsesTCP,
		}, OnTheWay},
		{Scenario{
			Name: "both-limit", Summary: "the server's limit of subflows is 0",
			Traffic: Traffic{Repeat: true},
			Shows:   []Symptom{counts(lab.ServerHost, "MPJoinRejected", 1)}, Rule: rule.PeerLimit,
		}, lab.ServerHost},
		{Scenario{
			Name: "both-join-dropped", Summary: "the router drops joins",
			Faults: atRouter("drop SYN with MP_JOIN", "lan2", joins(lab.Drop)),
			Shows:  []Symptom{joinHangs(behind2)}, Rule: rule.JoinUnanswered,
		}, OnTheWay},
		{Scenario{
			Name: "both-join-reset", Summary: "the router resets joins",
			Faults:  atRouter("reject SYN with MP_JOIN by a reset", "lan2", joins(lab.RejectReset)),
			Traffic: Traffic{Repeat: true},
			Shows:   []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 2)}, Rule: rule.JoinRefused,
		}, OnTheWay},
		{Scenario{
			Name: "both-join-stripped", Summary: "the router removes MPTCP from joins",
			Traffic: Traffic{Repeat: true},
			Faults: atRouter("remove TCP option 30", "lan2", lab.FirewallRule{
				Verdict: lab.StripOption, Option: lab.MPTCPOption(lab.AnySubtype),
			}),
			Shows: []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 2), counts(lab.ClientHost, "MPRstTx", 1)},
			Rule:  rule.JoinStripped,
		}, OnTheWay},
	}
	for i := range list {
		list[i].Host, list[i].Topology = lab.ClientHost, routed()
		if list[i].Name == "both-limit" {
			list[i].Topology.Server().Limits = &mptcp.Limits{}
		}
	}
	return list
}

// BothNames returns the names of the scenarios that take both ends.
func BothNames() (names []string) {
	for _, b := range BothEnds() {
		names = append(names, b.Name)
	}
	return names
}

// FindBoth returns the scenario of that name.
func FindBoth(name string) (Both, bool) {
	for _, b := range BothEnds() {
		if b.Name == name {
			return b, true
		}
	}
	return Both{}, false
}

// joins makes a rule about SYN packets with MP_JOIN.
func joins(v lab.Verdict) lab.FirewallRule {
	return lab.FirewallRule{Verdict: v}.OnSYN(lab.SubtypeMPJoin)
}

// atRouter filters what the router forwards from a device.
func atRouter(text, device string, r lab.FirewallRule) []Fault {
	faults := filter(BeforeTraffic, router, text, device, r)
	faults[0].Firewall[0].Hook = lab.HookForward
	faults[0].Firewall = append(faults[0].Firewall, masquerade()) // a fault's rules are all that the host has
	return faults
}

// masquerade makes the router translate addresses.
func masquerade() lab.FirewallRule {
	return lab.FirewallRule{Hook: lab.HookPostrouting, Out: "wan", Verdict: lab.Masquerade}
}

const (
	router  = "router"
	behind2 = "192.168.2.2" // the client's second address
)

// routed is a client with two links to a router that translates its addresses, and a server
// behind that.
func routed() lab.Topology {
	anywhere := anywhere4()
	client := lab.HostSpec{
		Name: lab.ClientHost, Sysctls: weakHost(), Limits: &mptcp.Limits{Subflows: 2},
		Endpoints: []lab.Endpoint{{Address: netip.MustParseAddr(behind2), Dev: "eth1", Flags: mptcp.FlagSubflow}},
		Rules:     []lab.PolicyRule{{From: netip.MustParsePrefix(behind2 + "/32"), Table: 102, Priority: 102}},
		Routes: []lab.Route{
			{To: anywhere, Via: netip.MustParseAddr("192.168.1.1"), Dev: "eth0"},
			{To: anywhere, Via: netip.MustParseAddr("192.168.2.1"), Dev: "eth1", Table: 102},
		},
	}
	between := lab.HostSpec{
		Name:     router,
		Sysctls:  append(weakHost(), lab.Sysctl{Name: "net.ipv4.ip_forward", Value: "1"}),
		Firewall: []lab.FirewallRule{masquerade()},
	}
	server := lab.HostSpec{Name: lab.ServerHost, Sysctls: weakHost(), Limits: &mptcp.Limits{Subflows: 2}}
	return lab.Topology{
		Name: "routed", Summary: "a client with two links to a router with NAT, and a server behind it",
		Hosts: []lab.HostSpec{server, between, client},
		Links: []lab.Link{
			{
				A: lab.End{Host: lab.ClientHost, Name: "eth0", Addresses: prefixes("192.168.1.2/24")},
				B: lab.End{Host: router, Name: "lan1", Addresses: prefixes("192.168.1.1/24")},
			},
			{
				A: lab.End{Host: lab.ClientHost, Name: "eth1", Addresses: prefixes("192.168.2.2/24")},
				B: lab.End{Host: router, Name: "lan2", Addresses: prefixes("192.168.2.1/24")},
			},
			{
				A: lab.End{Host: router, Name: "wan", Addresses: prefixes("10.0.9.1/24")},
				B: lab.End{Host: lab.ServerHost, Name: "eth0", Addresses: prefixes("10.0.9.2/24")},
			},
		},
		Paths: []lab.Path{path("eth0", "192.168.1.2", "10.0.9.2"), path("eth1", behind2, "10.0.9.2")},
	}
}
