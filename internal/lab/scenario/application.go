package scenario

import (
	"net/netip"
	"syscall"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
)

// applicationScenarios are those in which a program, or a setting of the host, is
// in the way.
func applicationScenarios() []Scenario {
	return []Scenario{
		{
			Name: "mptcp-off", Summary: "MPTCP is disabled in the client's namespace",
			Topology: pair().With(func(t *lab.Topology) { t.Client().Set("net.mptcp.enabled", "0") }),
			Traffic:  Traffic{Refused: syscall.ENOPROTOOPT},
			Host:     lab.ClientHost, Rule: rule.SwitchedOff,
		},
		{
			Name: "plain-server", Summary: "the server's program opens a TCP socket",
			Topology: pair(), Traffic: Traffic{PlainServer: true},
			Shows: []Symptom{fellBack(lab.ClientHost), counts(lab.ClientHost, "MPCapableFallbackSYNACK", 1)},
			Host:  lab.ClientHost, Rule: rule.PeerWithoutMPTCP,
		},
		{
			Name: "plain-client", Summary: "the client's program opens a TCP socket",
			Topology: pair(), Traffic: Traffic{PlainClient: true},
			Host: lab.ClientHost, Rule: rule.ApplicationUsesTCP,
		},
		{
			Name: "plain-local-server", Summary: "the server's program opens a TCP socket, on the same host",
			Topology: pair(),
			Traffic:  Traffic{PlainServer: true, Server: lab.ClientHost, To: netip.MustParseAddr("127.0.0.1")},
			Shows:    []Symptom{fellBack(lab.ClientHost)},
			Host:     lab.ClientHost, Rule: rule.ServerUsesTCP,
		},
		{
			Name: "listener-closed", Summary: "the server stops listening once it has the connection",
			Topology: plainPair(),
			Faults: []Fault{
				{When: Established, Host: lab.ServerHost, CloseListener: true},
				{When: Established, Host: lab.ClientHost, Command: subflowOn(client2, "eth1").Command()},
			},
			Shows: []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 1), subflows(lab.ClientHost, 0)},
			Host:  lab.ServerHost, Rule: rule.ListenerClosed,
		},
	}
}

// connectionScenarios are those in which the way in which a connection is made or
// managed is the reason.
func connectionScenarios() []Scenario {
	return []Scenario{
		{
			Name: "nothing-sent", Summary: "the client has sent nothing yet",
			Topology: pair(), Traffic: Traffic{Quiet: true},
			Shows: []Symptom{counts(lab.ServerHost, "MPCapableACKRX", 1), subflows(lab.ClientHost, 0)},
			Host:  lab.ClientHost, Rule: rule.NothingSent,
		},
		{
			Name: "simultaneous-connect", Summary: "both ends connect to each other at once: a socket to itself",
			Topology: singleLink(), Traffic: Traffic{Self: true, Repeat: true},
			Shows: []Symptom{counts(lab.ClientHost, "SimultConnectFallback", 1)},
			Host:  lab.ClientHost, Rule: rule.SocketOption, Needs: "SimultConnectFallback",
		},
		{
			Name: "fast-open-refused", Summary: "the client puts data into its SYN (Fast Open), and the server does " +
				"not take it",
			Topology: pair().With(func(t *lab.Topology) {
				t.Client().Set("net.ipv4.tcp_fastopen", "5")
				t.Server().Set("net.ipv4.tcp_fastopen", "0")
			}),
			Traffic: Traffic{FastOpen: true},
			Shows:   []Symptom{fellBack(lab.ClientHost), counts(lab.ClientHost, "TCPFastOpenActiveFail", 1)},
			Host:    lab.ClientHost, Rule: rule.SocketOption, Needs: "MPCapableDataFallback",
		},
		{
			Name: "no-daemon", Summary: "the client uses the userspace path manager, but no daemon runs",
			Topology: pair().With(func(t *lab.Topology) { t.Client().Set("net.mptcp.pm_type", "1") }),
			Shows:    []Symptom{subflows(lab.ClientHost, 0)},
			Host:     lab.ClientHost, Rule: rule.NoDaemon,
		},
		{
			Name: "no-daemon-at-server", Summary: "the server uses the userspace path manager, but no daemon runs",
			Topology: plainPair().With(func(t *lab.Topology) { t.Server().Set("net.mptcp.pm_type", "1") }),
			Shows:    []Symptom{subflows(lab.ServerHost, 0)},
			Host:     lab.ServerHost, Rule: rule.NoDaemon,
		},
		{
			Name: "checksum-differs", Summary: "the server requires checksums, the client does not",
			Topology: pair().With(func(t *lab.Topology) { t.Server().Set("net.mptcp.checksum_enabled", "1") }),
			Shows:    bothJoined(1),
			Host:     lab.ClientHost, Rule: rule.ChecksumsDiffer,
		},
	}
}
