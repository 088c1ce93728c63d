package scenario

import (
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
	"mptcpctl/mptcp"
)

// limitScenarios are those in which a limit is in the way.
func limitScenarios() []Scenario {
	limited := func(subflows uint32) func(*lab.Topology) {
		return func(t *lab.Topology) { t.Client().Limits = &mptcp.Limits{Subflows: subflows} }
	}
	return []Scenario{
		{
			Name: "limit-zero", Summary: "the client's limit of additional subflows is 0",
			Topology: pair().With(limited(0)), Shows: []Symptom{subflows(lab.ClientHost, 0)},
			Host: lab.ClientHost, Rule: rule.SubflowLimit,
		},
		{
			Name: "limit-low", Summary: "two further links, and a limit of one additional subflow",
			Topology: triple().With(limited(1)), Shows: bothJoined(1),
			Host: lab.ClientHost, Rule: rule.SubflowLimit,
		},
		{
			Name: "limit-at-server", Summary: "the server's limit is 0: it refuses the joins",
			Topology: pair().With(refusing), Traffic: Traffic{Repeat: true},
			Shows: []Symptom{counts(lab.ServerHost, "MPJoinRejected", 1)},
			Host:  lab.ServerHost, Rule: rule.SubflowLimit, Needs: "MPJoinRejected",
		},
		{
			Name: "limit-of-peer", Summary: "the server's limit is 0: seen from the client",
			Topology: pair().With(refusing), Traffic: Traffic{Repeat: true},
			Shows: []Symptom{counts(lab.ServerHost, "MPJoinRejected", 1)},
			Host:  lab.ClientHost, Rule: rule.PeerLimit,
		},
		{
			Name: "announcement-refused", Summary: "the server announces an address, but the client accepts none",
			Topology: announcing().With(limited(2)),
			Shows:    []Symptom{counts(lab.ClientHost, "AddAddr", 1), subflows(lab.ClientHost, 0)},
			Host:     lab.ClientHost, Rule: rule.AnnouncementsNotAccepted,
		},
		{
			Name: "limit-eaten", Summary: "a pending join holds the only place",
			Topology: triple().With(limited(1)),
			Faults: atServer(
				"drop SYN with MP_JOIN on the second path", "eth1",
				lab.FirewallRule{Verdict: lab.Drop}.OnSYN(lab.SubtypeMPJoin),
			),
			Shows: []Symptom{joinHangs(client2)},
			Host:  lab.ClientHost, Rule: rule.HangingAttempt,
		},
		{
			Name: "table-full", Summary: "the server's table of endpoints is full",
			Topology: singleLink(),
			Faults:   []Fault{{When: BeforeTraffic, Host: lab.ServerHost, FillEndpoints: true, Device: "eth0"}},
			Shows:    []Symptom{counts(lab.ServerHost, "MPCapableACKRX", 1)},
			Host:     lab.ServerHost, Rule: rule.TableFull,
		},
	}
}

// refusing makes a server that accepts no additional subflow.
func refusing(t *lab.Topology) { t.Server().Limits = &mptcp.Limits{} }
