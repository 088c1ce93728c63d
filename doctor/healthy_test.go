package doctor

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"mptcpctl/counters"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

// healthySet are hosts that are well. The doctor must say so, and nothing else.
func healthySet() map[string]func(t *testing.T, f *Facts) {
	return map[string]func(t *testing.T, f *Facts){
		"two paths": func(*testing.T, *Facts) {},
		"nothing at all": func(_ *testing.T, f *Facts) {
			f.Connections, f.Endpoints, f.PlainFlows, f.PlainListeners = nil, nil, nil, nil
		},
		"single path":            func(_ *testing.T, f *Facts) { singleLink(f) },
		"no endpoint configured": func(_ *testing.T, f *Facts) { alone(f); f.Endpoints = nil },
		"nothing known": func(_ *testing.T, f *Facts) {
			*f = Facts{Time: now, Connections: f.Connections, Unseen: []Gap{{What: "everything else", Why: "a test"}}}
		},
		"subflows unseen": func(_ *testing.T, f *Facts) { f.Connections[0].Subflows = nil },
		"only just connected": func(_ *testing.T, f *Facts) {
			pend(f).Lost = 0
			f.Connections[0].Subflows[1].Backoff = 0
		},
		"idle for an hour": func(_ *testing.T, f *Facts) {
			for i := range f.Connections[0].Subflows {
				s := &f.Connections[0].Subflows[i]
				s.LastAckMS, s.LastDataSentMS = 3600000, 3600000
			}
		},
		"busy and lossy": func(_ *testing.T, f *Facts) {
			for i := range f.Connections[0].Subflows {
				s := &f.Connections[0].Subflows[i]
				s.Backoff, s.Lost, s.Unacked, s.LastAckMS = 1, 12, 90, 300
			}
		},
		"an endpoint on each link": func(_ *testing.T, f *Facts) {
			f.Endpoints = append(
				f.Endpoints,
				mptcp.Endpoint{ID: 2, Address: ethIP, Flags: mptcp.FlagSubflow, IfIndex: eth},
			)
		},
		"endpoints of both families on each link": dualStack,
		"backup endpoint": func(_ *testing.T, f *Facts) {
			f.Endpoints[0].Flags |= mptcp.FlagBackup
			f.Connections[0].Subflows[1].BackupLocal, f.Connections[0].Subflows[1].Share = true, 0
		},
		"backup that is in use": func(_ *testing.T, f *Facts) { f.Connections[0].Subflows[1].BackupRemote = true },
		"implicit endpoint":     implicit,
		"laminar endpoint":      func(_ *testing.T, f *Facts) { alone(f); f.Endpoints[0].Flags = mptcp.FlagLaminar },
		"fullmesh endpoint":     func(_ *testing.T, f *Facts) { f.Endpoints[0].Flags |= mptcp.FlagFullmesh },
		"without dev, rule by source": func(_ *testing.T, f *Facts) {
			unbind(f)
			f.Network.Rules = []hostnet.Rule{{Src: netip.PrefixFrom(wlanIP, 32), Table: 100, Priority: 100}}
			f.Lookups[0].Route.IfIndex = wlan
		},
		"announced address":           announced,
		"server":                      func(_ *testing.T, f *Facts) { accepted(f) },
		"server with a port endpoint": portEndpoint,
		"server on both families":     bothFamilies,
		"behind NAT": func(_ *testing.T, f *Facts) {
			f.Connections[0].Remote = netip.MustParseAddrPort("203.0.113.1:443")
			f.Connections[0].Subflows[1].RemoteID = 0
		},
		"IPv6":           func(_ *testing.T, f *Facts) { overIPv6(f) },
		"v4-mapped":      mapped,
		"over loopback":  overLoopback,
		"to own address": toItself,
		"container":      container,
		"VPN, not ours":  vpn,
		"strict rp_filter, rule by source": func(_ *testing.T, f *Facts) {
			f.IPv4["all"] = counters.IPv4Conf{RPFilter: 1}
			f.Lookups[0].Route.IfIndex = wlan
		},
		"strict rp_filter on one link": func(_ *testing.T, f *Facts) {
			singleLink(f)
			f.IPv4["all"] = counters.IPv4Conf{RPFilter: 1}
			setCounters(
				&f.TCP,
				map[string]uint64{"IPReversePathFilter": 10000},
				map[string]uint64{"IPReversePathFilter": 3},
			)
		},
		"userspace path manager with daemon": userspace,
		"rules by mark": func(_ *testing.T, f *Facts) {
			f.Network.Rules = []hostnet.Rule{{Mark: 0xca6c, Not: true, Table: 51820}, {Mark: 5, Table: 7}}
		},
		"NetworkManager alone": func(_ *testing.T, f *Facts) { f.Managers = []mptcp.Process{{PID: 1, Name: "NetworkManager"}} },
		"other namespaces": func(_ *testing.T, f *Facts) {
			f.Elsewhere = []Namespace{{Name: "blue", Connections: 100}, {Name: "red"}}
		},
		"blackhole long ago": func(_ *testing.T, f *Facts) {
			setCounters(
				&f.MPTCP,
				map[string]uint64{"Blackhole": 7, "MPCapableSYNTXDrop": 7, "MPCapableSYNTXDisabled": 900},
				nil,
			)
		},
		"events of a life": func(_ *testing.T, f *Facts) {
			ended := mptcp.Event{Type: mptcp.EventClosed, Token: 9, Fields: mptcp.FieldToken, Time: now}
			begun := mptcp.Event{
				Type:   mptcp.EventCreated,
				Token:  9,
				Fields: mptcp.FieldToken,
				Time:   now.Add(-time.Second),
			}
			listening(
				f,
				begun,
				created(),
				event(mptcp.EventEstablished, 0),
				event(mptcp.EventSubflowEstablished, 0),
				ended,
			)
		},
		"closing":         func(_ *testing.T, f *Facts) { alone(f); f.Connections[0].State = mptcp.StateFinWait2 },
		"500 connections": func(t *testing.T, f *Facts) { many(f, 500) },
	}
}

func TestHealthySet(t *testing.T) {
	for name, change := range healthySet() {
		t.Run(name, func(t *testing.T) {
			f := healthy(t)
			change(t, f)
			report := Diagnose(*f)
			if report.Verdict != Healthy {
				t.Errorf("verdict %v", report.Verdict)
			}
			for _, x := range report.Findings {
				if x.Rule == "D47" && x.Severity == Info {
					continue // that a backup carries nothing is worth a word
				}
				t.Errorf("%s %v: %s %q", x.Rule, x.Severity, x.Title, x.Evidence)
			}
			for _, c := range report.Connections {
				if c.Verdict != Healthy {
					t.Errorf("connection %s: %v", c.Token, c.Verdict)
				}
			}
		})
	}
}

func singleLink(f *Facts) {
	alone(f)
	f.Endpoints, f.Lookups = nil, nil
	f.Network.Links, f.Network.Addresses = f.Network.Links[:2], f.Network.Addresses[:2]
	f.Network.Routes = f.Network.Routes[:1]
}

func dualStack(_ *testing.T, f *Facts) {
	for i, a := range []string{"2001:db8:1::2", "2001:db8:2::2"} {
		addr := netip.MustParseAddr(a)
		f.Network.Addresses = append(
			f.Network.Addresses,
			hostnet.Address{Addr: addr, Prefix: netip.PrefixFrom(addr, 64).Masked(), IfIndex: eth + i, Scope: "global"},
		)
		f.Endpoints = append(
			f.Endpoints,
			mptcp.Endpoint{
				ID:      mptcp.AddressID(10 + i),
				Address: addr,
				Flags:   mptcp.FlagSubflow,
				IfIndex: int32(eth + i),
			},
		)
	}
	// The limit of two is reached by addresses that add no path.
	f.Network.Addresses = append(
		f.Network.Addresses,
		hostnet.Address{Addr: netip.MustParseAddr("198.51.100.9"), IfIndex: wlan, Scope: "global"},
	)
	f.Endpoints = append(
		f.Endpoints,
		mptcp.Endpoint{ID: 20, Address: netip.MustParseAddr("198.51.100.9"), Flags: mptcp.FlagSubflow, IfIndex: wlan},
	)
	f.Connections[0].Limits.Subflows = 2
}

func implicit(_ *testing.T, f *Facts) {
	f.Endpoints = append(
		f.Endpoints,
		mptcp.Endpoint{ID: 4, Address: netip.MustParseAddr("10.255.0.1"), Flags: mptcp.FlagImplicit},
	)
}

func announced(_ *testing.T, f *Facts) {
	f.Limits.AddAddrAccepted = 2
	f.Endpoints = nil
	f.Connections[0].Subflows[1].Local = netip.AddrPortFrom(ethIP, 42000)
	f.Connections[0].Subflows[1].Bound, f.Connections[0].Subflows[1].RemoteID = false, 2
	listening(f, created(), event(mptcp.EventAnnounced, 0), event(mptcp.EventSubflowEstablished, 0))
}

func portEndpoint(_ *testing.T, f *Facts) {
	accepted(f)
	f.Endpoints = []mptcp.Endpoint{{ID: 1, Address: wlanIP, Port: 8443, Flags: mptcp.FlagSignal}}
	f.Listeners = append(f.Listeners, Listener{Local: netip.AddrPortFrom(wlanIP, 8443)})
}

func bothFamilies(_ *testing.T, f *Facts) {
	accepted(f)
	f.Endpoints = []mptcp.Endpoint{{ID: 1, Address: wlanIP, Flags: mptcp.FlagSignal}}
	f.Listeners = []Listener{
		{Local: netip.MustParseAddrPort("[::]:443"), Inode: 3},
		{Local: netip.MustParseAddrPort("127.0.0.1:9100"), Inode: 4},
	}
}

// overIPv6 gives the links IPv6 addresses in place of the others.
func overIPv6(f *Facts) {
	one, two, remote := netip.MustParseAddr(
		"2001:db8:1::2",
	), netip.MustParseAddr(
		"2001:db8:2::2",
	), netip.MustParseAddrPort(
		"[2001:db8:9::1]:443",
	)
	f.Network.Addresses[1].Addr, f.Network.Addresses[2].Addr = one, two
	f.Endpoints[0].Address = two
	c := &f.Connections[0]
	c.Local, c.Remote = netip.AddrPortFrom(one, 1), remote
	c.Subflows[0].Local, c.Subflows[0].Remote = c.Local, remote
	c.Subflows[1].Local, c.Subflows[1].Remote = netip.AddrPortFrom(two, 2), remote
	f.Lookups = nil
}

func mapped(_ *testing.T, f *Facts) {
	as6 := func(a netip.AddrPort) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
	}
	c := &f.Connections[0]
	c.Family = mptcp.FamilyINET6
	c.Local, c.Remote = as6(c.Local), as6(c.Remote)
	c.Subflows[0].Local, c.Subflows[0].Remote = as6(c.Subflows[0].Local), as6(c.Subflows[0].Remote)
	f.Endpoints[0].Address = netip.AddrFrom16(wlanIP.As16())
}

// overLoopback has both ends of a connection here, without a second subflow.
func overLoopback(_ *testing.T, f *Facts) {
	there := f.Connections[0]
	alone(f)
	here := &f.Connections[0]
	a, b := netip.MustParseAddrPort("127.0.0.1:5000"), netip.MustParseAddrPort("127.0.0.1:80")
	here.Local, here.Remote = a, b
	here.Subflows = []mptcp.Subflow{
		{
			Local:            a,
			Remote:           b,
			Initial:          true,
			State:            mptcp.SubflowEstablished,
			TCP:              mptcp.StateEstablished,
			FullyEstablished: true,
		},
	}
	there.Token, there.Side, there.Local, there.Remote = 2, mptcp.SideServer, b, a
	there.Subflows = []mptcp.Subflow{
		{
			Local:            b,
			Remote:           a,
			Initial:          true,
			State:            mptcp.SubflowEstablished,
			TCP:              mptcp.StateEstablished,
			FullyEstablished: true,
		},
	}
	f.Connections = append(f.Connections, there)
	f.Listeners = []Listener{}
}

func toItself(_ *testing.T, f *Facts) {
	alone(f)
	f.Connections[0].Remote = netip.AddrPortFrom(wlanIP, 80)
	f.Connections[0].Subflows[0].Remote = f.Connections[0].Remote
	f.Limits.Subflows = 2
}

func container(_ *testing.T, f *Facts) {
	singleLink(f)
	f.Network.Links = append(
		f.Network.Links,
		hostnet.Link{Index: 8, Name: "docker0", Kind: "bridge", Type: "ether", Up: true},
	)
	f.Network.Addresses = append(
		f.Network.Addresses,
		hostnet.Address{
			Addr:    netip.MustParseAddr("172.17.0.1"),
			Prefix:  netip.MustParsePrefix("172.17.0.0/16"),
			IfIndex: 8,
			Scope:   "global",
		},
	)
	f.Network.Routes = append(
		f.Network.Routes,
		hostnet.Route{
			Dst:     netip.MustParsePrefix("172.17.0.0/16"),
			IfIndex: 8,
			Table:   hostnet.TableMain,
			Type:    "unicast",
		},
	)
	f.Managers, f.Subscribers, f.IPv4 = nil, nil, nil
	f.Unseen = []Gap{{What: "processes", Why: "they are in other namespaces"}}
}

func vpn(_ *testing.T, f *Facts) {
	f.Network.Links = append(
		f.Network.Links,
		hostnet.Link{Index: 9, Name: "wg0", Kind: "wireguard", Up: true, Carrier: true, Tunnel: true},
	)
	f.Network.Addresses = append(
		f.Network.Addresses,
		hostnet.Address{
			Addr:    netip.MustParseAddr("10.8.0.2"),
			Prefix:  netip.MustParsePrefix("10.8.0.0/24"),
			IfIndex: 9,
			Scope:   "global",
		},
	)
	f.Network.Routes = append(
		f.Network.Routes,
		hostnet.Route{Dst: netip.MustParsePrefix("10.0.0.0/8"), IfIndex: 9, Table: hostnet.TableMain, Type: "unicast"},
	)
}

func userspace(t *testing.T, f *Facts) {
	f.Sysctls = sysctls(t, map[string]string{"path_manager": "userspace", "pm_type": "1"})
	f.Subscribers = new(1)
	f.Managers = []mptcp.Process{{PID: 3, Name: "mptcpd"}}
	f.Limits.Subflows = 0
	alone(f)
	f.Connections[0].Limits = mptcp.ConnectionLimits{}
}

// many makes n connections of the one.
func many(f *Facts, n int) {
	one := f.Connections[0]
	f.Connections = nil
	for i := range n {
		c := one
		c.Token = mptcp.Token(i + 1)
		c.Local = netip.AddrPortFrom(c.Local.Addr(), uint16(10000+i%50000))
		f.Connections = append(f.Connections, c)
	}
}

func TestFactsGoThroughJSON(t *testing.T) {
	f := healthy(t)
	pend(f)
	listening(f, created())
	f.Blackholed = []Flow{{Remote: server}}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var back Facts
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if got, want := ids(Diagnose(back)), ids(Diagnose(*f)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A warning that concerns many connections is said once.
func TestManyConnectionsAreOneFinding(t *testing.T) {
	f := healthy(t)
	alone(f)
	many(f, 10000)
	report := Diagnose(*f)
	if len(report.Findings) != 1 || report.Findings[0].Subject.Connections != 10000 ||
		report.Findings[0].Subject.Token != 0 {
		t.Fatalf("got %d findings: %.200s", len(report.Findings), fmt.Sprint(report.Findings))
	}
	if last := report.Connections[9999]; last.Verdict != Warning || len(last.Unused) != 1 ||
		last.Unused[0].Rule != "D42" ||
		last.PathsPossible != 2 {
		t.Errorf("got %+v", last)
	}
}

func BenchmarkDiagnose(b *testing.B) {
	f := healthy(b)
	pend(f)
	many(f, 10000)
	b.Run("one peer", func(b *testing.B) {
		for b.Loop() {
			Diagnose(*f)
		}
	})
	for i := range f.Connections {
		c := &f.Connections[i]
		c.Fallback = i%2 == 0
		c.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 443)
	}
	b.Run("10000 peers, half of them in fallback", func(b *testing.B) {
		for b.Loop() {
			Diagnose(*f)
		}
	})
}
