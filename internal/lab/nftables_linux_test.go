package lab_test

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/scenario"
)

// attempt says how a connection from the client fares: "silence" if nothing comes
// of it within the patience. (An ICMP error may be heeded only at the second SYN,
// a second after the first.)
func attempt(t *testing.T, l *lab.Lab, to netip.AddrPort, c *lab.ConnectConfig, patience time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := lab.Connect(ctx, l.Host(lab.ClientHost).Namespace, to, c)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "silence"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "unreachable"
	case errors.Is(err, syscall.EACCES): // what ICMPv6 makes of "administratively prohibited"
		return "prohibited"
	case err != nil:
		return err.Error()
	}
	defer conn.Close()
	if err := conn.Exchange(1000); err != nil {
		return err.Error()
	}
	if _, ok := conn.Token(); !ok {
		return "tcp"
	}
	return "mptcp"
}

func TestFirewall(t *testing.T) {
	topology, _ := scenario.FindTopology("two-subnets")
	topology.Hosts[1].Endpoints = nil
	l := build(t, topology)
	v6 := netip.MustParsePrefix("fd00::1/64")
	for host, address := range map[string]string{lab.ServerHost: "fd00::1/64", lab.ClientHost: "fd00::2/64"} {
		if err := l.Host(host).AddAddress("eth0", netip.MustParsePrefix(address)); err != nil {
			t.Fatal(err)
		}
	}
	host := l.Host(lab.ServerHost)
	server, err := lab.Serve(t.Context(), host.Namespace, netip.MustParseAddrPort("[::]:4000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()

	client := netip.MustParsePrefix("10.0.1.2/32")
	syn := lab.FirewallRule{Hook: lab.HookInput, Flags: lab.SYN, FlagsMask: lab.SYN | lab.ACK}
	with := func(change func(*lab.FirewallRule)) []lab.FirewallRule {
		rule := syn
		change(&rule)
		return []lab.FirewallRule{rule}
	}
	for _, tt := range []struct {
		name   string
		rules  []lab.FirewallRule
		v4, v6 string
	}{
		{"nothing", nil, "mptcp", "mptcp"},
		{"drop", with(func(r *lab.FirewallRule) { r.Verdict = lab.Drop }), "silence", "silence"},
		{"accept", with(func(r *lab.FirewallRule) { r.Verdict = lab.Accept }), "mptcp", "mptcp"},
		{"accept before drop", append(with(func(r *lab.FirewallRule) { r.Source, r.Verdict = client, lab.Accept }),
			lab.FirewallRule{Hook: lab.HookInput, Verdict: lab.RejectAdmin, Flags: lab.SYN, FlagsMask: lab.SYN}), "mptcp", "prohibited"},
		{"reset", with(func(r *lab.FirewallRule) { r.Verdict = lab.RejectReset }), "refused", "refused"},
		{"prohibited", with(func(r *lab.FirewallRule) { r.Verdict = lab.RejectAdmin }), "unreachable", "prohibited"},
		{"source", with(func(r *lab.FirewallRule) { r.Source, r.Verdict = client, lab.RejectReset }), "refused", "mptcp"},
		{"source subnet", with(func(r *lab.FirewallRule) { r.Source, r.Verdict = netip.MustParsePrefix("10.0.0.0/15"), lab.RejectReset }), "refused", "mptcp"},
		{"other subnet", with(func(r *lab.FirewallRule) { r.Source, r.Verdict = netip.MustParsePrefix("10.2.0.0/15"), lab.RejectReset }), "mptcp", "mptcp"},
		{"destination", with(func(r *lab.FirewallRule) { r.Destination, r.Verdict = v6, lab.RejectReset }), "mptcp", "refused"},
		{"port", with(func(r *lab.FirewallRule) { r.DestinationPort, r.Verdict = 4000, lab.RejectReset }), "refused", "refused"},
		{"other port", with(func(r *lab.FirewallRule) { r.DestinationPort, r.Verdict = 4001, lab.RejectReset }), "mptcp", "mptcp"},
		{"source port", with(func(r *lab.FirewallRule) { r.SourcePort, r.Verdict = 4000, lab.RejectReset }), "mptcp", "mptcp"},
		{"device", with(func(r *lab.FirewallRule) { r.In, r.Verdict = "eth0", lab.RejectReset }), "refused", "refused"},
		{"other device", with(func(r *lab.FirewallRule) { r.In, r.Verdict = "eth1", lab.RejectReset }), "mptcp", "mptcp"},
		{"out device", []lab.FirewallRule{{Hook: lab.HookOutput, Out: "eth0", FlagsMask: lab.SYN, Flags: lab.SYN, Verdict: lab.Drop}}, "silence", "silence"},
		{"MP_CAPABLE reset", with(func(r *lab.FirewallRule) {
			r.Option, r.Verdict = lab.MPTCPOption(lab.SubtypeMPCapable), lab.RejectReset
		}), "refused", "refused"},
		{"MP_JOIN reset", with(func(r *lab.FirewallRule) {
			r.Option, r.Verdict = lab.MPTCPOption(lab.SubtypeMPJoin), lab.RejectReset
		}), "mptcp", "mptcp"},
		{"any MPTCP option", with(func(r *lab.FirewallRule) {
			r.Option, r.Verdict = lab.MPTCPOption(lab.AnySubtype), lab.RejectReset
		}), "refused", "refused"},
		{"option not there", with(func(r *lab.FirewallRule) {
			r.Option, r.Verdict = &lab.TCPOption{Kind: 19, Subtype: lab.AnySubtype}, lab.RejectReset
		}), "mptcp", "mptcp"},
		{"strip", []lab.FirewallRule{{Hook: lab.HookPrerouting, Option: lab.MPTCPOption(lab.AnySubtype), Verdict: lab.StripOption}}, "tcp", "tcp"},
		{"strip DSS alone", []lab.FirewallRule{{Hook: lab.HookPrerouting, Option: lab.MPTCPOption(lab.SubtypeDSS), Verdict: lab.StripOption}}, "mptcp", "mptcp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := host.SetFirewall(tt.rules...); err != nil {
				t.Fatal(err)
			}
			patience := patience
			if tt.v4 == "silence" {
				patience = 300 * time.Millisecond
			}
			if got := attempt(t, l, netip.MustParseAddrPort("10.0.1.1:4000"), nil, patience); got != tt.v4 {
				t.Errorf("IPv4: %s, want %s", got, tt.v4)
			}
			if got := attempt(t, l, netip.MustParseAddrPort("[fd00::1]:4000"), nil, patience); got != tt.v6 {
				t.Errorf("IPv6: %s, want %s", got, tt.v6)
			}
		})
	}
}

// TestFirewallOneIn refuses every second connection.
func TestFirewallOneIn(t *testing.T) {
	topology, _ := scenario.FindTopology("two-subnets")
	l := build(t, topology)
	host := l.Host(lab.ServerHost)
	server, err := lab.Serve(t.Context(), host.Namespace, netip.MustParseAddrPort("10.0.1.1:4000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	err = host.SetFirewall(
		lab.FirewallRule{Hook: lab.HookInput, Flags: lab.SYN, FlagsMask: lab.SYN, OneIn: 2, Verdict: lab.RejectReset},
	)
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]int{}
	for range 6 {
		outcomes[attempt(t, l, server.Addr(), &lab.ConnectConfig{TCP: true}, patience)]++
	}
	if outcomes["refused"] != 3 || outcomes["tcp"] != 3 {
		t.Errorf("got %v, want three refused and three connected", outcomes)
	}
}

// TestFirewallStopsJoins lets the initial subflow pass and no other.
func TestFirewallStopsJoins(t *testing.T) {
	for name, rule := range map[string]lab.FirewallRule{
		"strip": {Hook: lab.HookPrerouting, Option: lab.MPTCPOption(lab.SubtypeMPJoin), Verdict: lab.StripOption},
		"reset": {Hook: lab.HookInput, Option: lab.MPTCPOption(lab.SubtypeMPJoin), Verdict: lab.RejectReset},
	} {
		t.Run(name, func(t *testing.T) {
			topology, _ := scenario.FindTopology("two-subnets")
			l := build(t, topology)
			if err := l.Host(lab.ServerHost).SetFirewall(rule); err != nil {
				t.Fatal(err)
			}
			server, err := lab.Serve(
				t.Context(),
				l.Host(lab.ServerHost).Namespace,
				netip.MustParseAddrPort("0.0.0.0:4000"),
				nil,
			)
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			client := l.Host(lab.ClientHost)
			before := packets(t, client, "eth1")
			c, err := lab.Connect(t.Context(), client.Namespace, netip.MustParseAddrPort("10.0.1.1:4000"), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Exchange(1000); err != nil {
				t.Fatal(err)
			}
			await.True(t, "attempt given up", func() bool {
				return packets(t, client, "eth1") > before && c.AdditionalSubflows() == 0
			})
			if n := server.Conns()[0].AdditionalSubflows(); n != 0 {
				t.Errorf("server has %d additional subflows", n)
			}
		})
	}
}

func TestNATHidesTheClient(t *testing.T) {
	topology, _ := scenario.FindTopology("nat")
	l := build(t, topology)
	server, err := lab.Serve(t.Context(), l.Host(lab.ServerHost).Namespace, netip.MustParseAddrPort("10.0.1.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := lab.Connect(
		t.Context(),
		l.Host(lab.ClientHost).Namespace,
		server.Addr(),
		&lab.ConnectConfig{From: netip.MustParseAddrPort("192.168.2.2:0")},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exchange(10); err != nil {
		t.Fatal(err)
	}
	remote := netip.MustParseAddrPort(server.Conns()[0].RemoteAddr().String()).Addr()
	if remote != netip.MustParseAddr("10.0.2.254") {
		t.Errorf("server sees %s, want the router's 10.0.2.254", remote)
	}
}

func TestFirewallRefusesNonsense(t *testing.T) {
	topology, _ := scenario.FindTopology("two-subnets")
	l := build(t, topology)
	for name, rule := range map[string]lab.FirewallRule{
		"masquerade in input":   {Hook: lab.HookInput, Verdict: lab.Masquerade},
		"strip without option":  {Hook: lab.HookInput, Verdict: lab.StripOption},
		"reject in postrouting": {Hook: lab.HookPostrouting, Verdict: lab.RejectReset},
		"two families": {
			Hook: lab.HookInput, Verdict: lab.Drop,
			Source: netip.MustParsePrefix("10.0.0.0/8"), Destination: netip.MustParsePrefix("fd00::/8"),
		},
		"no such hook": {Hook: 17, Verdict: lab.Drop},
	} {
		if err := l.Host(lab.ClientHost).SetFirewall(rule); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := attempt(t, l, netip.MustParseAddrPort("10.0.1.1:9"), nil, patience); got != "refused" {
		t.Errorf("after refused rules: %s, want refused by the server", got)
	}
}
