package scenario

import (
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
)

// joinScenarios are those in which something on the second path stops the join.
func joinScenarios() []Scenario {
	join := func(verdict lab.Verdict) lab.FirewallRule {
		return lab.FirewallRule{Verdict: verdict}.OnSYN(lab.SubtypeMPJoin)
	}
	refused := Traffic{Repeat: true}
	return []Scenario{
		{
			Name: "join-dropped", Summary: "a firewall on the second path drops SYN packets with MP_JOIN",
			Topology: pair(),
			Faults:   atServer("drop SYN with MP_JOIN", "eth1", join(lab.Drop)),
			Shows:    []Symptom{joinHangs(client2)},
			Host:     lab.ClientHost, Rule: rule.JoinUnanswered,
		},
		{
			Name: "join-reset", Summary: "a firewall on the second path resets SYN packets with MP_JOIN",
			Topology: pair(), Traffic: refused,
			Faults: atServer("reject SYN with MP_JOIN by a reset", "eth1", join(lab.RejectReset)),
			Shows:  []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 2)},
			Host:   lab.ClientHost, Rule: rule.JoinRefused,
		},
		{
			Name: "join-prohibited", Summary: "a firewall on the second path answers SYN packets with MP_JOIN with " +
				"an ICMP error",
			// Else only the first of the joins get an answer.
			Topology: pair().With(func(t *lab.Topology) { t.Server().Set("net.ipv4.icmp_ratelimit", "0") }),
			Traffic:  refused,
			Faults: atServer(
				"reject SYN with MP_JOIN by ICMP: administratively prohibited", "eth1", join(lab.RejectAdmin),
			),
			Shows: []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 2)},
			Host:  lab.ClientHost, Rule: rule.JoinRefused,
		},
		{
			Name: "join-stripped", Summary: "a middlebox on the second path removes MPTCP from SYN packets",
			Topology: pair(), Traffic: refused,
			Faults: atServer(
				"remove TCP option 30 on the second path", "eth1",
				lab.FirewallRule{Verdict: lab.StripOption, Option: lab.MPTCPOption(lab.AnySubtype)},
			),
			Shows: []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 2), counts(lab.ClientHost, "MPRstTx", 1)},
			Host:  lab.ClientHost, Rule: rule.JoinStripped,
		},
		{
			Name: "path-mended", Summary: "a join was reset, the firewall is gone, but the kernel does not retry",
			Topology: pair(),
			Faults: append(
				atServer("reject SYN with MP_JOIN by a reset", "eth1", join(lab.RejectReset)),
				Fault{When: Established, Host: lab.ServerHost, Text: "none any more"},
			),
			Ready: []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 1), subflows(lab.ClientHost, 0)},
			Shows: []Symptom{subflows(lab.ClientHost, 0)},
			Host:  lab.ClientHost, Rule: rule.NotRetried,
		},
	}
}
