package scenario

import (
	"net/netip"

	"mptcpctl/internal/lab"
	"mptcpctl/mptcp"
)

// healthyScenarios are those in which doctor must find nothing.
func healthyScenarios() []Scenario {
	all := append(healthyNetworks(), healthyTraffic()...)
	for i := range all {
		all[i].Host, all[i].Rule = lab.ClientHost, Healthy
	}
	return all
}

// healthyNetworks differ in their networks.
func healthyNetworks() []Scenario {
	flagged := func(flags mptcp.EndpointFlags) lab.Topology {
		return pair().With(func(t *lab.Topology) { t.Client().Endpoints[0].Flags = flags })
	}
	return []Scenario{
		{
			Name: "healthy-single", Summary: "one link, one path",
			Topology: singleLink(), Shows: bothJoined(0),
		},
		{
			Name: "healthy-two-paths", Summary: "two links, two subflows",
			Topology: pair(), Shows: bothJoined(1),
		},
		{
			Name: "healthy-three-paths", Summary: "three links, three subflows",
			Topology: triple(), Shows: bothJoined(2),
		},
		{
			Name: "healthy-second-link", Summary: "a second link without an endpoint: MPTCP is not told to use it",
			Topology: plainPair(), Shows: bothJoined(0),
		},
		{
			Name: "healthy-one-subnet", Summary: "two links in one subnet, told apart by ARP settings and dev",
			Topology: redHat().With(func(t *lab.Topology) {
				t.SetClient(mptcp.Limits{Subflows: 1}, subflowOn("192.0.2.3", "wlp1s0"))
			}),
			Shows: bothJoined(1),
		},
		{
			Name: "healthy-backup", Summary: "the second subflow is a backup and waits",
			Topology: flagged(mptcp.FlagSubflow | mptcp.FlagBackup), Shows: bothJoined(1),
		},
		{
			Name: "healthy-fullmesh", Summary: "a fullmesh endpoint",
			Topology: flagged(mptcp.FlagSubflow | mptcp.FlagFullmesh), Shows: bothJoined(1),
		},
		{
			Name: "healthy-fullmesh-alone", Summary: "an endpoint with fullmesh alone: it answers to what the " +
				"server announces",
			Topology: announcing().With(func(t *lab.Topology) {
				t.Client().Endpoints = []lab.Endpoint{
					{Address: netip.MustParseAddr(client2), Dev: "eth1", Flags: mptcp.FlagFullmesh},
				}
			}),
			Shows: bothJoined(1),
		},
		{
			Name: "healthy-announced", Summary: "the server announces its second address, the client uses it",
			Topology: announcing(), Shows: bothJoined(1),
		},
		{
			Name: "healthy-port", Summary: "the server announces its second address with its own port",
			Topology: announcing().With(func(t *lab.Topology) { t.Server().Endpoints[0].Port = 12400 }),
			Shows:    bothJoined(1),
		},
		{
			Name: "healthy-nat", Summary: "the second path passes NAT",
			Topology: natted(), Shows: bothJoined(1),
		},
		{
			Name: "healthy-ipv6", Summary: "two paths over IPv6",
			Topology: ipv6(), Shows: bothJoined(1),
		},
	}
}

// healthyTraffic differ in what is sent.
func healthyTraffic() []Scenario {
	return []Scenario{
		{
			Name: "healthy-mapped", Summary: "the client reaches IPv4 through an IPv6 socket",
			Topology: pair(), Traffic: Traffic{Mapped: true}, Shows: bothJoined(1),
		},
		{
			Name: "healthy-mark", Summary: "only a rule by the program's mark gives the second path its route",
			Topology: pair().With(markedRoute), Traffic: Traffic{Mark: routedMark}, Shows: bothJoined(1),
		},
		{
			Name: "healthy-busy", Summary: "two paths that carry data all the time",
			Topology: pair(), Traffic: Traffic{Stream: true}, Ready: bothJoined(1), Shows: bothJoined(1),
		},
		{
			Name: "healthy-lossy", Summary: "the first path loses one packet in fifty, like a radio link",
			Topology: pair(), Traffic: Traffic{Stream: true}, Ready: bothJoined(1),
			Faults: filter(
				Established, lab.ServerHost, "drop one packet in fifty", "eth0",
				lab.FirewallRule{Verdict: lab.Drop, OneIn: 50},
			),
			Shows: append(bothJoined(1), counts(lab.ClientHost, "TCPFastRetrans", 3)),
		},
		{
			Name: "healthy-checksums", Summary: "both ends require checksums",
			Topology: pair().With(func(t *lab.Topology) {
				t.Client().Set("net.mptcp.checksum_enabled", "1")
				t.Server().Set("net.mptcp.checksum_enabled", "1")
			}),
			Shows: bothJoined(1),
		},
		{
			Name: "healthy-many", Summary: "500 connections with two subflows each",
			Topology: pair(), Traffic: Traffic{Connections: 500, Bytes: 10}, Shows: bothJoined(1),
		},
		{
			Name: "healthy-short", Summary: "connections come and go all the time",
			Topology: pair(), Traffic: Traffic{Repeat: true},
			Shows: []Symptom{counts(lab.ServerHost, "MPCapableACKRX", 5), counts(lab.ServerHost, "MPJoinAckRx", 3)},
		},
		{
			Name: "healthy-beside", Summary: "plain TCP connections beside one over MPTCP",
			Topology: pair(), Traffic: Traffic{Beside: 5}, Shows: bothJoined(1),
		},
		{
			Name: "healthy-loopback", Summary: "client and server on one host",
			Topology: pair(),
			Traffic:  Traffic{Server: lab.ClientHost, To: netip.MustParseAddr("127.0.0.1")},
			Shows:    []Symptom{counts(lab.ClientHost, "MPCapableACKRX", 1)},
		},
		{
			Name: "healthy-namespaces", Summary: "a container on the client: both use MPTCP, each with its own " +
				"endpoints",
			Topology: withGuest(), Traffic: Traffic{Guest: guestHost},
			Programs: []Program{
				{lab.ClientHost, "desktop"}, {guestHost, "app"},
			}, Shows: []Symptom{subflows(lab.ClientHost, 1)},
		},
		{
			Name: "healthy-firewall", Summary: "both hosts have a firewall that lets in only answers",
			Topology: pair().With(func(t *lab.Topology) {
				guard(t.Client())
				guard(t.Server())
			}),
			Shows: bothJoined(1),
		},
		{
			Name: "healthy-unread", Summary: "the server's program does not read: the window is closed",
			Topology: pair(), Traffic: Traffic{Unread: true}, Ready: bothJoined(1),
			Shows: []Symptom{counts(lab.ClientHost, "TCPWinProbe", 9)},
		},
		{
			Name: "healthy-unused", Summary: "endpoints are configured, but no program connects",
			Topology: pair(), Traffic: Traffic{Connections: -1},
		},
	}
}
