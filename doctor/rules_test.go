package doctor

import (
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor/rule"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// ruleCase is a rule with facts that lead to it, and facts that are near and must
// not.
type ruleCase struct {
	rule     rule.ID
	name     string
	severity Severity
	sure     track.Confidence
	trigger  func(t *testing.T, f *Facts)
	miss     func(t *testing.T, f *Facts)
}

func plainly(change func(*Facts)) func(*testing.T, *Facts) {
	return func(_ *testing.T, f *Facts) { change(f) }
}

func ruleCases() []ruleCase {
	return slices.Concat(
		hostCases(),
		applicationCases(),
		limitCases(),
		endpointCases(),
		routeCases(),
		joinCases(),
		fallbackCases(),
		pathCases(),
	)
}

func hostCases() []ruleCase {
	return []ruleCase{
		{
			"D01",
			"",
			Fail,
			track.Certain,
			plainly(errnoSocket(syscall.EPROTONOSUPPORT)),
			plainly(errnoSocket(syscall.EMFILE)),
		},
		{
			"D02",
			"refused",
			Fail,
			track.Certain,
			plainly(errnoSocket(syscall.ENOPROTOOPT)),
			plainly(errnoSocket(syscall.EINVAL)),
		},
		{
			"D02", "sysctl", Fail, track.Certain,
			func(t *testing.T, f *Facts) { f.Sysctls = sysctls(t, map[string]string{"enabled": "0"}) },
			func(_ *testing.T, f *Facts) { f.Sysctls = counters.Sysctls{} },
		},
		{
			"D03", "", Warn, track.Certain,
			plainly(func(f *Facts) { f.Kernel.Events = new(bool); f.Kernel.Release = "5.10" }),
			plainly(func(f *Facts) { f.Kernel.Events = nil }),
		},
		{
			"D04",
			"",
			Fail,
			track.Certain,
			plainly(errnoSocket(syscall.EACCES)),
			plainly(errnoSocket(syscall.ENOPROTOOPT)),
		},
		{
			"D13", "nobody listens", Fail, track.Certain,
			func(t *testing.T, f *Facts) { f.Sysctls = sysctls(t, map[string]string{"path_manager": "userspace"}) },
			func(t *testing.T, f *Facts) {
				f.Sysctls = sysctls(t, map[string]string{"path_manager": "userspace"})
				f.Subscribers = new(1)
			},
		},
		{
			"D13", "unknown listeners", Fail, track.Likely,
			func(t *testing.T, f *Facts) {
				f.Sysctls = sysctls(t, map[string]string{"path_manager": "userspace"})
				f.Subscribers = nil
			},
			func(t *testing.T, f *Facts) {
				f.Sysctls = sysctls(t, map[string]string{"path_manager": "userspace"})
				f.Subscribers = nil
				f.Managers = []mptcp.Process{{PID: 3, Name: "mptcpd"}}
			},
		},
		{
			"D13", "a daemon, maybe here", Fail, track.Certain,
			func(t *testing.T, f *Facts) { f.Sysctls = sysctls(t, map[string]string{"path_manager": "userspace"}) },
			func(t *testing.T, f *Facts) {
				f.Sysctls = sysctls(t, map[string]string{"path_manager": "userspace"})
				f.MaybeManagers = []mptcp.Process{{PID: 3, Name: "mptcpd"}}
			},
		},
		{
			"D26", "not known to be here", Warn, track.Likely,
			plainly(func(f *Facts) {
				f.Managers = []mptcp.Process{{PID: 3, Name: "mptcpd"}, {PID: 4, Name: "NetworkManager"}}
			}),
			plainly(func(f *Facts) {
				f.MaybeManagers = []mptcp.Process{{PID: 3, Name: "mptcpd"}, {PID: 4, Name: "NetworkManager"}}
			}),
		},
		{
			"D26", "", Warn, track.Likely,
			plainly(func(f *Facts) {
				f.Managers = []mptcp.Process{{PID: 3, Name: "mptcpd"}, {PID: 4, Name: "NetworkManager"}}
			}),
			plainly(func(f *Facts) { f.Managers = []mptcp.Process{{PID: 4, Name: "NetworkManager"}} }),
		},
		{
			"D46", "by TCP", Info, track.Likely,
			plainly(func(f *Facts) { setCounters(&f.TCP, nil, map[string]uint64{"TCPRcvQDrop": 1}) }),
			plainly(func(f *Facts) {
				setCounters(&f.TCP, nil, map[string]uint64{"TCPRcvQDrop": 1})
				f.Connections = nil
			}),
		},
		{
			"D46", "", Warn, track.Likely,
			plainly(func(f *Facts) { setCounters(&f.MPTCP, nil, map[string]uint64{"BacklogDrop": 1}) }),
			plainly(func(f *Facts) { setCounters(&f.MPTCP, map[string]uint64{"BacklogDrop": 100}, nil) }),
		},
		{
			"D48", "connections", Warn, track.Likely,
			plainly(func(f *Facts) { unusedHost(f, Namespace{Name: "blue", Connections: 4, Single: 4, Behind: true}) }),
			plainly(func(f *Facts) {
				f.Elsewhere = []Namespace{{Name: "blue", Connections: 4, Single: 4, Behind: true}}
			}),
		},
		{
			"D48", "endpoints", Warn, track.Likely,
			plainly(func(f *Facts) {
				alone(f)
				f.Endpoints = nil
				f.Elsewhere = []Namespace{{Name: "1", Hint: "systemd", Endpoints: 2, Makers: 2, Ahead: true}}
			}),
			plainly(func(f *Facts) {
				alone(f)
				f.Endpoints = nil
				f.Elsewhere = []Namespace{{Name: "1", Endpoints: 2, Makers: 2, Ahead: true, Used: true}}
			}),
		},
		{
			"D48", "of NetworkManager", Info, track.Likely,
			plainly(func(f *Facts) {
				unusedHost(f, Namespace{Name: "blue", Connections: 4, Single: 4, Behind: true})
				f.Managers = []mptcp.Process{{PID: 9, Name: "NetworkManager"}}
			}),
			plainly(func(f *Facts) { f.Managers = []mptcp.Process{{PID: 9, Name: "NetworkManager"}} }),
		},
		{
			"D48", "nothing here", Info, track.Certain,
			plainly(func(f *Facts) {
				unusedHost(f, Namespace{Name: "blue", Connections: 4, Single: 4})
			}),
			plainly(func(f *Facts) { unusedHost(f, Namespace{Name: "blue", Listeners: 3, Endpoints: 1}) }),
		},
		{
			"D49", "", Warn, track.Certain,
			plainly(func(f *Facts) { listening(f); f.EventsLost = 3 }),
			plainly(func(f *Facts) { listening(f) }),
		},
		{
			"D50", "", Info, track.Certain,
			plainly(func(f *Facts) { f.IPRoute2 = "6.1.0" }),
			plainly(func(f *Facts) { f.IPRoute2, f.Kernel.Release = "6.1.0", "6.1.99" }),
		},
		{
			"D50", "flags", Info, track.Certain,
			plainly(func(f *Facts) { f.IPRoute2 = "6.15.0" }),
			plainly(func(f *Facts) { f.IPRoute2 = "" }),
		},
	}
}

func applicationCases() []ruleCase {
	flows := []Flow{
		{
			Local:     netip.MustParseAddrPort("192.0.2.2:5000"),
			Remote:    server,
			Processes: []mptcp.Process{{PID: 9, Name: "curl"}},
		},
	}
	return []ruleCase{
		{
			"D06", "asked for", Warn, track.Certain,
			plainly(func(f *Facts) { f.Connections, f.PlainFlows, f.Focus = nil, flows, "dport = :443" }),
			plainly(func(f *Facts) { f.PlainFlows, f.Focus = flows, "dport = :443" }),
		},
		{
			"D06", "", Info, track.Certain,
			plainly(func(f *Facts) { f.Connections, f.PlainFlows = nil, flows }),
			plainly(func(f *Facts) { f.Connections, f.PlainFlows, f.Endpoints = nil, flows, nil }),
		},
		{
			"D07", "", Warn, track.Certain,
			plainly(func(f *Facts) {
				fellBack(f, "MPCapableFallbackSYNACK")
				f.Connections[0].Remote = netip.MustParseAddrPort("127.0.0.1:22")
			}),
			plainly(func(f *Facts) { fellBack(f, "MPCapableFallbackSYNACK") }),
		},
		{
			"D08", "server", Info, track.Certain,
			plainly(func(f *Facts) { accepted(f); f.Listeners = []Listener{} }),
			plainly(accepted),
		},
		{
			"D11", "", Info, track.Certain,
			plainly(func(f *Facts) {
				alone(f)
				c := &f.Connections[0]
				c.BytesSent, c.BytesReceived, c.Subflows[0].FullyEstablished = 0, 0, false
			}),
			plainly(func(f *Facts) { f.Connections[0].BytesSent, f.Connections[0].BytesReceived = 0, 0 }),
		},
		{
			"D12", "", Warn, track.Certain,
			plainly(func(f *Facts) { setCounters(&f.MPTCP, nil, map[string]uint64{"MD5SigFallback": 1}) }),
			plainly(func(f *Facts) { setCounters(&f.MPTCP, map[string]uint64{"MD5SigFallback": 1}, nil) }),
		},
		{
			"D51", "", Info, track.Likely,
			plainly(func(f *Facts) { f.Connections[0].Checksum = true }),
			func(t *testing.T, f *Facts) {
				f.Connections[0].Checksum = true
				f.Sysctls = sysctls(t, map[string]string{"checksum_enabled": "1"})
			},
		},
	}
}

func limitCases() []ruleCase {
	rejected := map[string]uint64{"MPJoinRejected": 2}
	return []ruleCase{
		{
			"D15", "zero", Fail, track.Certain,
			plainly(func(f *Facts) { untried(f); f.Limits.Subflows = 0; f.Connections[0].Limits.SubflowsMax = 0 }),
			plainly(func(f *Facts) { f.Limits.Subflows = 1; f.Connections[0].Limits.SubflowsMax = 1 }),
		},
		{
			"D15", "reached", Warn, track.Certain,
			plainly(
				func(f *Facts) { thirdEndpoint(f, 4); f.Connections[0].Limits.SubflowsMax = 1; f.Limits.Subflows = 1 },
			),
			plainly(func(f *Facts) {
				thirdEndpoint(f, wlan) // adds no path
				f.Connections[0].Limits.SubflowsMax = 1
				f.Limits.Subflows = 1
			}),
		},
		{
			"D15", "no connection", Warn, track.Certain,
			plainly(func(f *Facts) { f.Connections = nil; f.PlainFlows = nil; f.Limits.Subflows = 0 }),
			plainly(
				func(f *Facts) { f.Connections = nil; f.PlainFlows = nil; f.Limits.Subflows = 0; f.Endpoints = nil },
			),
		},
		{
			"D15", "server", Fail, track.Likely,
			plainly(func(f *Facts) {
				accepted(f)
				setCounters(&f.MPTCP, rejected, rejected)
				f.Connections[0].Limits.Subflows = 2
			}),
			plainly(func(f *Facts) { accepted(f); setCounters(&f.MPTCP, rejected, rejected) }),
		},
		{
			"D15", "server, of a connection that has limits", Fail, track.Likely,
			plainly(func(f *Facts) {
				accepted(f)
				setCounters(&f.MPTCP, rejected, rejected)
				f.Connections[0].Limits.SubflowsMax, f.Connections[0].Limits.Subflows = 1, 1
			}),
			plainly(func(f *Facts) { // born under a userspace path manager, it has none
				accepted(f)
				setCounters(&f.MPTCP, rejected, rejected)
				f.Connections[0].PathManager, f.Connections[0].Limits = "userspace", mptcp.ConnectionLimits{}
			}),
		},
		{
			"D17", "event", Warn, track.Certain,
			plainly(func(f *Facts) { listening(f, created(), announcement()) }),
			plainly(func(f *Facts) {
				listening(f, created(), announcement())
				f.Limits.AddAddrAccepted, f.Connections[0].Limits.AddAddrAcceptedMax = 1, 1
			}),
		},
		{
			"D17", "counter", Warn, track.Likely,
			plainly(func(f *Facts) {
				alone(f)
				f.Endpoints = nil
				f.Connections[0].Limits.LocalAddrUsed, f.Connections[0].Limits.LocalAddrMax = 0, 0
				setCounters(&f.MPTCP, map[string]uint64{"AddAddr": 1}, nil)
			}),
			plainly(func(f *Facts) { setCounters(&f.MPTCP, map[string]uint64{"AddAddr": 1, "MPJoinSynTx": 1}, nil) }),
		},
		{
			"D18", "", Warn, track.Certain,
			plainly(func(f *Facts) {
				thirdEndpoint(f, 4)
				pend(f)
				f.Connections[0].Limits.SubflowsMax = 1
			}),
			plainly(func(f *Facts) {
				thirdEndpoint(f, 4)
				pend(f).Lost = 0 // only just sent
				f.Connections[0].Limits.SubflowsMax = 1
			}),
		},
		{
			"D24", "", Info, track.Certain,
			plainly(func(f *Facts) { manyEndpoints(f, 8) }),
			plainly(func(f *Facts) { manyEndpoints(f, 8); f.Kernel.Release = "7.2.0" }),
		},
		{
			"D45", "full queue", Warn, track.Certain,
			plainly(func(f *Facts) {
				accepted(f)
				f.Listeners[0].Waiting, f.Listeners[0].MostWaiting = 129, 128
				setCounters(&f.TCP, nil, map[string]uint64{"ListenOverflows": 1})
			}),
			plainly(func(f *Facts) { // another listener's
				accepted(f)
				f.Listeners[0].Waiting, f.Listeners[0].MostWaiting = 3, 128
				setCounters(&f.TCP, nil, map[string]uint64{"ListenOverflows": 1})
			}),
		},
		{
			"D45", "not the limit", Warn, track.Likely,
			plainly(func(f *Facts) {
				accepted(f)
				setCounters(&f.MPTCP, rejected, rejected)
				setCounters(&f.TCP, nil, map[string]uint64{"SyncookiesSent": 5})
			}),
			plainly(func(f *Facts) {
				accepted(f)
				f.Connections[0].Limits.SubflowsMax = 1
				setCounters(&f.MPTCP, rejected, rejected)
				setCounters(&f.TCP, nil, map[string]uint64{"SyncookiesSent": 5})
			}),
		},
		{
			"D45", "", Warn, track.Likely,
			plainly(func(f *Facts) {
				accepted(f)
				setCounters(&f.MPTCP, rejected, rejected)
				setCounters(&f.TCP, nil, map[string]uint64{"SyncookiesSent": 5})
			}),
			plainly(func(f *Facts) { setCounters(&f.TCP, nil, map[string]uint64{"SyncookiesSent": 5}) }),
		},
	}
}

// thirdEndpoint adds an endpoint on a further address of the link; link 4 is a new
// one.
func thirdEndpoint(f *Facts, link int) {
	addr := netip.MustParseAddr("198.51.100.3")
	if link == 4 {
		addr = netip.MustParseAddr("10.9.0.2")
		f.Network.Links = append(
			f.Network.Links,
			hostnet.Link{Index: 4, Name: "wwan0", Type: "ether", Up: true, Carrier: true},
		)
	}
	f.Network.Addresses = append(
		f.Network.Addresses,
		hostnet.Address{Addr: addr, Prefix: netip.PrefixFrom(addr, 24).Masked(), IfIndex: link, Scope: "global"},
	)
	f.Endpoints = append(
		f.Endpoints,
		mptcp.Endpoint{ID: 3, Address: addr, Flags: mptcp.FlagSubflow, IfIndex: int32(link)},
	)
}

func manyEndpoints(f *Facts, n int) {
	for i := len(f.Endpoints); i < n; i++ {
		f.Endpoints = append(
			f.Endpoints,
			mptcp.Endpoint{
				ID:      mptcp.AddressID(i + 1),
				Address: wlanIP,
				Port:    uint16(1000 + i),
				Flags:   mptcp.FlagSubflow,
				IfIndex: wlan,
			},
		)
	}
}

func endpointCases() []ruleCase {
	signal := func(f *Facts) { f.Endpoints[0].Flags = mptcp.FlagSignal }
	announce := func(f *Facts, listeners ...string) {
		accepted(f)
		f.Endpoints = []mptcp.Endpoint{{ID: 1, Address: wlanIP, Flags: mptcp.FlagSignal}}
		f.Listeners = nil
		for _, l := range listeners {
			f.Listeners = append(f.Listeners, Listener{Local: netip.MustParseAddrPort(l), Inode: 3})
		}
	}
	v6 := netip.MustParseAddr("2001:db8::2")
	return []ruleCase{
		{
			"D09", "specific address", Fail, track.Certain,
			plainly(func(f *Facts) { announce(f, "192.0.2.2:443") }),
			plainly(func(f *Facts) { announce(f, "192.0.2.2:443", "198.51.100.2:443") }),
		},
		{
			"D09", "other port", Fail, track.Certain,
			plainly(func(f *Facts) { announce(f, "192.0.2.2:443", "0.0.0.0:80") }),
			plainly(func(f *Facts) { announce(f, "[::]:443", "127.0.0.1:80") }),
		},
		{
			"D10", "", Warn, track.Likely,
			plainly(func(f *Facts) { alone(f); signal(f) }),
			plainly(func(f *Facts) {
				alone(f)
				signal(f)
				f.Listeners = []Listener{{Local: netip.MustParseAddrPort("0.0.0.0:80"), Inode: 3}}
			}),
		},
		{
			"D19", "", Warn, track.Certain,
			plainly(func(f *Facts) { alone(f); f.Endpoints[0].Flags = mptcp.FlagBackup }),
			plainly(func(f *Facts) {
				f.Endpoints = append(f.Endpoints, mptcp.Endpoint{ID: 2, Address: ethIP, Flags: mptcp.FlagBackup})
			}),
		},
		{
			"D19", "fullmesh alone", Warn, track.Certain,
			plainly(func(f *Facts) { alone(f); f.Endpoints[0].Flags = mptcp.FlagFullmesh | mptcp.FlagBackup }),
			plainly(func(f *Facts) {
				alone(f)
				f.Endpoints[0].Flags = mptcp.FlagFullmesh
				listening(f, created(), announcement())
				f.Limits.AddAddrAccepted, f.Connections[0].Limits.AddAddrAcceptedMax = 2, 2
			}),
		},
		{
			"D20", "", Info, track.Certain,
			plainly(func(f *Facts) { alone(f); f.Endpoints[0].Address, f.Endpoints[0].IfIndex = ethIP, eth }),
			plainly(func(f *Facts) {
				f.Endpoints = append(
					f.Endpoints,
					mptcp.Endpoint{ID: 2, Address: ethIP, Flags: mptcp.FlagSubflow, IfIndex: eth},
				)
			}),
		},
		{
			"D21", "gone", Fail, track.Certain,
			plainly(func(f *Facts) { alone(f); f.Network.Addresses = f.Network.Addresses[:2] }),
			plainly(func(f *Facts) {
				alone(f)
				f.Network.Addresses = nil
				f.Lookups = nil
				f.Connections[0].Limits.LocalAddrUsed = 0
			}),
		},
		{
			"D21", "transparent proxy", Fail, track.Certain,
			plainly(func(f *Facts) { alone(f); f.Endpoints[0].Address = netip.MustParseAddr("10.1.1.1") }),
			plainly(func(f *Facts) {
				alone(f)
				f.Connections[0].Limits.LocalAddrUsed = 0
				f.Endpoints[0].Address = netip.MustParseAddr("10.1.1.1")
				f.Network.Routes = append(
					f.Network.Routes,
					hostnet.Route{Dst: netip.MustParsePrefix("10.0.0.0/8"), Type: "local", IfIndex: lo, Table: 100},
				)
			}),
		},
		{
			"D22", "down", Warn, track.Certain,
			plainly(func(f *Facts) { alone(f); f.Network.Links[2].Up = false }),
			plainly(func(f *Facts) { alone(f); f.Network.Links = nil; f.Connections[0].Limits.LocalAddrUsed = 0 }),
		},
		{
			"D22", "gone", Fail, track.Certain,
			plainly(func(f *Facts) { alone(f); f.Endpoints[0].IfIndex = 77 }),
			plainly(func(f *Facts) { f.Endpoints[0].IfIndex = 0; f.Lookups = nil }),
		},
		{
			"D23", "", Info, track.Certain,
			plainly(func(f *Facts) {
				alone(f)
				f.Endpoints[0].Address = v6
				f.Network.Addresses[2] = hostnet.Address{
					Addr:    v6,
					Prefix:  netip.MustParsePrefix("2001:db8::/64"),
					IfIndex: wlan,
					Scope:   "global",
				}
			}),
			plainly(func(f *Facts) {
				f.Endpoints = append(
					f.Endpoints,
					mptcp.Endpoint{ID: 2, Address: v6, Flags: mptcp.FlagSubflow, IfIndex: wlan},
				)
				f.Network.Addresses = append(
					f.Network.Addresses,
					hostnet.Address{Addr: v6, IfIndex: wlan, Scope: "global"},
				)
			}),
		},
		{
			"D44", "", Fail, track.Likely,
			plainly(func(f *Facts) { bigAnnouncement(f, v6, 8443) }),
			plainly(func(f *Facts) { bigAnnouncement(f, v6, 0) }),
		},
	}
}

// unusedHost has endpoints, and connections are in another namespace.
func unusedHost(f *Facts, other Namespace) {
	f.Connections, f.PlainFlows = nil, nil
	setCounters(&f.MPTCP, map[string]uint64{"MPCapableSYNTX": 0}, nil)
	f.Elsewhere = []Namespace{other}
}

func bigAnnouncement(f *Facts, addr netip.Addr, port uint16) {
	accepted(f)
	setCounters(&f.MPTCP, map[string]uint64{"AddAddrTxDrop": 2}, nil)
	f.Endpoints = []mptcp.Endpoint{{ID: 4, Address: addr, Port: port, Flags: mptcp.FlagSignal}}
	f.Network.Addresses = append(f.Network.Addresses, hostnet.Address{Addr: addr, IfIndex: wlan, Scope: "global"})
	f.Listeners = append(f.Listeners, Listener{Local: netip.AddrPortFrom(addr, port)})
}

// companions are findings that come with another one and say something of their
// own.
var companions = map[rule.ID]rule.ID{"D18": "D35", "D32": "D35"}

func TestRules(t *testing.T) {
	for _, tt := range ruleCases() {
		t.Run(string(tt.rule)+" "+tt.name, func(t *testing.T) {
			f := healthy(t)
			tt.trigger(t, f)
			report := Diagnose(*f)
			i := slices.IndexFunc(report.Findings, func(x Finding) bool { return x.Rule == tt.rule })
			if i < 0 {
				t.Fatalf("not found, but %q", ids(report))
			}
			x := report.Findings[i]
			if x.Severity != tt.severity || x.Confidence != tt.sure {
				t.Errorf("got %v, %v, want %v, %v", x.Severity, x.Confidence, tt.severity, tt.sure)
			}
			if x.Title == "" || len(x.Evidence) == 0 || len(x.Fix) == 0 ||
				strings.Contains(x.Title+strings.Join(x.Evidence, "")+strings.Join(x.Fix, ""), "%!") {
				t.Errorf("incomplete: %+v", x)
			}
			if (len(x.Excluded) > 0) != (x.Confidence == track.Certain) {
				t.Errorf("%v, excluded: %v", x.Confidence, x.Excluded)
			}
			for _, other := range report.Findings {
				if other.Rule != tt.rule && other.Rule != companions[tt.rule] {
					t.Errorf("finds %s as well: %s %q", other.Rule, other.Title, other.Evidence)
				}
			}
			f = healthy(t)
			tt.miss(t, f)
			if report := Diagnose(*f); slices.ContainsFunc(
				report.Findings,
				func(x Finding) bool { return x.Rule == tt.rule },
			) {
				t.Errorf("found where it is not: %q", ids(report))
			}
		})
	}
}

// Every rule of the catalogue that is decided has a case here.
func TestEveryRuleHasACase(t *testing.T) {
	have := map[rule.ID]bool{}
	for _, tt := range ruleCases() {
		have[tt.rule] = true
		if _, ok := rule.Explain(tt.rule); !ok {
			t.Errorf("%s is not in the catalogue", tt.rule)
		}
	}
	have["D14"] = true // only as an alternative: see TestAlternatives
	for _, r := range rule.All() {
		if r.Decided != have[r.ID] {
			t.Errorf("%s: decided is %v, a case is here: %v", r.ID, r.Decided, have[r.ID])
		}
	}
}

func TestAlternatives(t *testing.T) {
	f := healthy(t)
	alone(f)
	listening(f, created(), event(mptcp.EventSubflowEstablished, 0), event(mptcp.EventSubflowClosed, time.Millisecond))
	r := Diagnose(*f)
	if len(r.Findings) != 1 || !slices.Contains(r.Findings[0].Alternatives, "D14") {
		t.Errorf("got %+v", r.Findings)
	}
}
