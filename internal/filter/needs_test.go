package filter

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mptcpctl/mptcp"
)

func TestNeeds(t *testing.T) {
	for _, tt := range []struct {
		in                                                 string
		processes, subflows, events, connection, listeners bool
	}{
		{in: ""},
		{in: "process a or token 1", processes: true, connection: true},
		{in: "not ( dport 1 and fallback )", subflows: true, connection: true},
		{in: "event CLOSED and token 1", events: true},
		{in: "state listening", connection: true, listeners: true},
		{in: "state all", connection: true},
		{in: "state established", connection: true},
	} {
		e := mustParse(t, tt.in)
		got := [5]bool{e.NeedsProcesses(), e.NeedsSubflows(), e.NeedsEvents(), e.NeedsConnection(), e.NamesListeners()}
		want := [5]bool{tt.processes, tt.subflows, tt.events, tt.connection, tt.listeners}
		if got != want {
			t.Errorf("%q: got %v, want %v", tt.in, got, want)
		}
	}
}

func TestTokens(t *testing.T) {
	for in, want := range map[string][]mptcp.Token{
		"token 1":              {1},
		"token 1,2":            {1, 2},
		"fallback and token 3": {3},
		"(token 1 or token 2 and fallback) and dport 1": {1, 2},
		"token 1 or fallback":                           nil, "not token 1": nil, "fallback": nil, "": nil,
	} {
		got, ok := mustParse(t, in).Tokens()
		if !slices.Equal(got, want) || ok != (want != nil) {
			t.Errorf("%q: got %v, %v, want %v", in, got, ok, want)
		}
	}
}

func TestEventTypes(t *testing.T) {
	const (
		subflows  = "SF_ESTABLISHED SF_CLOSED SF_PRIO"
		listeners = "LISTENER_CREATED LISTENER_CLOSED"
		ofToken   = "CREATED ESTABLISHED CLOSED ANNOUNCED REMOVED " + subflows
		all       = ofToken + " " + listeners
	)
	for in, want := range map[string]string{
		"":                               all,
		"event SF_CLOSED":                "SF_CLOSED",
		"not event LISTENER_CREATED":     ofToken + " LISTENER_CLOSED",
		"event CREATED,CLOSED":           "CREATED CLOSED",
		"event CREATED and event CLOSED": "",
		"error ECONNREFUSED":             subflows,
		"not error ECONNREFUSED":         all,
		"token 1":                        ofToken,
		"not token 1":                    all,
		"dport 443":                      ofToken,
		"port 443":                       all,
		"not ( event CREATED or token 1 or not fallback )": "ESTABLISHED CLOSED ANNOUNCED REMOVED " + subflows,
		"side server":   all,
		"side client":   ofToken,
		"subflows >= 2": ofToken,
		"subflows < 2":  all,
		"event SF_CLOSED and reason middlebox or event CREATED": "CREATED SF_CLOSED",
		"event FALLBACK":            "",
		"event SF_FAILED,SF_CLOSED": "SF_CLOSED",
		"not event FALLBACK":        all,
	} {
		var names []string
		for _, typ := range mustParse(t, in).EventTypes() {
			names = append(names, typ.Name())
		}
		if diff := cmp.Diff(strings.Fields(want), names); diff != "" && (want != "" || names != nil) {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
	if e := mustParse(t, "error 111"); !e.CanMatch(77) || !e.CanMatch(mptcp.EventLost) {
		t.Error("an unknown event or a loss is left out")
	}
}

var addresses = []netip.Addr{
	netip.MustParseAddr(
		"10.0.0.1",
	), netip.MustParseAddr("::ffff:10.0.0.2"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1"),
}

func drawTerm(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		"state established", "exclude established", "src 10.0.0.0/31", "dst 10.0.0.2",
		"host 2001:db8::/32", "dst 10.0.0.1:1", "sport > 1", "dport = 2",
		"port <= 1", "dev a", "token 1", "token 2,3", "fallback",
		"subflows >= 1", "subflows = 0", "process a", "process 1", "event CREATED",
		"event SF_CLOSED,LISTENER_CREATED", "reason middlebox", "error 111", "netns b", "side client", "side server",
		"family inet", "backup", "id 1", "event 77", "event FALLBACK",
	}).Draw(t, "term")
}

func drawExpr(t *rapid.T, depth int) string {
	shape := rapid.IntRange(0, 4).Draw(t, "shape")
	if depth == 0 {
		shape = 0
	}
	switch shape {
	case 1:
		return "not ( " + drawExpr(t, depth-1) + " )"
	case 2:
		return "( " + drawExpr(t, depth-1) + " and " + drawExpr(t, depth-1) + " )"
	case 3:
		return "( " + drawExpr(t, depth-1) + " or " + drawExpr(t, depth-1) + " )"
	case 4:
		return "( " + drawExpr(t, depth-1) + " ) ( " + drawExpr(t, depth-1) + " )"
	}
	return drawTerm(t)
}

func drawAddrPort(t *rapid.T) netip.AddrPort {
	return netip.AddrPortFrom(
		rapid.SampledFrom(addresses).Draw(t, "addr"),
		uint16(rapid.IntRange(0, 2).Draw(t, "port")),
	)
}

func drawConnection(t *rapid.T) *mptcp.Connection {
	c := &mptcp.Connection{
		Token: mptcp.Token(
			rapid.IntRange(0, 3).Draw(t, "token"),
		), Side: mptcp.Side(rapid.IntRange(0, 2).Draw(t, "side")),
		State: mptcp.SocketState(rapid.IntRange(1, 12).Draw(t, "state")), Fallback: rapid.Bool().Draw(t, "fallback"),
		Netns: rapid.SampledFrom([]string{"", "b"}).Draw(t, "netns"), Local: drawAddrPort(t), Remote: drawAddrPort(t),
		Processes: []mptcp.Process{{PID: rapid.IntRange(1, 2).Draw(t, "pid"), Name: "a"}},
	}
	for range rapid.IntRange(0, 2).Draw(t, "subflows") {
		c.Subflows = append(c.Subflows, mptcp.Subflow{
			Local: drawAddrPort(
				t,
			), Remote: drawAddrPort(t), LocalID: mptcp.AddressID(rapid.IntRange(0, 2).Draw(t, "id")),
			State: mptcp.SubflowState(
				rapid.IntRange(0, 6).Draw(t, "state"),
			), Device: rapid.SampledFrom([]string{"", "a"}).Draw(t, "dev"),
			BackupLocal: rapid.Bool().Draw(t, "backup"),
		})
	}
	return c
}

// kernelFields are the attributes that the kernel may send with an event.
func kernelFields(typ mptcp.EventType) mptcp.EventField {
	const (
		saddr  = mptcp.FieldSaddr4 | mptcp.FieldSport
		daddr  = mptcp.FieldDaddr4 | mptcp.FieldDport
		common = mptcp.FieldToken
	)
	switch typ {
	case mptcp.EventClosed:
		return common
	case mptcp.EventAnnounced:
		return common | mptcp.FieldRemoteID | daddr
	case mptcp.EventRemoved:
		return common | mptcp.FieldRemoteID
	case mptcp.EventListenerCreated, mptcp.EventListenerClosed:
		return saddr | mptcp.FieldFamily
	case mptcp.EventCreated, mptcp.EventEstablished:
		return common | saddr | daddr | mptcp.FieldFamily | mptcp.FieldLocalID | mptcp.FieldRemoteID | mptcp.FieldFlags | mptcp.FieldServerSide
	}
	return common | saddr | daddr | mptcp.FieldFamily | mptcp.FieldLocalID | mptcp.FieldRemoteID | mptcp.FieldBackup | mptcp.FieldError |
		mptcp.FieldIfIndex | mptcp.FieldResetReason
}

func drawEvent(t *rapid.T) *mptcp.Event {
	typ := rapid.SampledFrom(append(mptcp.EventTypes(), 77)).Draw(t, "type")
	may := kernelFields(typ)
	ev := &mptcp.Event{
		Type: typ, Fields: may&mptcp.EventField(rapid.Uint32().Draw(t, "fields")) | may&mptcp.FieldToken,
		Token: mptcp.Token(
			rapid.IntRange(0, 3).Draw(t, "token"),
		), LocalID: 1, Sport: 1, Dport: 2, Error: 111, ResetReason: mptcp.ResetMiddlebox,
		Flags: mptcp.EventFlags(
			rapid.IntRange(0, 3).Draw(t, "flags"),
		), Netns: rapid.SampledFrom([]string{"", "b"}).Draw(t, "netns"),
		Backup: uint8(rapid.IntRange(0, 1).Draw(t, "backup")), IfIndex: 3,
	}
	if ev.Fields&mptcp.FieldSaddr4 != 0 {
		ev.Source = rapid.SampledFrom(addresses).Draw(t, "saddr")
	}
	if ev.Fields&mptcp.FieldDaddr4 != 0 {
		ev.Destination = rapid.SampledFrom(addresses).Draw(t, "daddr")
	}
	return ev
}

func rapidParse(t *rapid.T, s string) *Expr {
	e, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What the kernel is asked to leave out must not matter to the reader, and the
// canonical form must mean the same.
func TestAnalysesAreConservative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := rapidParse(t, drawExpr(t, 4))
		same := rapidParse(t, e.String())
		ev, c := drawEvent(t), drawConnection(t)
		for _, of := range []*mptcp.Connection{nil, c} {
			matches := e.EventOf(ev, of)
			if matches && !e.CanMatch(ev.Type) {
				t.Fatalf("%q matches %+v, though CanMatch(%v) is false", e, ev, ev.Type)
			}
			if same.EventOf(ev, of) != matches {
				t.Fatalf("%q does not mean the same as its own text", e)
			}
		}
		if !e.NeedsConnection() && e.Event(ev) != e.EventOf(ev, c) {
			t.Fatalf("%q depends on the connection of %+v", e, ev)
		}
		tokens, pinned := e.Tokens()
		if pinned && e.Connection(c) && !slices.Contains(tokens, c.Token) {
			t.Fatalf("%q matches %v, which is not in %v", e, c.Token, tokens)
		}
	})
}

// The laws of a three-valued logic.
func TestLogic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawExpr(t, 2), drawExpr(t, 2)
		ev, c := drawEvent(t), drawConnection(t)
		equal := func(x, y string) {
			ex, ey := rapidParse(t, x), rapidParse(t, y)
			if ex.EventOf(ev, c) != ey.EventOf(ev, c) || ex.Event(ev) != ey.Event(ev) ||
				ex.Connection(c) != ey.Connection(c) ||
				ex.Listener(c) != ey.Listener(c) {
				t.Fatalf("%q and %q differ", ex, ey)
			}
		}
		equal("not ( "+a+" and "+b+" )", "not ( "+a+" ) or not ( "+b+" )")
		equal("not ( "+a+" or "+b+" )", "not ( "+a+" ) not ( "+b+" )")
		equal("! ! ( "+a+" )", a)
		equal(a+" && ( "+b+" )", "( "+b+" ) and ( "+a+" )")
		if rapidParse(t, a).EventOf(ev, c) && rapidParse(t, "not ( "+a+" )").EventOf(ev, c) {
			t.Fatalf("%q and its negation both match", a)
		}
	})
}
