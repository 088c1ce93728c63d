package lab

import "mptcpctl/doctor/rule"

// hostScenarios are those in which the host itself, or a tool on it, is in the way.
func hostScenarios() []Scenario {
	unused := Traffic{Connections: -1}
	return []Scenario{
		{
			Name: "policy-forbids", Summary: "a seccomp profile, as containers have one, forbids MPTCP sockets",
			Topology: pair(), Traffic: unused,
			Look: Confined,
			Host: ClientHost, Rule: rule.PolicyForbids,
		},
		{
			Name: "two-managers", Summary: "NetworkManager and mptcpd run side by side (processes with their names)",
			Topology: pair(), Programs: []Program{{ClientHost, "NetworkManager"}, {ClientHost, "mptcpd"}},
			Shows: bothJoined(1),
			Host:  ClientHost, Rule: rule.TwoManagers,
		},
		{
			Name: "listener-overrun", Summary: "the server's program accepts one connection and no more: its queue is full",
			Topology: pair(), Traffic: Traffic{Overrun: true, Repeat: true},
			Shows: []Symptom{counts(ServerHost, "ListenOverflows", 3)},
			Host:  ServerHost, Rule: rule.ListenerOverrun,
		},
		{
			Name: "events-lost", Summary: "more connections come and go than the reader's buffer holds events of",
			Topology: singleLink(), Traffic: unused,
			Look: Stalled,
			Host: ClientHost, Rule: rule.EventsLost,
		},
		{
			Name: "old-ip", Summary: "the ip command in the path is of 2021 (a stand-in that says so)",
			Topology: pair(), Shows: bothJoined(1),
			Look: OldTools,
			Host: ClientHost, Rule: rule.OldIPRoute2, Since: Kernel{6, 2},
		},
	}
}

// firewallScenarios are those in which the firewall of the very host is in the way.
func firewallScenarios() []Scenario {
	here := func(when Moment, text string, r FirewallRule) []Fault {
		return []Fault{{When: when, Host: ClientHost, Text: text, Firewall: []FirewallRule{r}}}
	}
	join := FirewallRule{Hook: HookOutput, Out: "eth1", Verdict: Drop}.OnSYN(SubtypeMPJoin)
	strip := FirewallRule{Hook: HookPostrouting, Out: "eth0", Verdict: StripOption}.OnSYN(SubtypeMPCapable)
	return []Scenario{
		{
			Name: "join-dropped-here", Summary: "the client's own firewall drops SYN with MP_JOIN",
			Topology: pair(), Faults: here(BeforeTraffic, "drop SYN with MP_JOIN that leaves by the second link", join),
			Shows: []Symptom{joinHangs(client2)},
			Host:  ClientHost, Rule: rule.JoinUnanswered,
		},
		{
			Name: "syn-stripped-here", Summary: "the client's own firewall removes MPTCP from the SYN of the connection",
			Topology: pair(), Faults: here(BeforeTraffic, "remove TCP option 30 from SYN", strip),
			Shows: []Symptom{fellBack(ClientHost)},
			Host:  ClientHost, Rule: rule.ServerUsesTCP,
		},
	}
}

// guard gives a host a firewall of the usual kind: what belongs to a connection
// passes, and what opens one to the server's port; nothing else comes in.
func guard(h *HostSpec) {
	h.Firewall = []FirewallRule{
		{Hook: HookInput, In: "lo", Verdict: Accept},
		{Hook: HookInput, Flags: ACK, FlagsMask: ACK, Verdict: Accept},
		{Hook: HookInput, Flags: RST, FlagsMask: RST, Verdict: Accept},
		{Hook: HookInput, DestinationPort: scenarioPort, Verdict: Accept},
		{Hook: HookInput, Verdict: Drop},
	}
}
