package scenario

import (
	"net/netip"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
	"mptcpctl/mptcp"
)

// lossScenarios are those in which a path that worked is lost, and no event tells,
// or a subflow is there and carries nothing.
func lossScenarios() []Scenario {
	streaming := Traffic{Stream: true}
	return []Scenario{
		{
			Name: "first-link-down", Summary: "the first link goes down while data flows",
			Topology: pair(), Traffic: streaming, Ready: bothJoined(1),
			Faults: []Fault{{When: Established, Host: lab.ClientHost, LinkDown: "eth0"}},
			Shows:  []Symptom{pathSilent(client1)},
			Host:   lab.ClientHost, Rule: rule.SilentPath,
		},
		{
			Name: "second-link-down", Summary: "the link of the second subflow goes down while data flows",
			Topology: uneven(), Traffic: streaming, Ready: bothJoined(1),
			Faults: []Fault{{When: Established, Host: lab.ClientHost, LinkDown: "eth1"}},
			Shows:  []Symptom{pathSilent(client2)},
			Host:   lab.ClientHost, Rule: rule.LinkDown,
		},
		{
			Name: "first-path-silent", Summary: "packets are lost on the first path while data flows",
			Topology: pair(), Traffic: streaming, Ready: bothJoined(1),
			Faults: silence("the first path", "eth0"),
			Shows:  []Symptom{pathSilent(client1)},
			Host:   lab.ClientHost, Rule: rule.SilentPath,
		},
		{
			Name: "second-path-silent", Summary: "packets are lost on the second path while data flows",
			Topology: uneven(), Traffic: streaming, Ready: bothJoined(1),
			Faults: silence("the second path", "eth1"),
			Shows:  []Symptom{pathSilent(client2)},
			Host:   lab.ClientHost, Rule: rule.SilentPath,
		},
		{
			Name: "second-path-one-way", Summary: "what the client sends on the second path is lost, what the " +
				"server sends arrives",
			Topology: uneven(), Traffic: streaming, Ready: bothJoined(1),
			Faults: filter(
				Established, lab.ServerHost, "drop what comes in by the second path", "eth1",
				lab.FirewallRule{Verdict: lab.Drop},
			),
			Shows: []Symptom{pathSilent(client2)},
			Host:  lab.ClientHost, Rule: rule.SilentPath,
		},
		{
			Name: "second-path-dead", Summary: "the same, until the kernel gives up the second subflow: it does not " +
				"retry",
			Topology: uneven().With(func(t *lab.Topology) { t.Client().Set("net.ipv4.tcp_retries2", "2") }),
			Traffic:  streaming, Ready: bothJoined(1),
			Faults: silence("the second path", "eth1"),
			Shows:  []Symptom{subflows(lab.ClientHost, 0)},
			Host:   lab.ClientHost, Rule: rule.NotRetried,
		},
		{
			Name: "only-path-silent", Summary: "packets are lost on the only path while data flows",
			Topology: singleLink(), Traffic: streaming,
			Faults: silence("the only path", "eth0"),
			Shows:  []Symptom{pathSilent(client1)},
			Host:   lab.ClientHost, Rule: rule.SilentPath,
		},
	}
}

// addressLossScenarios are those in which an address is lost, or nothing but use.
func addressLossScenarios() []Scenario {
	streaming := Traffic{Stream: true}
	return []Scenario{
		{
			Name: "first-address-removed", Summary: "the address of the first subflow is removed while data flows",
			Topology: pair(), Traffic: streaming, Ready: bothJoined(1),
			Faults: []Fault{
				{
					When:          Established,
					Host:          lab.ClientHost,
					RemoveAddress: netip.MustParsePrefix("10.0.1.2/24"),
					Device:        "eth0",
				},
			},
			Shows: []Symptom{pathSilent(client1)},
			Host:  lab.ClientHost, Rule: rule.SilentPath,
		},
		{
			Name: "second-address-removed", Summary: "the endpoint's address is removed while data flows, the " +
				"endpoint stays",
			Topology: uneven(), Traffic: streaming, Ready: bothJoined(1),
			Faults: []Fault{
				{
					When:          Established,
					Host:          lab.ClientHost,
					RemoveAddress: netip.MustParsePrefix("10.0.2.2/24"),
					Device:        "eth1",
				},
			},
			Shows: []Symptom{pathSilent(client2)},
			Host:  lab.ClientHost, Rule: rule.AddressMissing,
		},
		{
			Name: "backup-idle", Summary: "the second subflow is a backup: the first carries everything",
			Topology: pair().With(func(t *lab.Topology) { t.Client().Endpoints[0].Flags |= mptcp.FlagBackup }),
			Traffic:  Traffic{Bytes: 4 << 20}, Shows: bothJoined(1),
			Host: lab.ClientHost, Rule: rule.CarriesNothing,
		},
	}
}

// silence lets nothing through by the server's device any more, in either direction.
func silence(path, device string) []Fault {
	return []Fault{{
		When: Established, Host: lab.ServerHost, Text: "drop all on " + path,
		Firewall: []lab.FirewallRule{
			{Hook: lab.HookInput, In: device, Verdict: lab.Drop},
			{Hook: lab.HookOutput, Out: device, Verdict: lab.Drop},
		},
	}}
}
