package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor/rule"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

func routeCases() []ruleCase {
	free := func(f *Facts) *Lookup { return &f.Lookups[0] }
	bound := func(f *Facts) *Lookup { return &f.Lookups[1] }
	strict := func(f *Facts) { f.IPv4["wlan0"] = counters.IPv4Conf{RPFilter: 1} }
	return []ruleCase{
		{
			"D27", "", Warn, track.Certain,
			plainly(func(f *Facts) { alone(f); unbind(f) }),
			plainly(func(f *Facts) { alone(f); unbind(f); free(f).Route.IfIndex = wlan }),
		},
		{
			"D28", "phantom", Fail, track.Certain,
			plainly(func(f *Facts) {
				alone(f)
				bound(f).Route.Gateway = netip.Addr{}
				f.Network.Routes = f.Network.Routes[:1]
			}),
			plainly(func(f *Facts) {
				alone(f)
				bound(f).Route.Gateway = netip.Addr{}
				f.Network.Routes = append(
					f.Network.Routes[:1],
					hostnet.Route{
						Dst:     netip.MustParsePrefix("0.0.0.0/0"),
						IfIndex: wlan,
						Type:    "unicast",
						Table:   hostnet.TableMain,
					},
				)
			}),
		},
		{
			"D28", "unreachable", Fail, track.Certain,
			plainly(func(f *Facts) {
				alone(f)
				*bound(f) = Lookup{Request: bound(f).Request, Error: "network is unreachable"}
			}),
			plainly(func(f *Facts) { *bound(f) = Lookup{Request: bound(f).Request, Error: "network is unreachable"} }),
		},
		{
			"D28", "tunnel", Fail, track.Certain,
			plainly(func(f *Facts) { alone(f); bound(f).Route.Gateway = netip.Addr{} }),
			plainly(func(f *Facts) {
				alone(f)
				bound(f).Route.Gateway = netip.Addr{}
				f.Network.Links[2].Tunnel, f.Network.Links[2].Type = true, "none"
			}),
		},
		{
			"D29", "", Fail, track.Likely,
			plainly(func(f *Facts) { alone(f); strict(f) }),
			plainly(func(f *Facts) { alone(f); strict(f); free(f).Route.IfIndex = wlan }),
		},
		{
			"D29", "loose by all", Fail, track.Likely,
			plainly(func(f *Facts) { alone(f); strict(f) }),
			plainly(func(f *Facts) { alone(f); strict(f); f.IPv4["all"] = counters.IPv4Conf{RPFilter: 2} }),
		},
		{
			"D29", "server", Info, track.Possible,
			plainly(func(f *Facts) {
				accepted(f)
				f.IPv4["all"] = counters.IPv4Conf{RPFilter: 1}
				f.IPv4["eth0"], f.IPv4["wlan0"] = counters.IPv4Conf{}, counters.IPv4Conf{}
				setCounters(&f.TCP, nil, map[string]uint64{"IPReversePathFilter": 3})
			}),
			plainly(
				func(f *Facts) { accepted(f); setCounters(&f.TCP, nil, map[string]uint64{"IPReversePathFilter": 3}) },
			),
		},
		{
			"D30", "", Warn, track.Likely,
			plainly(
				func(f *Facts) { alone(f); unbind(f); f.Network.Addresses[1].Prefix = f.Network.Addresses[2].Prefix },
			),
			plainly(func(f *Facts) { f.Network.Addresses[1].Prefix = f.Network.Addresses[2].Prefix }),
		},
		{
			"D27", "hash", Warn, track.Possible,
			plainly(func(f *Facts) { alone(f); unbind(f); hashed(f, true) }),
			plainly(func(f *Facts) { alone(f); unbind(f); hashed(f, false) }),
		},
		{
			"D31", "", Warn, track.Certain,
			plainly(func(f *Facts) {
				alone(f)
				unbind(f)
				f.Network.Links = append(
					f.Network.Links,
					hostnet.Link{Index: 9, Name: "wg0", Kind: "wireguard", Up: true, Carrier: true, Tunnel: true},
				)
				free(f).Route.IfIndex = 9
			}),
			plainly(func(f *Facts) {
				f.Network.Links = append(
					f.Network.Links,
					hostnet.Link{Index: 9, Name: "wg0", Kind: "wireguard", Up: true, Carrier: true, Tunnel: true},
				)
				free(f).Route.IfIndex = 9
			}),
		},
	}
}

// hashed makes the route to the peer one with two next hops, of which a hash of ports
// chooses, or one of addresses, whose choice the lookup tells.
func hashed(f *Facts, ports bool) {
	for i := range f.Lookups {
		f.Lookups[i].Route.Table = hostnet.TableMain
		for _, a := range f.Network.Addresses {
			if a.Addr == f.Lookups[i].Request.Src {
				f.Lookups[i].Route.IfIndex = a.IfIndex
			}
		}
	}
	f.Network.HashesPorts4 = ports
	f.Network.Routes = append(f.Network.Routes, hostnet.Route{
		Dst: netip.PrefixFrom(server.Addr(), 32), Table: hostnet.TableMain, Type: "unicast",
		NextHops: []hostnet.NextHop{{IfIndex: f.Network.Links[1].Index}, {IfIndex: f.Network.Links[2].Index}},
	})
}

func joinCases() []ruleCase {
	closed := func(f *Facts, events ...mptcp.Event) {
		alone(f)
		listening(f, append([]mptcp.Event{created()}, events...)...)
	}
	up := func() mptcp.Event { return event(mptcp.EventSubflowEstablished, 0) }
	withReason := func(r mptcp.ResetReason) mptcp.Event {
		ev := closedWith(104, time.Minute)
		ev.ResetReason = r
		ev.Fields |= mptcp.FieldResetReason
		return ev
	}
	announced := func() mptcp.Event {
		ev := event(mptcp.EventAnnounced, 0)
		ev.Destination = netip.MustParseAddr("203.0.113.2")
		return ev
	}
	toAnnounced := func() mptcp.Event {
		ev := closedWith(111, time.Millisecond)
		ev.Destination, ev.RemoteID = netip.MustParseAddr("203.0.113.2"), 2
		return ev
	}
	denied := func() mptcp.Event {
		ev := created()
		ev.Flags = mptcp.EventFlagDenyJoinID0
		ev.Fields |= mptcp.FieldFlags
		return ev
	}
	return []ruleCase{
		{
			"D08", "client", Fail, track.Certain,
			plainly(func(f *Facts) {
				closed(f, closedWith(111, 0))
				f.Probes = []Probe{{Local: netip.AddrPortFrom(ethIP, 1), Remote: server, Error: 111}}
			}),
			plainly(func(f *Facts) {
				closed(f, closedWith(111, 0))
				f.Probes = []Probe{{Local: netip.AddrPortFrom(ethIP, 1), Remote: server}}
			}),
		},
		{
			"D09", "client", Fail, track.Likely,
			plainly(func(f *Facts) {
				f.Limits.AddAddrAccepted = 2
				alone(f)
				f.Connections[0].Limits.LocalAddrUsed = 0
				listening(f, created(), announced(), toAnnounced())
			}),
			plainly(func(f *Facts) { f.Limits.AddAddrAccepted = 2; listening(f, created(), announced()) }),
		},
		{
			"D10", "server", Info, track.Likely,
			plainly(func(f *Facts) {
				accepted(f)
				ev := closedWith(111, 0)
				listening(f, created(), event(mptcp.EventAnnounced, 0), ev)
			}),
			plainly(func(f *Facts) { accepted(f); listening(f, created(), closedWith(111, 0)) }),
		},
		{
			"D16", "", Fail, track.Likely,
			plainly(func(f *Facts) { closed(f, up(), event(mptcp.EventSubflowClosed, time.Millisecond)) }),
			plainly(func(f *Facts) { closed(f, up(), event(mptcp.EventSubflowClosed, time.Minute)) }),
		},
		{
			"D16", "reason", Fail, track.Certain,
			plainly(func(f *Facts) { closed(f, withReason(mptcp.ResetProhibited)) }),
			plainly(func(f *Facts) { closed(f, withReason(mptcp.ResetUnspecified)) }),
		},
		{
			"D25", "", Warn, track.Certain,
			plainly(func(f *Facts) { alone(f); f.Connections[0].Limits.LocalAddrUsed = 0; listening(f, denied()) }),
			plainly(func(f *Facts) { listening(f, denied()) }),
		},
		{
			"D32", "", Info, track.Possible,
			plainly(func(f *Facts) {
				pend(f)
				f.Network.Rules = []hostnet.Rule{
					{UIDs: &hostnet.UIDRange{First: 1000, Last: 1000}, Table: 100, Priority: 10},
				}
				f.Events = nil
				f.Endpoints[0].ID = 1
				f.Connections[0].UID = 1000
				f.Connections[0].Subflows[1].Remote = netip.MustParseAddrPort("203.0.113.1:443")
			}),
			plainly(func(f *Facts) {
				pend(f)
				f.Connections[0].UID = 1000
				// One by mark applies to joins, one by user to other users.
				f.Network.Rules = []hostnet.Rule{
					{Mark: 5, Table: 100, Priority: 10},
					{UIDs: &hostnet.UIDRange{First: 1, Last: 999}, Table: 100, Priority: 11},
				}
			}),
		},
		{
			"D35", "hanging", Fail, track.Likely,
			plainly(func(f *Facts) { pend(f) }),
			plainly(func(f *Facts) { pend(f).Lost = 0 }),
		},
		{
			"D35", "timed out", Fail, track.Likely,
			plainly(func(f *Facts) { closed(f, closedWith(110, 0)) }),
			plainly(
				func(f *Facts) { closed(f, closedWith(110, 0), event(mptcp.EventSubflowEstablished, time.Second)) },
			),
		},
		{
			"D36", "reset", Fail, track.Likely,
			plainly(func(f *Facts) { closed(f, closedWith(111, 0)) }),
			plainly(func(f *Facts) { listening(f, created(), closedWith(111, 0)) }), // another attempt came up
		},
		{
			"D36", "unreachable", Fail, track.Likely,
			plainly(func(f *Facts) { closed(f, closedWith(113, 0)) }),
			plainly(func(f *Facts) { closed(f, closedWith(113, 0)); f.Endpoints = nil }),
		},
		{
			"D37", "", Fail, track.Likely,
			plainly(func(f *Facts) { closed(f, event(mptcp.EventSubflowClosed, 0)) }),
			plainly(func(f *Facts) {
				closed(f, event(mptcp.EventSubflowClosed, 0))
				f.EarlierThan = []mptcp.Token{1} // it may have been up before
			}),
		},
		{
			"D38", "reset", Fail, track.Certain,
			plainly(func(f *Facts) { closed(f, up(), withReason(mptcp.ResetMiddlebox)) }),
			plainly(func(f *Facts) { closed(f, up(), withReason(mptcp.ResetUnspecified)) }),
		},
		{
			"D42", "event", Warn, track.Certain,
			plainly(func(f *Facts) { closed(f, up(), closedWith(110, time.Minute)) }),
			plainly(func(f *Facts) {
				listening(
					f,
					created(),
					up(),
					closedWith(110, time.Minute),
					event(mptcp.EventSubflowEstablished, 2*time.Minute),
				)
			}),
		},
		{
			"D42", "no events", Warn, track.Likely,
			plainly(alone),
			plainly(func(f *Facts) {
				alone(f)
				f.Connections[0].BytesReceived = 0
				f.Connections[0].Subflows[0].FullyEstablished = false
			}),
		},
		{
			"D42", "the limit was raised later", Warn, track.Likely,
			plainly(func(f *Facts) {
				untried(f)
				f.Connections[0].Since = now.Add(-time.Minute)
				setCounters(&f.MPTCP, map[string]uint64{"AddAddr": 0}, nil)
			}),
			plainly(func(f *Facts) { untried(f); f.Connections[0].Since = now }), // its worker has yet to run
		},
		{
			"D42", "the limit was raised before the listening began", Warn, track.Likely,
			plainly(func(f *Facts) {
				untried(f)
				setCounters(&f.MPTCP, map[string]uint64{"AddAddr": 0}, nil)
				f.EarlierThan, f.EventsSince = []mptcp.Token{f.Connections[0].Token}, now.Add(-250*time.Millisecond)
			}),
			plainly(func(f *Facts) {
				untried(f)
				f.EarlierThan, f.EventsSince = []mptcp.Token{f.Connections[0].Token}, now.Add(-50*time.Millisecond)
			}),
		},
	}
}

func fallbackCases() []ruleCase {
	orphan := func(f *Facts, counter string) {
		ev := mptcp.Event{
			Type:   mptcp.EventClosed,
			Token:  77,
			Fields: mptcp.FieldToken,
			Time:   now.Add(-time.Millisecond),
		}
		listening(f, ev)
		setCounters(&f.MPTCP, nil, map[string]uint64{counter: 1})
	}
	return []ruleCase{
		{
			"D05", "connection", Warn, track.Likely,
			plainly(func(f *Facts) { fellBack(f, "MPCapableFallbackSYNACK") }),
			plainly(func(f *Facts) { fellBack(f, "DssFallback") }),
		},
		{
			"D05", "orphan", Warn, track.Likely,
			plainly(func(f *Facts) { orphan(f, "MPCapableFallbackSYNACK") }),
			plainly(func(f *Facts) { orphan(f, "MPCapableFallbackSYNACK"); f.EarlierThan = []mptcp.Token{77} }),
		},
		{
			"D33", "connection", Warn, track.Certain,
			plainly(func(f *Facts) { fellBack(f, "MPCapableSYNTXDrop") }),
			plainly(
				func(f *Facts) { setCounters(&f.MPTCP, map[string]uint64{"MPCapableSYNTXDrop": 4, "Blackhole": 4}, nil) },
			),
		},
		{
			"D33", "later ones", Fail, track.Certain,
			plainly(func(f *Facts) { f.Blackholed = []Flow{{Remote: server}} }),
			plainly(func(f *Facts) { f.PlainFlows = append(f.PlainFlows, Flow{Remote: server}) }),
		},
		{
			"D34", "", Info, track.Possible,
			plainly(func(f *Facts) { orphan(f, "MPCapableSYNTX") }),
			plainly(func(f *Facts) { orphan(f, "MPCapableFallbackSYNACK") }),
		},
		{
			"D34", "probed", Fail, track.Certain,
			plainly(func(f *Facts) {
				orphan(f, "MPCapableSYNTX")
				f.Probes = []Probe{{Remote: server, MPTCP: true, Error: 111}, {Remote: server}}
			}),
			plainly(func(f *Facts) { f.Probes = []Probe{{Remote: server, MPTCP: true, Error: 111}, {Remote: server}} }),
		},
		{
			"D38", "one subflow", Warn, track.Certain,
			plainly(func(f *Facts) { fellBack(f, "DssFallback") }),
			plainly(func(f *Facts) { fellBack(f, "MPCapableFallbackSYNACK") }),
		},
		{
			"D38", "just now", Warn, track.Certain,
			plainly(func(f *Facts) { setCounters(&f.MPTCP, nil, map[string]uint64{"DssFallback": 1}) }),
			plainly(func(f *Facts) { setCounters(&f.MPTCP, map[string]uint64{"DssFallback": 9}, nil) }),
		},
		{
			"D39", "without checksums", Fail, track.Likely,
			plainly(func(f *Facts) { setCounters(&f.MPTCP, nil, map[string]uint64{"DSSCorruptionReset": 1}) }),
			plainly(func(f *Facts) {
				setCounters(&f.MPTCP, nil, map[string]uint64{"DSSCorruptionReset": 1, "DssReset": 1}) // it is D38
			}),
		},
		{
			"D39", "", Fail, track.Certain,
			plainly(func(f *Facts) { setCounters(&f.MPTCP, nil, map[string]uint64{"DataCsumErr": 1}) }),
			plainly(func(f *Facts) { setCounters(&f.MPTCP, map[string]uint64{"DataCsumErr": 1}, nil) }),
		},
	}
}

func pathCases() []ruleCase {
	second := func(f *Facts) *mptcp.Subflow { return &f.Connections[0].Subflows[1] }
	return []ruleCase{
		{
			"D40", "", Warn, track.Likely,
			plainly(func(f *Facts) {
				setCounters(&f.MPTCP, nil, map[string]uint64{"MPJoinNoTokenFound": 5, "MPJoinSynRx": 5})
			}),
			plainly(func(f *Facts) {
				setCounters(&f.MPTCP, nil, map[string]uint64{"MPJoinNoTokenFound": 5, "MPJoinSynRx": 50})
			}),
		},
		{
			"D40", "before", Info, track.Possible,
			plainly(
				func(f *Facts) { accepted(f); setCounters(&f.MPTCP, map[string]uint64{"MPJoinNoTokenFound": 1}, nil) },
			),
			plainly(func(f *Facts) {
				accepted(f)
				setCounters(&f.MPTCP, map[string]uint64{"MPJoinNoTokenFound": 1, "MPJoinSynRx": 9}, nil)
			}),
		},
		{
			"D43", "link", Fail, track.Certain,
			plainly(func(f *Facts) {
				f.Network.Links[2].Carrier = false
				f.Endpoints = nil
			}),
			plainly(func(f *Facts) {
				f.Network.Links[2].Carrier = false
				f.Endpoints = nil
				second(f).Bound = false // it may leave by another link
			}),
		},
		{
			"D43", "address", Fail, track.Certain,
			plainly(func(f *Facts) {
				f.Network.Addresses = f.Network.Addresses[:2]
				f.Endpoints = nil
			}),
			plainly(func(f *Facts) {
				f.Network.Addresses = f.Network.Addresses[:2]
				f.Endpoints = nil
				f.Network.Routes = nil // it may be local by a route
			}),
		},
		{
			"D43", "no answer", Fail, track.Likely,
			plainly(func(f *Facts) { second(f).Backoff, second(f).LastAckMS, second(f).Unacked = 6, 20000, 4 }),
			plainly(func(f *Facts) { second(f).LastAckMS = 3600000 }), // idle
		},
		{
			"D43", "behind a closed window", Fail, track.Likely,
			plainly(func(f *Facts) { second(f).Backoff, second(f).LastAckMS = 4, 20000 }),
			plainly(func(f *Facts) { second(f).Backoff, second(f).LastAckMS = 4, 3000 }), // probes are answered
		},
		{
			"D43", "one way", Warn, track.Likely,
			plainly(func(f *Facts) { second(f).Backoff, second(f).LastAckMS, second(f).Unacked = 3, 5, 10 }),
			plainly(func(f *Facts) { second(f).Backoff, second(f).LastAckMS = 7, 5 }), // the peer's window is closed
		},
		{
			"D43", "lossy", Warn, track.Likely,
			plainly(func(f *Facts) { second(f).Backoff, second(f).LastAckMS, second(f).Unacked = 2, 1500, 1 }),
			plainly(func(f *Facts) { second(f).Backoff, second(f).LastAckMS = 1, 400 }),
		},
		{
			"D47", "backup", Info, track.Likely,
			plainly(func(f *Facts) { second(f).BackupLocal, second(f).Share = true, 0 }),
			plainly(func(f *Facts) {
				second(f).BackupLocal, second(f).Share = true, 0
				f.Connections[0].BytesSent, f.Connections[0].BytesReceived = 100, 100 // too little to tell
			}),
		},
		{
			"D47", "stale", Warn, track.Likely,
			plainly(func(f *Facts) { second(f).State = mptcp.SubflowStale }),
			plainly(func(f *Facts) { second(f).Share = 0.02 }),
		},
		{
			"D47", "slow", Info, track.Likely,
			plainly(func(f *Facts) {
				s := second(f)
				s.Share, s.RTTMicros, s.RTTVarMicros, s.MinRTTMicros = 0, 900000, 20000, 800000
			}),
			plainly(func(f *Facts) {
				s := second(f)
				s.Share, s.RTTMicros, s.RTTVarMicros, s.MinRTTMicros = 0, 900000, 450000, 900000 // the first sample
			}),
		},
		{
			"D47", "slow for a moment", Info, track.Likely,
			plainly(func(f *Facts) {
				s := second(f)
				s.Share, s.RTTMicros, s.RTTVarMicros, s.MinRTTMicros = 0, 900000, 20000, 800000
			}),
			plainly(func(f *Facts) {
				s := second(f)
				s.Share, s.RTTMicros, s.RTTVarMicros, s.MinRTTMicros = 0, 900000, 20000, 30000
			}),
		},
		{
			"D46", "token", Warn, track.Certain,
			plainly(func(f *Facts) { fellBack(f, "MPFallbackTokenInit") }),
			plainly(func(f *Facts) { fellBack(f, "MPCapableFallbackSYNACK") }),
		},
		{
			"D12", "connection", Warn, track.Certain,
			plainly(func(f *Facts) { fellBack(f, "MD5SigFallback") }),
			plainly(func(f *Facts) { fellBack(f, "MPCapableFallbackSYNACK") }),
		},
	}
}

// Totals of the past, on a host that is well, are no finding.
func TestOldCountersAreNoTrouble(t *testing.T) {
	f := healthy(t)
	old := map[string]uint64{}
	for _, d := range counters.Descriptions() {
		old[d.Name] = 1000
	}
	setCounters(&f.MPTCP, old, nil)
	if r := Diagnose(*f); len(r.Findings) > 0 {
		t.Errorf("found %q", ids(r))
	}
}

// Joins carry the mark of the connection: routes are looked up with it. Where it is not
// known, and rules depend on it, nothing about routes is certain.
func TestRoutesOfMarkedConnections(t *testing.T) {
	noGateway := func(f *Facts) { // for packets without the mark
		f.Lookups[1].Route.Gateway = netip.Addr{}
	}
	f := healthy(t)
	noGateway(f)
	token := f.Connections[0].Token
	pend(f)
	f.Network.Rules = []hostnet.Rule{{Mark: 5, Table: 100, Priority: 10}}
	f.Marks = map[mptcp.Token]uint32{token: 5}
	for _, q := range f.LookupsWanted() {
		if q.Mark != 5 {
			t.Errorf("lookup %v without the mark", q)
		}
		answer := Lookup{
			Request: q,
			Route:   hostnet.Route{IfIndex: wlan, Gateway: netip.MustParseAddr("198.51.100.254"), Type: "unicast"},
		}
		f.Lookups = append(f.Lookups, answer)
	}
	if found := ids(Diagnose(*f)); strings.Contains(found, "D28") || strings.Contains(found, "D32") ||
		!strings.Contains(found, "D35") {
		t.Errorf("with the mark's route: %s", found)
	}
	f.Marks = nil
	report := Diagnose(*f)
	i := slices.IndexFunc(report.Findings, func(x Finding) bool { return x.Rule == rule.NoRoute })
	if i < 0 || report.Findings[i].Confidence != track.Likely ||
		!slices.Contains(report.Findings[i].Alternatives, rule.JoinUnanswered) {
		t.Errorf("with an unknown mark: %s", ids(report))
	}
	f.Marks = map[mptcp.Token]uint32{token: 0}
	report = Diagnose(*f)
	i = slices.IndexFunc(report.Findings, func(x Finding) bool { return x.Rule == rule.NoRoute })
	if i < 0 || report.Findings[i].Confidence != track.Certain {
		t.Errorf("without a mark: %s", ids(report))
	}
}

// A route to another host that ends here is told before a firewall is suspected.
func TestLocalRouteToAnotherHost(t *testing.T) {
	f := healthy(t)
	pend(f)
	f.Lookups[1].Route = hostnet.Route{IfIndex: 1, Type: "local"}
	if found := ids(Diagnose(*f)); !strings.Contains(found, "D28/fail/certain") {
		t.Errorf("found %s", found)
	}
}

// While the socket is in SYN-SENT no option is to blame, though the kernel has left MPTCP
// out of the last SYN and counted that.
func TestDeadPathIsNoBlackhole(t *testing.T) {
	for _, tt := range []struct {
		backoff uint8
		drops   uint64
		want    string
	}{
		{0, 0, ""}, {2, 0, "D43/warn/likely"}, {2, 1, "D43/fail/likely"},
	} {
		f := healthy(t)
		c := &f.Connections[0]
		c.State, c.Subflows = mptcp.StateSynSent, c.Subflows[:1]
		s := &c.Subflows[0]
		s.TCP, s.State, s.Backoff, s.FullyEstablished = mptcp.StateSynSent, mptcp.SubflowPending, tt.backoff, false
		f.Endpoints = nil
		setCounters(
			&f.MPTCP,
			map[string]uint64{"MPCapableSYNTXDrop": tt.drops},
			map[string]uint64{"MPCapableSYNTXDrop": tt.drops},
		)
		if found := ids(Diagnose(*f)); found != tt.want {
			t.Errorf("%+v: %q", tt, found)
		}
	}
}

// A backup is taken back where it was asked for, by a command that can be typed.
func TestFixOfBackup(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*mptcp.Subflow)
		want   string
	}{
		"here": {func(s *mptcp.Subflow) { s.BackupLocal = true }, "mptcpctl endpoint change id 2 nobackup " +
			"fullmesh   (if it should carry data)"},
		"by the peer": {func(s *mptcp.Subflow) { s.BackupRemote = true }, "on the peer: mptcpctl endpoint change " +
			"203.0.113.1 nobackup   (if it should carry data)"},
		"stale": {func(s *mptcp.Subflow) { s.State = mptcp.SubflowStale }, "traceroute -n -s 198.51.100.2 " +
			"203.0.113.1   (shows where the path ends)"},
		"slow": {func(*mptcp.Subflow) {}, "nothing is wrong: the kernel prefers the faster subflow while that has " +
			"room"},
	} {
		f := healthy(t)
		f.Endpoints[0].ID = 2
		f.Endpoints[0].Flags |= mptcp.FlagBackup | mptcp.FlagFullmesh
		s := mptcp.Subflow{
			Local: netip.AddrPortFrom(
				f.Endpoints[0].Address,
				1,
			), Remote: netip.MustParseAddrPort("203.0.113.1:443"), State: mptcp.SubflowEstablished,
		}
		tt.change(&s)
		if fix := newView(f).carryAgain(&s); len(fix) != 1 || fix[0] != tt.want {
			t.Errorf("%s: %q, want %q", name, fix, tt.want)
		}
	}
}

// Two links without a default route are advised routes that can both be added, by the
// gateway that other routes of the link name.
func TestDefaultRoutesFitTogether(t *testing.T) {
	f := healthy(t)
	f.Network.Routes = append(
		f.Network.Routes,
		hostnet.Route{
			Dst:     netip.MustParsePrefix("10.8.0.0/16"),
			Gateway: netip.MustParseAddr("198.51.100.9"),
			IfIndex: wlan,
			Type:    "unicast",
		},
		hostnet.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), IfIndex: eth, Type: "unicast", Metric: 1000 + eth},
	)
	v := newView(f)
	first := v.defaultRoute(v.links[eth], server.Addr())
	second := v.defaultRoute(v.links[wlan], server.Addr())
	if _, metric, _ := strings.Cut(first, "metric "); strings.HasSuffix(second, metric) ||
		metric == fmt.Sprint(1000+eth) {
		t.Errorf("%s\n%s", first, second)
	}
	if !strings.Contains(second, "default via ") || strings.Contains(second, "GATEWAY") {
		t.Errorf("the gateway is known: %s", second)
	}
	if six := v.defaultRoute(v.links[wlan], netip.MustParseAddr("2001:db8::1")); !strings.HasPrefix(
		six,
		"give wlan0 a default route through its router",
	) {
		t.Errorf("for IPv6: %s", six)
	}
}
