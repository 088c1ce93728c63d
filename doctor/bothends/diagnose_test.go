package bothends_test

import (
	"net/netip"
	"testing"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/doctor/bothends"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

var (
	clientAt = netip.MustParseAddrPort("10.0.1.2:40000")
	serverAt = netip.MustParseAddrPort("10.0.1.1:443")
	now      = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
)

// ends are a client and a server with one healthy connection.
func ends() (client, server doctor.Facts) {
	pair := mptcp.NewPair(1, 2)
	client = facts("10.0.1.2")
	client.Connections = []mptcp.Connection{{
		Token: 1, Pair: pair, Side: mptcp.SideClient, State: mptcp.StateEstablished, Local: clientAt, Remote: serverAt,
		Limits: mptcp.ConnectionLimits{SubflowsMax: 2}, BytesSent: 10, BytesReceived: 10,
		LastDataSentMS: 5000, LastDataRecvMS: 5000,
		Subflows: []mptcp.Subflow{up(clientAt, serverAt)},
	}}
	server = facts("10.0.1.1")
	server.Connections = []mptcp.Connection{{
		Token: 2, Pair: pair, Side: mptcp.SideServer, State: mptcp.StateEstablished, Local: serverAt, Remote: clientAt,
		Limits: mptcp.ConnectionLimits{SubflowsMax: 2}, BytesSent: 10, BytesReceived: 10,
		LastDataSentMS: 5000, LastDataRecvMS: 5000,
		Subflows: []mptcp.Subflow{up(serverAt, clientAt)},
	}}
	server.Listeners = []doctor.Listener{{Local: netip.MustParseAddrPort("[::]:443"), Inode: 9}}
	return client, server
}

func facts(address string) doctor.Facts {
	return doctor.Facts{
		Time: now, Kernel: doctor.Kernel{Release: "6.18.0", SocketTried: true}, Firewall: &doctor.Firewall{},
		MPTCP: doctor.Counted{Now: counters.Values{}},
		Network: hostnet.Network{
			Links:     []hostnet.Link{{Index: 2, Name: "eth0", Up: true, Carrier: true}},
			Addresses: []hostnet.Address{{Addr: netip.MustParseAddr(address), IfIndex: 2, Scope: "global"}},
		},
		Listeners: []doctor.Listener{}, PlainListeners: []doctor.Listener{},
	}
}

func up(local, remote netip.AddrPort) mptcp.Subflow {
	return mptcp.Subflow{
		Local: local, Remote: remote, Initial: true, State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished,
		FullyEstablished: true, LastAckMS: 5000, LastDataSentMS: 5000,
	}
}

func diagnose(client, server doctor.Facts) bothends.Report {
	return bothends.Diagnose(
		bothends.Host{Name: "here", Facts: []doctor.Facts{client}},
		bothends.Host{Name: "there", Facts: []doctor.Facts{server}, Ahead: time.Minute, Within: time.Millisecond})
}

func find(r *bothends.Report, id string) *doctor.Finding {
	for i := range r.Findings {
		if string(r.Findings[i].Rule) == id {
			return &r.Findings[i]
		}
	}
	return nil
}

func TestDifferences(t *testing.T) {
	const second = "10.0.2.2:50000"
	for _, test := range []struct {
		name   string
		change func(client, server *doctor.Facts)
		want   string // "" for nothing
		host   string
	}{
		{"healthy", func(_, _ *doctor.Facts) {}, "", ""},
		{"one fell back", func(c, _ *doctor.Facts) { c.Connections[0].Fallback = true }, "F02", "here"},
		{"the other fell back", func(_, s *doctor.Facts) { s.Connections[0].Fallback = true }, "F02", "there"},
		{"a subflow at one end", func(c, _ *doctor.Facts) {
			sub := up(netip.MustParseAddrPort(second), serverAt)
			sub.Initial, sub.LocalID = false, 1
			c.Connections[0].Subflows = append(c.Connections[0].Subflows, sub)
		}, "F03", "here"},
		{"a subflow that has just come up", func(_, s *doctor.Facts) {
			sub := up(serverAt, netip.MustParseAddrPort(second))
			sub.Initial, sub.LastAckMS = false, 10
			s.Connections[0].Subflows = append(s.Connections[0].Subflows, sub)
		}, "", ""},
		{"a subflow at one end, read at another time", func(c, s *doctor.Facts) {
			sub := up(netip.MustParseAddrPort(second), serverAt)
			sub.Initial = false
			c.Connections[0].Subflows = append(c.Connections[0].Subflows, sub)
			s.Time = s.Time.Add(time.Hour)
		}, "", ""},
		{"bytes are missing", func(_, s *doctor.Facts) { s.Connections[0].BytesReceived = 4 }, "F07", "here"},
		{"bytes are under way", func(_, s *doctor.Facts) {
			s.Connections[0].BytesReceived, s.Connections[0].LastDataRecvMS = 4, 3
		}, "", ""},
		{"a proxy", func(_, s *doctor.Facts) { s.Connections[0].Pair = mptcp.NewPair(3, 4) }, "F01", "here"},
		{"NAT", func(_, s *doctor.Facts) {
			s.Connections[0].Remote = netip.MustParseAddrPort("198.51.100.1:9")
			s.Connections[0].Subflows[0].Remote = s.Connections[0].Remote
		}, "D52", "here"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := ends()
			test.change(&client, &server)
			r := diagnose(client, server)
			if clock := find(&r, "F08"); clock == nil || clock.Subject.Host != "there" {
				t.Errorf("a minute between the clocks: %+v", r.Findings)
			}
			for _, f := range r.Findings {
				if (f.Confidence == track.Certain) != (len(f.Excluded) > 0) {
					t.Errorf("%s is %v, and excludes %v", f.Rule, f.Confidence, f.Excluded)
				}
			}
			for _, id := range []string{"F01", "F02", "F03", "F07", "D52"} {
				f := find(&r, id)
				if (f != nil) != (id == test.want) || f != nil && f.Subject.Host != test.host {
					t.Errorf("%s: %+v", id, f)
				}
			}
		})
	}
}

// A limit that is not reached is not what refused the join, and a firewall that was not seen
// leaves doubt.
func TestFallbackDecided(t *testing.T) {
	fallen := func() (client, server doctor.Facts) {
		client, server = ends()
		client.Connections[0].Fallback, client.Connections[0].Pair = true, mptcp.Pair{}
		client.MPTCP.Now = counters.FromMap(map[string]uint64{"MPCapableFallbackSYNACK": 1})
		server.Connections = nil
		server.MPTCP.Now = counters.FromMap(map[string]uint64{"MPCapableSYNRX": 0})
		return client, server
	}
	tcp := []doctor.Listener{{Local: netip.MustParseAddrPort("0.0.0.0:443"), Processes: []mptcp.Process{{PID: 1, Name: "old"}}}}
	for _, test := range []struct {
		name   string
		change func(client, server *doctor.Facts)
		rule   string
		host   string
		sure   track.Confidence
	}{
		{"the program uses TCP", func(_, s *doctor.Facts) { s.Listeners, s.PlainListeners = nil, tcp }, "D07", "there", track.Certain},
		{"on the way", func(_, _ *doctor.Facts) {}, "D07", "here", track.Certain},
		{"a firewall was not seen", func(_, s *doctor.Facts) { s.Firewall = nil }, "D07", "here", track.Likely},
		{"others came with MPTCP", func(_, s *doctor.Facts) {
			s.MPTCP.Now = counters.FromMap(map[string]uint64{"MPCapableSYNRX": 8})
		}, "D07", "here", track.Likely},
		{"both kinds of listeners", func(_, s *doctor.Facts) { s.PlainListeners = tcp }, "D05", "here", track.Likely},
		{"the peer is another host", func(_, s *doctor.Facts) {
			s.Network.Addresses[0].Addr = netip.MustParseAddr("10.0.9.9")
		}, "D05", "here", track.Likely},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := fallen()
			test.change(&client, &server)
			r := diagnose(client, server)
			f := find(&r, test.rule)
			if f == nil || f.Subject.Host != test.host || f.Confidence != test.sure {
				t.Errorf("got %+v", r.Findings)
			}
		})
	}
}
