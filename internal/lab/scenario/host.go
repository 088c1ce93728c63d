package scenario

import (
	"net/netip"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
)

// hostScenarios are those in which the host itself, or a tool on it, is in the way.
func hostScenarios() []Scenario {
	unused := Traffic{Connections: -1}
	return []Scenario{
		{
			Name: "policy-forbids", Summary: "a seccomp profile, as containers have one, forbids MPTCP sockets",
			Topology: pair(), Traffic: unused,
			Look: Confined,
			Host: lab.ClientHost, Rule: rule.PolicyForbids,
		},
		{
			Name: "two-managers", Summary: "NetworkManager and mptcpd run side by side (processes with their names)",
			Topology: pair(), Programs: []Program{{lab.ClientHost, "NetworkManager"}, {lab.ClientHost, "mptcpd"}},
			Shows: bothJoined(1),
			Host:  lab.ClientHost, Rule: rule.TwoManagers,
		},
		{
			Name: "listener-overrun", Summary: "the server's program accepts only one connection: its queue is full",
			Topology: pair(), Traffic: Traffic{Overrun: true, Repeat: true},
			Shows: []Symptom{counts(lab.ServerHost, "ListenOverflows", 3)},
			Host:  lab.ServerHost, Rule: rule.ListenerOverrun,
		},
		{
			Name: "events-lost", Summary: "more connections come and go than the reader's buffer can hold events",
			Topology: singleLink(), Traffic: unused,
			Look: Stalled,
			Host: lab.ClientHost, Rule: rule.EventsLost,
		},
		{
			Name: "old-ip", Summary: "the ip command in PATH is from 2021 (a stand-in that prints this version)",
			Topology: pair(), Shows: bothJoined(1),
			Look: OldTools,
			Host: lab.ClientHost, Rule: rule.OldIPRoute2, Since: lab.Kernel{Major: 6, Minor: 2},
		},
	}
}

// firewallScenarios are those in which the firewall of the very host is in the way.
func firewallScenarios() []Scenario {
	here := func(when Moment, text string, r lab.FirewallRule) []Fault {
		return []Fault{{When: when, Host: lab.ClientHost, Text: text, Firewall: []lab.FirewallRule{r}}}
	}
	join := lab.FirewallRule{Hook: lab.HookOutput, Out: "eth1", Verdict: lab.Drop}.OnSYN(lab.SubtypeMPJoin)
	reject := lab.FirewallRule{Hook: lab.HookOutput, Out: "eth1", Verdict: lab.RejectReset}.OnSYN(lab.SubtypeMPJoin)
	strip := lab.FirewallRule{
		Hook:    lab.HookPostrouting,
		Out:     "eth0",
		Verdict: lab.StripOption,
	}.OnSYN(
		lab.SubtypeMPCapable,
	)
	return []Scenario{
		{
			Name: "join-dropped-here", Summary: "the client's own firewall drops SYN packets with MP_JOIN",
			Topology: pair(), Faults: here(BeforeTraffic, "drop SYN with MP_JOIN that leaves by the second link", join),
			Shows: []Symptom{joinHangs(client2)},
			Host:  lab.ClientHost, Rule: rule.JoinUnanswered,
		},
		{
			Name: "join-rejected-here", Summary: "the client's own firewall rejects SYN packets with MP_JOIN by a " +
				"reset",
			Topology: pair(),
			Faults:   here(BeforeTraffic, "reject SYN with MP_JOIN that leaves by the second link", reject),
			Shows:    []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 1), subflows(lab.ClientHost, 0)},
			Host:     lab.ClientHost, Rule: rule.JoinRefused,
		},
		{
			Name: "syn-stripped-here", Summary: "the client's own firewall removes MPTCP from the SYN of the " +
				"connection",
			Topology: pair(), Faults: here(BeforeTraffic, "remove TCP option 30 from SYN", strip),
			Shows: []Symptom{fellBack(lab.ClientHost)},
			Host:  lab.ClientHost, Rule: rule.ServerUsesTCP,
		},
		{
			Name: "announced-closed-here", Summary: "the server's own firewall drops what comes to the address that " +
				"it announces",
			Topology: announcing(),
			Faults: []Fault{{
				Host: lab.ServerHost, Text: "drop TCP to that address", Firewall: []lab.FirewallRule{
					{Hook: lab.HookInput, Destination: netip.MustParsePrefix("10.0.2.1/32"), Verdict: lab.Drop},
				},
			}},
			Shows: []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 1)},
			Host:  lab.ServerHost, Rule: rule.JoinUnanswered,
		},
		{
			Name: "handshake-stripped-here", Summary: "the server's own firewall removes MPTCP from the SYN of clients",
			Topology: pair(),
			Faults: []Fault{{
				Host: lab.ServerHost, Text: "remove TCP option 30 from SYN that comes in", Firewall: []lab.FirewallRule{
					lab.FirewallRule{Hook: lab.HookPrerouting, Verdict: lab.StripOption}.OnSYN(lab.SubtypeMPCapable),
				},
			}},
			Shows: []Symptom{fellBack(lab.ClientHost)},
			Host:  lab.ServerHost, Rule: rule.ServerUsesTCP,
		},
	}
}

// guard gives a host a firewall of the usual kind: what belongs to a connection
// passes, and what opens one to the server's port; nothing else comes in.
func guard(h *lab.HostSpec) {
	h.Firewall = []lab.FirewallRule{
		{Hook: lab.HookInput, In: "lo", Verdict: lab.Accept},
		{Hook: lab.HookInput, Flags: lab.ACK, FlagsMask: lab.ACK, Verdict: lab.Accept},
		{Hook: lab.HookInput, Flags: lab.RST, FlagsMask: lab.RST, Verdict: lab.Accept},
		{Hook: lab.HookInput, DestinationPort: Port, Verdict: lab.Accept}, {Hook: lab.HookInput, Verdict: lab.Drop},
	}
}
