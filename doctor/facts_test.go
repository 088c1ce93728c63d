package doctor

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/counters"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

var (
	now    = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ethIP  = netip.MustParseAddr("192.0.2.2")
	wlanIP = netip.MustParseAddr("198.51.100.2")
	server = netip.MustParseAddrPort("203.0.113.1:443")
)

const (
	lo   = 1
	eth  = 2
	wlan = 3
)

func sysctls(t testing.TB, settings map[string]string) counters.Sysctls {
	t.Helper()
	raw := map[string]string{
		"enabled":                      "1",
		"checksum_enabled":             "0",
		"allow_join_initial_addr_port": "1",
		"pm_type":                      "0",
		"path_manager":                 "kernel",
		"blackhole_timeout":            "3600", "close_timeout": "60",
	}
	for k, v := range settings {
		raw[k] = v
	}
	s, err := counters.ParseSysctls(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func network() hostnet.Network {
	prefix := netip.MustParsePrefix
	return hostnet.Network{
		Links: []hostnet.Link{
			{Index: lo, Name: "lo", Type: "loopback", Up: true, Carrier: true, Loopback: true},
			{Index: eth, Name: "eth0", Type: "ether", Up: true, Carrier: true},
			{Index: wlan, Name: "wlan0", Type: "ether", Up: true, Carrier: true, Wireless: true},
		},
		Addresses: []hostnet.Address{
			{Addr: netip.MustParseAddr("127.0.0.1"), Prefix: prefix("127.0.0.0/8"), IfIndex: lo, Scope: "host"},
			{Addr: ethIP, Prefix: prefix("192.0.2.0/24"), IfIndex: eth, Scope: "global"},
			{Addr: wlanIP, Prefix: prefix("198.51.100.0/24"), IfIndex: wlan, Scope: "global"},
		},
		Routes: []hostnet.Route{
			{
				Dst:     prefix("0.0.0.0/0"),
				Gateway: netip.MustParseAddr("192.0.2.254"),
				IfIndex: eth,
				Metric:  100,
				Table:   hostnet.TableMain,
				Type:    "unicast",
			},
			{
				Dst:     prefix("0.0.0.0/0"),
				Gateway: netip.MustParseAddr("198.51.100.254"),
				IfIndex: wlan,
				Metric:  600,
				Table:   hostnet.TableMain,
				Type:    "unicast",
			},
			{Dst: prefix("192.0.2.0/24"), IfIndex: eth, Table: hostnet.TableMain, Type: "unicast"},
			{Dst: prefix("198.51.100.0/24"), IfIndex: wlan, Table: hostnet.TableMain, Type: "unicast"},
			{Dst: prefix("192.0.2.2/32"), IfIndex: eth, Table: hostnet.TableLocal, Type: "local"},
		},
	}
}

func lookups() []Lookup {
	dst := server.Addr()
	return []Lookup{
		{
			Request: hostnet.LookupRequest{Dst: dst, Src: wlanIP},
			Route:   hostnet.Route{IfIndex: eth, Gateway: netip.MustParseAddr("192.0.2.254"), Type: "unicast"},
		},
		{
			Request: hostnet.LookupRequest{Dst: dst, Src: wlanIP, OIF: wlan},
			Route:   hostnet.Route{IfIndex: wlan, Gateway: netip.MustParseAddr("198.51.100.254"), Type: "unicast"},
		},
	}
}

func initialSubflow() mptcp.Subflow {
	return mptcp.Subflow{
		Local: netip.AddrPortFrom(
			ethIP,
			40000,
		), Remote: server, Initial: true, State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished,
		Device: "eth0", FullyEstablished: true, RTTMicros: 20000, Share: 0.5, LastAckMS: 10,
	}
}

func join() mptcp.Subflow {
	return mptcp.Subflow{
		Local: netip.AddrPortFrom(
			wlanIP,
			41000,
		), Remote: server, LocalID: 1, State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished,
		Device:           "wlan0",
		Bound:            true,
		IfIndex:          wlan,
		FullyEstablished: true,
		RTTMicros:        40000,
		Share:            0.5,
		LastAckMS:        10,
	}
}

// healthy is a client with two links and a connection that uses both.
func healthy(t testing.TB) *Facts {
	yes, none := true, 0
	return &Facts{
		Time:    now,
		Kernel:  Kernel{Release: "6.18.4", SocketTried: true, Events: &yes},
		Sysctls: sysctls(t, nil),
		IPv4:    map[string]counters.IPv4Conf{"all": {}, "eth0": {RPFilter: 2}, "wlan0": {RPFilter: 2}},
		MPTCP: Counted{
			Now: counters.FromMap(
				map[string]uint64{
					"MPCapableSYNTX":          10,
					"MPCapableSYNACKRX":       10,
					"MPJoinSynTx":             10,
					"MPJoinSynAckRx":          10,
					"MPJoinRejected":          3,
					"AddAddr":                 0,
					"Blackhole":               1,
					"MPCapableFallbackSYNACK": 4,
				},
			),
			Moved:  counters.FromMap(map[string]uint64{"MPCapableSYNTX": 1, "MPJoinSynTx": 1}),
			Window: time.Second,
		},
		TCP: Counted{
			Now:    counters.FromMap(map[string]uint64{"IPReversePathFilter": 7}),
			Moved:  counters.FromMap(nil),
			Window: time.Second,
		},
		Limits:      &mptcp.Limits{Subflows: 2},
		Endpoints:   []mptcp.Endpoint{{ID: 1, Address: wlanIP, Flags: mptcp.FlagSubflow, IfIndex: wlan}},
		Subscribers: &none,
		Connections: []mptcp.Connection{{
			Token:     1,
			Side:      mptcp.SideClient,
			State:     mptcp.StateEstablished,
			Local:     netip.AddrPortFrom(ethIP, 40000),
			Remote:    server,
			BytesSent: 1 << 22, BytesReceived: 1 << 22, Subflows: []mptcp.Subflow{initialSubflow(), join()},
			Limits: mptcp.ConnectionLimits{Subflows: 1, SubflowsMax: 2, LocalAddrUsed: 1, LocalAddrMax: 1},
		}},
		Listeners: []Listener{},
		PlainListeners: []Listener{
			{
				Local:     netip.MustParseAddrPort("0.0.0.0:22"),
				Inode:     5,
				Processes: []mptcp.Process{{PID: 1, Name: "sshd"}},
			},
		},
		PlainFlows: []Flow{
			{
				Local:  netip.MustParseAddrPort("192.0.2.2:22"),
				Remote: netip.MustParseAddrPort("192.0.2.9:5000"),
				State:  mptcp.StateEstablished,
			},
		},
		Network:  network(),
		Lookups:  lookups(),
		IPRoute2: "6.19.0",
	}
}

// alone leaves the connection with its initial subflow.
func alone(f *Facts) {
	c := &f.Connections[0]
	c.Subflows = c.Subflows[:1]
	c.Limits.Subflows = 0
}

// untried leaves the connection with its initial subflow, and its endpoints unused.
func untried(f *Facts) {
	alone(f)
	f.Connections[0].Limits.LocalAddrUsed = 0
}

// accepted makes a server of the host.
func accepted(f *Facts) {
	f.Endpoints = nil
	f.Listeners = []Listener{{Local: netip.MustParseAddrPort("[::]:443"), Inode: 9}}
	c := &f.Connections[0]
	c.Side, c.Local, c.Remote = mptcp.SideServer, netip.AddrPortFrom(
		ethIP,
		443,
	), netip.MustParseAddrPort(
		"203.0.113.1:50000",
	)
	for i := range c.Subflows {
		s := &c.Subflows[i]
		s.Local, s.Remote = netip.AddrPortFrom(s.Local.Addr(), 443), c.Remote
	}
}

func setCounters(c *Counted, now, moved map[string]uint64) {
	c.Now, c.Moved = counters.FromMap(now), counters.FromMap(moved)
}

func event(typ mptcp.EventType, after time.Duration) mptcp.Event {
	return mptcp.Event{
		Type:        typ,
		Token:       1,
		Time:        now.Add(-500*time.Millisecond + after),
		Source:      wlanIP,
		Sport:       41000,
		Destination: server.Addr(),
		Dport:       443,
		LocalID:     1,
		Fields:      mptcp.FieldToken | mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport | mptcp.FieldLocalID | mptcp.FieldRemoteID,
	}
}

// announcement is the event of an address that the peer announced.
func announcement() mptcp.Event {
	ev := event(mptcp.EventAnnounced, 0)
	ev.RemoteID, ev.Destination = 4, netip.MustParseAddr("203.0.113.77")
	return ev
}

func created() mptcp.Event {
	ev := event(mptcp.EventCreated, 0)
	ev.Source, ev.LocalID = ethIP, 0
	return ev
}

func closedWith(errno mptcp.Errno, after time.Duration) mptcp.Event {
	ev := event(mptcp.EventSubflowClosed, after)
	ev.Error = errno
	ev.Fields |= mptcp.FieldError
	return ev
}

func listening(f *Facts, events ...mptcp.Event) {
	f.EventsSince = now.Add(-time.Minute)
	f.Events = events
}

func fellBack(f *Facts, counter string) {
	f.Endpoints = nil
	c := &f.Connections[0]
	c.Fallback = true
	c.Subflows = c.Subflows[:1]
	setCounters(&f.MPTCP, map[string]uint64{counter: 1}, nil)
}

func unbind(f *Facts) { f.Endpoints[0].IfIndex = 0 }

func pend(f *Facts) *mptcp.Subflow {
	s := &f.Connections[0].Subflows[1]
	s.State, s.TCP, s.Lost, s.FullyEstablished = mptcp.SubflowPending, mptcp.StateSynSent, 1, false
	return s
}

func errnoSocket(e syscall.Errno) func(*Facts) {
	return func(f *Facts) { f.Kernel.SocketError = e }
}

func ids(r Report) string {
	var list []string
	for _, f := range r.Findings {
		list = append(list, string(f.Rule)+"/"+f.Severity.String()+"/"+f.Confidence.String())
	}
	return strings.Join(list, " ")
}
