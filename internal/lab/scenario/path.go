package scenario

import (
	"syscall"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
)

// pathScenarios are those in which something on the first path, or in the middle of
// a connection, does not let MPTCP through.
func pathScenarios() []Scenario {
	capable := func(verdict lab.Verdict) lab.FirewallRule {
		return lab.FirewallRule{Verdict: verdict}.OnSYN(lab.SubtypeMPCapable)
	}
	return []Scenario{
		{
			Name: "syn-stripped", Summary: "a middlebox removes MPTCP from the SYN of the connection",
			Topology: pair(),
			Faults:   atServer("remove TCP option 30", "eth0", strips(lab.AnySubtype)),
			Shows:    []Symptom{fellBack(lab.ClientHost), counts(lab.ClientHost, "MPCapableFallbackSYNACK", 1)},
			Host:     lab.ClientHost, Rule: rule.ServerUsesTCP,
		},
		{
			Name: "syn-dropped", Summary: "a firewall drops SYN packets with MPTCP: the kernel leaves MPTCP out for " +
				"an hour",
			Topology: pair().With(func(t *lab.Topology) {
				t.Client().Prefer("net.mptcp.syn_retrans_before_tcp_fallback", "1")
			}),
			Traffic: Traffic{Connections: 2},
			Faults:  atServer("drop SYN with MP_CAPABLE", "eth0", capable(lab.Drop)),
			Shows: []Symptom{
				counts(lab.ClientHost, "Blackhole", 1), counts(lab.ClientHost, "MPCapableSYNTXDisabled", 1),
			},
			Host: lab.ClientHost, Rule: rule.Blackhole, Needs: "Blackhole",
		},
		{
			Name: "syn-reset", Summary: "a firewall resets SYN packets with MPTCP: the program sees \"connection " +
				"refused\"",
			Topology: pair(), Traffic: Traffic{Refused: syscall.ECONNREFUSED, Repeat: true},
			Faults: atServer("reject SYN with MP_CAPABLE by a reset", "eth0", capable(lab.RejectReset)),
			Shows:  []Symptom{counts(lab.ClientHost, "MPCapableSYNTX", 2)},
			Host:   lab.ClientHost, Rule: rule.SYNReset,
		},
	}
}

// dataScenarios are those in which the handshake passes and data does not.
func dataScenarios() []Scenario {
	return []Scenario{
		{
			Name: "data-stripped-to-client", Summary: "a middlebox removes MPTCP from the data that the client " +
				"receives",
			Topology: singleLink(),
			Faults:   filter(BeforeTraffic, lab.ClientHost, "remove DSS", "eth0", strips(lab.SubtypeDSS)),
			Shows:    []Symptom{fellBack(lab.ClientHost)},
			Host:     lab.ClientHost, Rule: rule.OptionStripped, Needs: "MPCapableDataFallback",
		},
		{
			Name: "data-stripped-later", Summary: "a middlebox removes MPTCP from the data in mid-connection",
			Topology: singleLink(), Traffic: Traffic{Stream: true},
			Faults: filter(Established, lab.ClientHost, "remove DSS", "eth0", strips(lab.SubtypeDSS)),
			Shows:  []Symptom{fellBack(lab.ClientHost)},
			Host:   lab.ClientHost, Rule: rule.OptionStripped, Needs: "DssFallback",
		},
		{
			Name: "data-stripped-second-path", Summary: "a middlebox removes MPTCP from the data on the second path",
			Topology: pair(), Traffic: Traffic{Connections: -1, Bytes: 1 << 20, Repeat: true, Stream: true},
			Faults: atServer("remove DSS on the second path", "eth1", strips(lab.SubtypeDSS)),
			Shows:  []Symptom{counts(lab.ServerHost, "MPRstTx", 1), counts(lab.ClientHost, "MPRstRx", 1)},
			Host:   lab.ClientHost, Rule: rule.OptionStripped,
		},
		{
			Name: "data-changed", Summary: "a middlebox rewrites the data, and checksums detect it",
			Topology: singleLink().With(func(t *lab.Topology) {
				t.Client().Set("net.mptcp.checksum_enabled", "1")
				t.Server().Set("net.mptcp.checksum_enabled", "1")
			}),
			Traffic: Traffic{Repeat: true},
			Faults:  atServer("overwrite bytes of the payload", "eth0", lab.FirewallRule{Verdict: lab.Rewrite}),
			Shows:   []Symptom{counts(lab.ServerHost, "DataCsumErr", 1)},
			Host:    lab.ServerHost, Rule: rule.DataChanged,
		},
	}
}

// strips removes MPTCP options of the subtype.
func strips(subtype int) lab.FirewallRule {
	return lab.FirewallRule{Verdict: lab.StripOption, Option: lab.MPTCPOption(subtype)}
}
