package filter

import (
	"net/netip"
	"testing"

	"mptcpctl/mptcp"
)

func mustParse(t testing.TB, s string) *Expr {
	t.Helper()
	e, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func connection() *mptcp.Connection {
	return &mptcp.Connection{
		Token:  0x910da67,
		Netns:  "blue",
		Family: mptcp.FamilyINET6,
		Side:   mptcp.SideClient,
		State:  mptcp.StateEstablished,
		Local:  netip.MustParseAddrPort("192.0.2.2:41000"), Remote: netip.MustParseAddrPort("198.51.100.1:443"),
		Processes: []mptcp.Process{{PID: 77, Name: "curl"}, {PID: 78, Name: "exactly-fifteen"}},
		Subflows: []mptcp.Subflow{
			{
				Local: netip.MustParseAddrPort("192.0.2.2:41000"), Remote: netip.MustParseAddrPort("198.51.100.1:443"),
				Initial: true, State: mptcp.SubflowEstablished, Device: "eth0",
			},
			{
				Local: netip.MustParseAddrPort(
					"[2001:db8::3]:50001",
				), Remote: netip.MustParseAddrPort("[2001:db8:1::1]:8443"),
				LocalID: 3, RemoteID: 4, State: mptcp.SubflowEstablished, Device: "wlan0", BackupLocal: true,
			},
			{State: mptcp.SubflowPending, Local: netip.MustParseAddrPort("192.0.2.9:0")},
		},
	}
}

func TestConnection(t *testing.T) {
	c := connection()
	for expr, want := range map[string]bool{
		"state established": true, "state connected": true, "state closed": false, "exclude established": false,
		"src 192.0.2.2": true, "src 192.0.2.0/24": true, "src 192.0.3.0/24": false, "src 198.51.100.1": false,
		"src ::ffff:192.0.2.2": true, "dst 2001:db8:1::/48": true, "dst :443": true, "dst :8443": true,
		"dst 198.51.100.1:8443": false, "host 198.51.100.1": true, "host 192.0.2.2": true, "host 192.0.2.2:443": false,
		"sport 41000":    true,
		"sport > 50000":  true,
		"sport > 50001":  false,
		"sport >= 50001": true,
		"dport < 443":    false,
		"dport <= 443":   true, "port 443": true, "port 41000": true, "port 1": false, "dport != 443": false,
		"dst 198.51.100.1 and sport 50001": true,
		"dev wlan0":                        true, "dev eth1": false, "dev != eth1": true,
		"token 910da67": true, "token 1,910DA67": true, "token 1": false,
		"fallback": false, "not fallback": true,
		"subflows 2": true, "subflows >= 3": false, "subflows > 1": true, "subflows != 2": false,
		"process curl":                 true,
		"proc 77":                      true,
		"process 79":                   false,
		"process exactly-fifteen-plus": true,
		"process exactly":              false,
		"netns blue":                   true, `netns ""`: false, "side client": true, "side server": false, "not side server": true,
		"family inet": true, "family inet6": true, "backup": true, "id 3": true, "id 4": true, "id 9": false,
		"event CREATED": false, "not event CREATED": false, "event CREATED or id 3": true, "reason 0": false,
		"(backup or fallback) and dev wlan0": true, "not (backup or fallback)": false, "": true,
	} {
		if got := mustParse(t, expr).Connection(c); got != want {
			t.Errorf("%q: got %v, want %v", expr, got, want)
		}
	}
	c.Side = mptcp.SideUnknown
	for _, expr := range []string{"side client", "not side client"} {
		if mustParse(t, expr).Connection(c) {
			t.Errorf("%q: matches where the side is unknown", expr)
		}
	}
}

func TestListener(t *testing.T) {
	c := &mptcp.Connection{State: mptcp.StateListen, Local: netip.MustParseAddrPort("[::]:443")}
	for expr, want := range map[string]bool{
		"":                true,
		"state listening": true,
		"state connected": false,
		"sport 443":       true,
		"src ::":          true,
		"dport 443":       false,
		"not dport 443":   true,
		"port 443":        true,
		"subflows 0":      true,
		"token 0":         false,
		"side server":     true,
		"fallback":        false,
		"id 0":            false,
		"backup":          false, "dst ::": false,
	} {
		if got := mustParse(t, expr).Listener(c); got != want {
			t.Errorf("%q: got %v, want %v", expr, got, want)
		}
	}
}

func subflowClosed() *mptcp.Event {
	return &mptcp.Event{
		Type: mptcp.EventSubflowClosed,
		Fields: mptcp.FieldToken | mptcp.FieldFamily | mptcp.FieldLocalID | mptcp.FieldRemoteID | mptcp.FieldSaddr6 | mptcp.FieldDaddr6 |
			mptcp.FieldSport | mptcp.FieldDport | mptcp.FieldBackup | mptcp.FieldError | mptcp.FieldIfIndex | mptcp.FieldResetReason,
		Token: 0x910da67, Family: mptcp.FamilyINET6, LocalID: 3, RemoteID: 4,
		Source: netip.MustParseAddr(
			"::ffff:10.0.0.3",
		), Sport: 50001, Destination: netip.MustParseAddr("2001:db8:1::1"), Dport: 8443,
		Error: 104, ResetReason: mptcp.ResetMiddlebox, IfIndex: 3, Netns: "blue",
	}
}

func TestEvent(t *testing.T) {
	ev := subflowClosed()
	c := connection()
	names := func(i int32) string { return map[int32]string{3: "wlan0"}[i] }
	for expr, want := range map[string]struct{ alone, with bool }{
		"":                {true, true},
		"event SF_CLOSED": {true, true}, "event CLOSED": {false, false}, "not event CLOSED": {true, true},
		"reason middlebox":  {true, true},
		"reason 0":          {false, false},
		"error ECONNRESET":  {true, true},
		"error 110":         {false, false},
		"src 10.0.0.0/8":    {true, true},
		"src 192.0.2.2":     {false, false},
		"dst 2001:db8::/32": {true, true},
		"dport 8443":        {true, true},
		"dport 443":         {false, false},
		"not dport 443":     {true, true},
		"port > 60000":      {false, false},
		"family inet":       {true, true},
		"token 910da67":     {true, true}, "netns blue": {true, true}, "id 4": {true, true}, "id 0": {false, false},
		"dev wlan0": {true, true}, "dev eth0": {false, false},
		"state established":           {false, true},
		"not state established":       {false, false},
		"subflows >= 2":               {false, true},
		"subflows < 2":                {false, false},
		"process curl":                {false, true},
		"side client":                 {false, true},
		"fallback":                    {false, false},
		"not fallback":                {false, true},
		"fallback or dport 8443":      {true, true},
		"fallback and dport 8443":     {false, false},
		"not fallback and dport 8443": {false, true},
		"backup":                      {false, false},
	} {
		e := mustParse(t, expr).WithDevices(names)
		if got := e.Event(ev); got != want.alone {
			t.Errorf("%q: got %v alone, want %v", expr, got, want.alone)
		}
		if got := e.EventOf(ev, c); got != want.with {
			t.Errorf("%q: got %v with the connection, want %v", expr, got, want.with)
		}
	}
}

func TestEventWithFewFields(t *testing.T) {
	closed := &mptcp.Event{Type: mptcp.EventClosed, Fields: mptcp.FieldToken, Token: 0x910da67}
	for expr, want := range map[string]struct{ alone, with bool }{
		"dport 443":            {false, true},
		"not dport 443":        {false, false},
		"token 910da67":        {true, true},
		"dev wlan0":            {false, true},
		"backup":               {false, true},
		"id 3":                 {false, true},
		"error ECONNRESET":     {false, false},
		"not error ECONNRESET": {true, true},
	} {
		e := mustParse(t, expr)
		if got := e.Event(closed); got != want.alone {
			t.Errorf("%q: got %v alone, want %v", expr, got, want.alone)
		}
		if got := e.EventOf(closed, connection()); got != want.with {
			t.Errorf("%q: got %v with the connection, want %v", expr, got, want.with)
		}
	}
}

// A subflow's event is about that subflow, whatever the others of the connection
// are.
func TestEventOfOneSubflow(t *testing.T) {
	ev := subflowClosed()
	ev.Fields &^= mptcp.FieldIfIndex
	c := connection()
	for _, expr := range []string{"dev wlan0", "dev eth0", "backup"} {
		if mustParse(t, expr).EventOf(ev, c) {
			t.Errorf("%q: matches by another subflow", expr)
		}
	}
	c.Subflows[1].Local = netip.MustParseAddrPort("10.0.0.3:50001")
	for expr, want := range map[string]bool{"dev wlan0": true, "dev eth0": false, "backup": true} {
		if got := mustParse(t, expr).EventOf(ev, c); got != want {
			t.Errorf("%q: got %v, want %v", expr, got, want)
		}
	}
}

func TestListenerEvent(t *testing.T) {
	ev := &mptcp.Event{
		Type: mptcp.EventListenerCreated, Fields: mptcp.FieldFamily | mptcp.FieldSaddr4 | mptcp.FieldSport,
		Family: mptcp.FamilyINET, Source: netip.MustParseAddr("0.0.0.0"), Sport: 443,
	}
	for expr, want := range map[string]bool{
		"sport 443":         true,
		"dport 443":         false,
		"not dport 443":     true,
		"state listening":   true,
		"token 1":           false,
		"not token 1":       true,
		"process nginx":     false,
		"not process nginx": false,
		"port 443":          true,
		"host 0.0.0.0":      true,
		"side server":       true,
	} {
		if got := mustParse(t, expr).EventOf(ev, connection()); got != want {
			t.Errorf("%q: got %v, want %v", expr, got, want)
		}
	}
}

func TestLossAlwaysMatches(t *testing.T) {
	if !mustParse(t, "event CREATED and token 1").Event(&mptcp.Event{Type: mptcp.EventLost, Lost: 3}) {
		t.Error("a loss was filtered out")
	}
}

func TestEventAllocatesNothing(t *testing.T) {
	e := mustParse(
		t,
		"not fallback and ( dport = :443 or dst 2001:db8::/32 ) and not process 12 and event SF_CLOSED and dev wlan0",
	).
		WithDevices(func(int32) string { return "wlan0" })
	ev, c := subflowClosed(), connection()
	if n := testing.AllocsPerRun(100, func() { e.EventOf(ev, c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEvent(b *testing.B) {
	for _, s := range []string{"event SF_CLOSED", "dport = :8443 and not error ECONNREFUSED", "( src 10.0.0.0/8 or " +
		"src 192.168.0.0/16 ) and dst [2001:db8::]/32:8443 and not backup"} {
		b.Run(s, func(b *testing.B) {
			e, ev := mustParse(b, s), subflowClosed()
			b.ReportAllocs()
			for b.Loop() {
				e.Event(ev)
			}
		})
	}
}
