package ledger

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"mptcpctl/counters"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

const token mptcp.Token = 0x1234

// situation returns the facts of a client at 10.91.1.2 and 10.91.2.2 with one connection
// to 10.91.1.1:5201, an endpoint on its second address, and limits of 2.
func situation() *Facts {
	c := mptcp.Connection{
		Token: token, Family: mptcp.FamilyINET, Side: mptcp.SideClient, State: mptcp.StateEstablished,
		Local: at("10.91.1.2:999"), Remote: at("10.91.1.1:5201"), BytesSent: 5, BytesReceived: 5,
		Limits: mptcp.ConnectionLimits{SubflowsMax: 2, LocalAddrMax: 1},
		Subflows: []mptcp.Subflow{{
			Local: at("10.91.1.2:999"), Remote: at("10.91.1.1:5201"), Initial: true,
			TCP: mptcp.StateEstablished, State: mptcp.SubflowEstablished, FullyEstablished: true,
		}},
	}
	return &Facts{
		Release: "6.18.44", Limits: &mptcp.Limits{Subflows: 2, AddAddrAccepted: 2},
		Endpoints: []mptcp.Endpoint{{ID: 1, Address: netip.MustParseAddr("10.91.2.2"), Flags: mptcp.FlagSubflow,
			IfIndex: 3}},
		Connections: []mptcp.Connection{c},
		Links: []hostnet.Link{{Index: 2, Name: "e0", Up: true, Carrier: true}, {Index: 3, Name: "e1", Up: true,
			Carrier: true}},
		Addresses: []hostnet.Address{
			{Addr: netip.MustParseAddr("10.91.1.2"), IfIndex: 2}, {Addr: netip.MustParseAddr("10.91.2.2"), IfIndex: 3},
		},
	}
}

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// count sets the counters of joins: SYN, SYN-ACK, resets sent, bind and connect errors.
func (f *Facts) count(syn, synAck, resets, bind, connect uint64) {
	f.Counters = counters.FromMap(map[string]uint64{
		"MPCapableSYNTX": uint64(len(f.Connections)),
		"MPJoinSynTx":    syn, "MPJoinSynAckRx": synAck, "MPRstTx": resets,
		"MPJoinSynTxBindErr": bind, "MPJoinSynTxConnectErr": connect, "AddAddrTxDrop": 0, "AddAddr": 0,
	})
}

// use says that the connection has used so many endpoints.
func (f *Facts) use(n uint8) { f.Connections[0].Limits.LocalAddrUsed = n }

func (f *Facts) join(local, remote string, state mptcp.SubflowState) *mptcp.Subflow {
	c := &f.Connections[0]
	s := mptcp.Subflow{Local: at(local), Remote: at(remote), State: state, TCP: mptcp.StateEstablished, TokenRemote: 7}
	s.FullyEstablished = state == mptcp.SubflowEstablished
	if state == mptcp.SubflowPending {
		s.TCP = mptcp.StateSynSent
	}
	c.Subflows = append(c.Subflows, s)
	c.Limits.Subflows++
	return &c.Subflows[len(c.Subflows)-1]
}

func (f *Facts) event(t mptcp.EventType, set func(*mptcp.Event)) {
	ev := mptcp.Event{
		Type: t, Token: token, Time: time.Unix(int64(len(f.Events)), 0), LocalID: 1,
		Fields: mptcp.FieldToken | mptcp.FieldLocalID | mptcp.FieldRemoteID | mptcp.FieldFamily | mptcp.FieldSaddr4 |
			mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport,
	}
	ev.Family = mptcp.FamilyINET
	ev.Source, ev.Sport = netip.MustParseAddr("10.91.2.2"), 4000
	ev.Destination, ev.Dport = netip.MustParseAddr("10.91.1.1"), 5201
	if set != nil {
		set(&ev)
	}
	f.Events = append(f.Events, ev)
}

// TestJoinAfterTheFact is the table of what counters alone tell of one join that failed
// on the only connection: each line was measured on Linux 6.18.
func TestJoinAfterTheFact(t *testing.T) {
	for _, c := range []struct {
		name                               string
		syn, synAck, resets, bind, connect uint64
		want                               []Cause
	}{
		{"the peer's limit", 1, 1, 1, 0, 0, []Cause{PeerLimit}},
		{"answered, and no reset was sent", 1, 1, 0, 0, 0, []Cause{PeerProhibits, TimedOut, ResetLater, Ended}},
		{"refused or unanswered", 1, 0, 0, 0, 0, []Cause{Unanswered, ResetBySomebody, Unreachable}},
		{"without MP_JOIN", 1, 0, 1, 0, 0, []Cause{WithoutMPJoin}},
		{"nothing at all: the peer forbids it", 0, 0, 0, 0, 0, []Cause{PeerForbids}},
		{"bind", 0, 0, 0, 1, 0, []Cause{AddressMissing, NoPort}},
		{"connect", 0, 0, 0, 0, 1, []Cause{NoRoute, DeviceDown, DeviceMissing}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := situation()
			f.use(1)
			f.count(c.syn, c.synAck, c.resets, c.bind, c.connect)
			l := Of(*f)
			check(t, l.Join(token, netip.MustParseAddr("10.91.2.2")), c.want...)
		})
	}
}

func check(t *testing.T, e *Entry, want ...Cause) {
	t.Helper()
	if e == nil {
		t.Fatal("no entry")
	}
	var got []Cause
	for _, r := range e.Reached {
		got = append(got, r.Cause)
	}
	if !slices.Equal(got, want) {
		t.Errorf("reached %v, want the causes %v", e.Reached, want)
	}
	if (e.Decides == "") != (len(got) == 1) {
		t.Errorf("%d stages, and what decides is %q", len(got), e.Decides)
	}
}

func TestJoin(t *testing.T) {
	const second = "10.91.2.2"
	for _, c := range []struct {
		name  string
		edit  func(*Facts)
		of    string // endpoint, "" for the second address
		want  []Cause
		retry Retry
	}{
		{"up", func(f *Facts) { f.join("10.91.2.2:4", "10.91.1.1:5201", mptcp.SubflowEstablished) }, "",
			[]Cause{Working}, ByItself},
		{"SYN out", func(f *Facts) { f.join("10.91.2.2:4", "10.91.1.1:5201", mptcp.SubflowPending) }, "",
			[]Cause{Waiting}, ByItself},
		{"no answer", func(f *Facts) { f.join("10.91.2.2:4", "10.91.1.1:5201", mptcp.SubflowPending).Backoff = 2 }, "",
			[]Cause{Unanswered}, ByItself},
		{"one side only", func(f *Facts) {
			f.join("10.91.2.2:4", "10.91.1.1:5201", mptcp.SubflowEstablished).FullyEstablished = false
		}, "", []Cause{WaitingForPeer}, ByItself},
		{"backup", func(f *Facts) {
			f.join("10.91.2.2:4", "10.91.1.1:5201",
				mptcp.SubflowEstablished).BackupLocal = true
		}, "",
			[]Cause{Backup}, ByItself},
		{"silent", func(f *Facts) { f.join("10.91.2.2:4", "10.91.1.1:5201", mptcp.SubflowSilent) }, "",
			[]Cause{Silent}, ByItself},
		{"flags", func(f *Facts) { f.Endpoints[0].Flags = mptcp.FlagFullmesh | mptcp.FlagBackup }, "",
			[]Cause{WrongFlags}, ByItself},
		{"family", func(f *Facts) { f.Endpoints[0].Address = netip.MustParseAddr("fd00::1") }, "fd00::1",
			[]Cause{OtherFamily}, ByItself},
		{"first address", func(f *Facts) { f.Endpoints[0].Address = netip.MustParseAddr("10.91.1.2") }, "10.91.1.2",
			[]Cause{FirstAddress}, ByItself},
		{"nothing sent", func(f *Facts) {
			f.Connections[0].BytesReceived = 0
			f.Connections[0].Subflows[0].FullyEstablished = false
		}, "", []Cause{NothingAcknowledged}, ByItself},
		{"userspace", func(f *Facts) { f.Connections[0].PathManager = "userspace" }, "", []Cause{UserspaceManager},
			ByNewConnection},
		{"born before the namespace changed its manager", func(f *Facts) {
			f.Userspace = true
			f.Connections[0].PathManager = "kernel"
		}, "", []Cause{NotLookedAgain, PeerForbids}, ByPeer},
		{"fallback", func(f *Facts) { f.Connections[0].Fallback = true }, "", []Cause{FallenBack}, ByNewConnection},
		{"limit 0", func(f *Facts) { f.Limits.Subflows = 0; f.Connections[0].Limits.SubflowsMax = 0 }, "",
			[]Cause{NoSubflowsAllowed}, ByRoom},
		{"limit raised later, or the C-flag that nobody saw", func(*Facts) {}, "", []Cause{NotLookedAgain, PeerForbids}, ByPeer},
		{"limit raised later, watched", func(f *Facts) { f.EventsSince = time.Unix(1, 0) }, "", []Cause{NotLookedAgain}, ByAnyAdd},
		{"limit reached", func(f *Facts) {
			f.Connections[0].Limits.SubflowsMax = 1
			f.join("10.91.7.2:4", "10.91.1.1:5201", mptcp.SubflowPending)
		}, "", []Cause{LimitReached}, ByRoom},
		{"a subflow that was not listed", func(f *Facts) {
			f.use(1)
			f.count(0, 0, 0, 0, 0)
			f.Connections[0].Limits.Subflows = 1
		}, "", []Cause{Waiting, Working, PeerForbids}, ByPeer},
		{"the C-flag", func(f *Facts) {
			f.use(1)
			f.event(mptcp.EventEstablished, func(ev *mptcp.Event) {
				ev.Fields |= mptcp.FieldFlags
				ev.Flags = mptcp.EventFlagDenyJoinID0
			})
		}, "", []Cause{PeerForbids}, ByPeer},
		{"refused, by its event", func(f *Facts) {
			f.use(1)
			f.event(mptcp.EventSubflowClosed, func(ev *mptcp.Event) { ev.Fields |= mptcp.FieldError; ev.Error = 111 })
		}, "", []Cause{ResetBySomebody}, ByDeleteAdd},
		{"died, by its events", func(f *Facts) {
			f.use(1)
			f.event(mptcp.EventSubflowEstablished, nil)
			f.event(mptcp.EventSubflowClosed, func(ev *mptcp.Event) { ev.Fields |= mptcp.FieldError; ev.Error = 110 })
		}, "", []Cause{TimedOut}, ByDeleteAdd},
		// NetworkManager's way: endpoints for all addresses. That of the initial subflow is
		// never used up, so that one of two used means: both are accounted for.
		{"refused beside an endpoint of the first address", func(f *Facts) {
			f.Endpoints = append(f.Endpoints, mptcp.Endpoint{ID: 2, Address: netip.MustParseAddr("10.91.1.2"),
				Flags: mptcp.FlagSubflow})
			f.Connections[0].Limits.LocalAddrMax = 2
			f.use(1)
			f.count(1, 1, 1, 0, 0)
		}, "", []Cause{PeerLimit}, ByNewConnection},
		{"another endpoint of three holds the place", func(f *Facts) {
			f.Endpoints = append(f.Endpoints, mptcp.Endpoint{ID: 2, Address: netip.MustParseAddr("10.91.3.2"),
				Flags: mptcp.FlagSubflow})
			f.Connections[0].Limits.SubflowsMax, f.Connections[0].Limits.LocalAddrMax = 1, 2
			f.join("10.91.2.2:4", "10.91.1.1:5201", mptcp.SubflowEstablished)
			f.use(1)
		}, "10.91.3.2", []Cause{LimitReached}, ByRoom},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := situation()
			c.edit(f)
			if f.Counters.Len() == 0 {
				f.count(9, 9, 9, 9, 9)
			}
			of := c.of
			if of == "" {
				of = second
			}
			l := Of(*f)
			e := l.Join(token, netip.MustParseAddr(of))
			check(t, e, c.want...)
			if got := e.Retry(); got != c.retry {
				t.Errorf("retried by %q, want %q", got, c.retry)
			}
		})
	}
}

// A join of another connection to the same address and port that is up shows that it is
// not forbidden there.
func TestOtherConnectionsCount(t *testing.T) {
	f := situation()
	f.use(1)
	other := f.Connections[0]
	other.Token = 0x77
	other.Subflows = slices.Clone(other.Subflows)
	f.Connections = append(f.Connections, other)
	o := &f.Connections[1]
	o.Subflows = append(o.Subflows, mptcp.Subflow{
		Local: at("10.91.2.2:8"), Remote: at("10.91.1.1:5201"), TokenRemote: 9, FullyEstablished: true,
		TCP: mptcp.StateEstablished, State: mptcp.SubflowEstablished,
	})
	f.count(2, 1, 0, 0, 0)
	l := Of(*f)
	check(t, l.Join(token, netip.MustParseAddr("10.91.2.2")), Unanswered, ResetBySomebody, Unreachable)
}

// With connections that have gone the counters still exclude, and no more.
func TestPastConnectionsWiden(t *testing.T) {
	f := situation()
	f.use(1)
	f.count(5, 0, 0, 0, 0)
	f.Counters = counters.FromMap(map[string]uint64{
		"MPCapableSYNTX": 9, "MPJoinSynTx": 5, "MPJoinSynAckRx": 0, "MPRstTx": 0,
		"MPJoinSynTxBindErr": 0, "MPJoinSynTxConnectErr": 0, "AddAddr": 0,
	})
	l := Of(*f)
	check(t, l.Join(token, netip.MustParseAddr("10.91.2.2")), PeerForbids, Unanswered, ResetBySomebody, Unreachable)
}

// A kernel without the counters of joins excludes nothing by them.
func TestKernelWithoutCounters(t *testing.T) {
	f := situation()
	f.Release = "6.1.192"
	f.use(1)
	l := Of(*f)
	e := l.Join(token, netip.MustParseAddr("10.91.2.2"))
	if e == nil || !e.May(PeerLimit) || !e.May(WithoutMPJoin) || !e.May(AddressMissing) {
		t.Errorf("%+v", e)
	}
}

func TestAnnouncedAddress(t *testing.T) {
	announced := func(f *Facts) {
		f.event(mptcp.EventAnnounced, func(ev *mptcp.Event) {
			ev.RemoteID = 4
			ev.Destination, ev.Dport = netip.MustParseAddr("10.91.2.1"), 5201
			ev.Fields &^= mptcp.FieldSaddr4 | mptcp.FieldSport | mptcp.FieldFamily
		})
	}
	for _, c := range []struct {
		name string
		edit func(*Facts)
		want []Cause
	}{
		{"none is accepted", func(*Facts) {}, []Cause{NothingAccepted}},
		{"up", func(f *Facts) {
			f.Connections[0].Limits.AddAddrAcceptedMax, f.Connections[0].Limits.AddAddrAccepted = 2, 1
			f.join("10.91.2.2:4", "10.91.2.1:5201", mptcp.SubflowEstablished).RemoteID = 4
		}, []Cause{Working}},
		{"the limit of subflows", func(f *Facts) {
			f.Connections[0].Limits.AddAddrAcceptedMax, f.Connections[0].Limits.Subflows = 2, 2
		}, []Cause{LimitReached}},
		{"no route", func(f *Facts) {
			f.Connections[0].Limits.AddAddrAcceptedMax = 2
			f.count(0, 0, 0, 0, 1)
		}, []Cause{NoRoute, NotLookedAgain}},
		{"accepted, and refused", func(f *Facts) {
			f.Connections[0].Limits.AddAddrAcceptedMax, f.Connections[0].Limits.AddAddrAccepted = 2, 1
			f.count(1, 0, 0, 0, 0)
		}, []Cause{Unanswered, ResetBySomebody, Unreachable}},
		{"withdrawn", func(f *Facts) {
			f.event(mptcp.EventRemoved, func(ev *mptcp.Event) { ev.RemoteID = 4 })
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := situation()
			f.Endpoints = nil
			announced(f)
			c.edit(f)
			if f.Counters.Len() == 0 {
				f.count(9, 9, 9, 9, 9)
			}
			l := Of(*f)
			i := slices.IndexFunc(l.Entries, func(e Entry) bool { return e.Kind == Follow })
			if c.want == nil {
				if i >= 0 {
					t.Errorf("%+v", l.Entries[i])
				}
				return
			}
			if i < 0 {
				t.Fatal("no entry")
			}
			check(t, &l.Entries[i], c.want...)
		})
	}
}

// The connection accepted an address that no event told of: its SYN has left, so that it
// was not put off. The implicit endpoint that it leaves behind changes nothing.
func TestAnnouncedAddressWithoutEvents(t *testing.T) {
	f := situation()
	f.Endpoints[0].Flags = mptcp.FlagImplicit
	f.Connections[0].Limits.AddAddrAcceptedMax, f.Connections[0].Limits.AddAddrAccepted = 2, 1
	f.count(1, 0, 0, 0, 0)
	l := Of(*f)
	i := slices.IndexFunc(l.Entries, func(e Entry) bool { return e.Kind == Follow })
	if i < 0 {
		t.Fatal("no entry")
	}
	check(t, &l.Entries[i], Unanswered, ResetBySomebody, Unreachable)
	if !l.Entries[i].GivenUp() {
		t.Errorf("the kernel would try again: %+v", l.Entries[i])
	}
}

func TestAnnouncement(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Facts)
		want []Cause
	}{
		{"not yet", func(*Facts) {}, []Cause{NotAnnouncedYet}},
		{"announced", func(f *Facts) { f.Connections[0].Limits.AddAddrSignal = 1 }, []Cause{Announced}},
		{"the first address", func(f *Facts) {
			f.Endpoints[0].Address = f.Connections[0].Local.Addr()
		}, []Cause{FirstAddress}},
		{"the first address, added when the connection was there", func(f *Facts) {
			f.Endpoints[0].Address = f.Connections[0].Local.Addr()
			f.Connections[0].Limits.AddAddrSignal = 1
		}, []Cause{Announced}},
		{"the first address, or another one", func(f *Facts) {
			f.Endpoints = append(f.Endpoints, f.Endpoints[0])
			f.Endpoints[0].Address = f.Connections[0].Local.Addr()
			f.Connections[0].Limits.AddAddrSignal = 1
		}, []Cause{Announced, FirstAddress}},
		{"joined", func(f *Facts) {
			s := f.join("10.91.2.2:5201", "10.91.1.9:44", mptcp.SubflowEstablished)
			s.TokenRemote, s.RemoteID = 0, 3
			f.Connections[0].Side = mptcp.SideServer
		}, []Cause{Working}},
		{"an address with a port of IPv6", func(f *Facts) {
			f.Endpoints[0].Address, f.Endpoints[0].Port = netip.MustParseAddr("fd00::2"), 99
			f.Connections[0].Limits.AddAddrSignal = 1
			f.Counters = counters.FromMap(map[string]uint64{"AddAddrTxDrop": 1})
		}, []Cause{OptionTooLong}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := situation()
			f.Endpoints[0].Flags = mptcp.FlagSignal
			c.edit(f)
			l := Of(*f)
			i := slices.IndexFunc(l.Entries, func(e Entry) bool { return e.Kind == Announce })
			if i < 0 {
				t.Fatal("no entry")
			}
			check(t, &l.Entries[i], c.want...)
		})
	}
}

// Every stage, cause and retry has a text of its own.
func TestTexts(t *testing.T) {
	seen := map[string]bool{}
	one := func(text string) {
		if text == "" || seen[text] {
			t.Errorf("%q is empty or said twice", text)
		}
		seen[text] = true
	}
	for s := NotDue; s <= Died; s++ {
		one(s.String())
	}
	for c := WrongFlags; c <= Ended; c++ {
		one(c.String())
	}
	for r := ByDeleteAdd; r <= ByNewConnection; r++ {
		one(r.String())
	}
}

func TestForesee(t *testing.T) {
	f := situation()
	add := func(id mptcp.AddressID, address string, flags mptcp.EndpointFlags) {
		f.Endpoints = append(f.Endpoints, mptcp.Endpoint{ID: id, Address: netip.MustParseAddr(address), Flags: flags})
		f.Addresses = append(f.Addresses, hostnet.Address{Addr: netip.MustParseAddr(address), IfIndex: 2})
	}
	f.Endpoints[0].Address = netip.MustParseAddr("10.91.9.9") // not on the host: it leaves its place
	add(2, "10.91.1.2", mptcp.FlagSubflow)
	add(3, "fd00::2", mptcp.FlagSubflow)
	add(4, "10.91.3.2", mptcp.FlagSubflow)
	add(5, "10.91.4.2", mptcp.FlagSubflow|mptcp.FlagFullmesh)
	add(6, "10.91.5.2", mptcp.FlagSubflow)
	add(7, "10.91.6.2", mptcp.FlagSignal)
	list := Foresee(*f, at("10.91.1.2:1"), at("10.91.1.1:1"))
	want := []Cause{AddressMissing, FirstAddress, OtherFamily, Waiting, Waiting, LimitReached, WrongFlags}
	if len(list) != len(want) {
		t.Fatalf("%d entries, want %d", len(list), len(want))
	}
	for i := range list {
		check(t, &list[i], want[i])
	}
}
