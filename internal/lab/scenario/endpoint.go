package scenario

import (
	"net/netip"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
	"mptcpctl/mptcp"
)

// endpointScenarios are those in which an endpoint is wrong.
func endpointScenarios() []Scenario {
	withEndpoints := func(list ...lab.Endpoint) lab.Topology {
		return plainPair().With(func(t *lab.Topology) { t.Client().Endpoints = list })
	}
	second := netip.MustParseAddr(client2)
	return []Scenario{
		{
			Name: "endpoint-without-flags", Summary: "an endpoint without subflow, signal or fullmesh",
			Topology: withEndpoints(
				lab.Endpoint{Address: second, Dev: "eth1"},
			), Shows: []Symptom{subflows(lab.ClientHost, 0)},
			Host: lab.ClientHost, Rule: rule.EndpointWithoutPurpose,
		},
		{
			Name: "endpoint-only-backup", Summary: "an endpoint with backup alone",
			Topology: withEndpoints(
				lab.Endpoint{Address: second, Dev: "eth1", Flags: mptcp.FlagBackup},
			), Shows: []Symptom{subflows(lab.ClientHost, 0)},
			Host: lab.ClientHost, Rule: rule.EndpointWithoutPurpose,
		},
		{
			Name: "endpoint-of-first-link", Summary: "the endpoint is the address of the initial subflow",
			Topology: withEndpoints(subflowOn(client1, "eth0")), Shows: []Symptom{subflows(lab.ClientHost, 0)},
			Host: lab.ClientHost, Rule: rule.InitialAddress,
		},
		{
			Name: "endpoint-not-here", Summary: "the endpoint's address is not on the client",
			Topology: withEndpoints(lab.Endpoint{Address: netip.MustParseAddr("10.0.9.9"), Flags: mptcp.FlagSubflow}),
			Shows:    []Symptom{counts(lab.ClientHost, "MPJoinSynTxBindErr", 1), subflows(lab.ClientHost, 0)},
			Host:     lab.ClientHost, Rule: rule.AddressMissing,
		},
		{
			Name: "endpoint-link-down", Summary: "the endpoint's link is down",
			Topology: pair(),
			Faults:   []Fault{{When: BeforeTraffic, Host: lab.ClientHost, LinkDown: "eth1"}},
			Shows:    []Symptom{counts(lab.ClientHost, "MPJoinSynTxConnectErr", 1), subflows(lab.ClientHost, 0)},
			Host:     lab.ClientHost, Rule: rule.LinkDown,
		},
		{
			Name: "endpoint-link-gone", Summary: "the endpoint's device was removed",
			Topology: pair(),
			Faults:   []Fault{{When: BeforeTraffic, Host: lab.ClientHost, RemoveLink: "eth1"}},
			Shows:    []Symptom{subflows(lab.ClientHost, 0)},
			Host:     lab.ClientHost, Rule: rule.AddressMissing,
		},
		{
			Name: "endpoint-other-family", Summary: "an IPv6 endpoint and a connection over IPv4",
			Topology: withEndpoints(subflowOn("2001:db8:2::2", "eth1")).With(func(t *lab.Topology) {
				a := &t.Links[1].A
				a.Addresses = append(a.Addresses, netip.MustParsePrefix("2001:db8:2::2/64"))
			}),
			Shows: []Symptom{subflows(lab.ClientHost, 0)},
			Host:  lab.ClientHost, Rule: rule.OtherFamily,
		},
	}
}

// announcementScenarios are those in which an address is announced to no avail.
func announcementScenarios() []Scenario {
	return []Scenario{
		{
			Name: "announced-unheard", Summary: "the server announces an address that its program does not listen on",
			Topology: announcing(), Traffic: Traffic{Listen: netip.MustParseAddr(server1)},
			Shows: []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 1), subflows(lab.ClientHost, 0)},
			Host:  lab.ServerHost, Rule: rule.AnnouncedWithoutListener,
		},
		{
			Name: "announced-unheard-by-client", Summary: "the same, seen from the client",
			Topology: announcing(), Traffic: Traffic{Listen: netip.MustParseAddr(server1), Repeat: true},
			Shows: []Symptom{counts(lab.ClientHost, "MPJoinSynTx", 1)},
			Host:  lab.ClientHost, Rule: rule.AnnouncedWithoutListener,
		},
		{
			Name: "client-signals", Summary: "the client announces its address instead of using it",
			Topology: plainPair().With(func(t *lab.Topology) {
				t.Client().Endpoints = []lab.Endpoint{SignalOn(client2)}
				t.Server().Limits = &mptcp.Limits{AddAddrAccepted: 1, Subflows: 2}
			}),
			// Not every server tries: an announcement that comes too early is dropped.
			Traffic: Traffic{Repeat: true},
			Shows:   []Symptom{counts(lab.ServerHost, "MPJoinSynTx", 1)},
			Host:    lab.ClientHost, Rule: rule.ClientSignals,
		},
		{
			Name: "announcement-too-long", Summary: "an IPv6 address with a port does not fit into the options " +
				"together with timestamps",
			Topology: ipv6().With(func(t *lab.Topology) {
				t.SetClient(mptcp.Limits{AddAddrAccepted: 2, Subflows: 2})
				e := SignalOn("2001:db8:2::1")
				e.Port = 12400
				t.Server().Endpoints = []lab.Endpoint{e}
				t.Server().Prefer("net.mptcp.add_addr_v6_port_drop_ts", "0")
			}),
			Shows: []Symptom{counts(lab.ServerHost, "AddAddrTxDrop", 1), subflows(lab.ClientHost, 0)},
			Host:  lab.ServerHost, Rule: rule.AnnouncementTooLong, Needs: "AddAddrTxDrop",
		},
	}
}
