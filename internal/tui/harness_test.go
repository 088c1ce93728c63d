package tui

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/filter"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// golden compares a text with a file of testdata; UPDATE=1 writes it anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// noon is when the states of the tests were taken.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// twoPaths is a client's connection with two subflows, a minute old.
func twoPaths() mptcp.Connection {
	return mptcp.Connection{
		Token: 0x63c070d2, Family: mptcp.FamilyINET, Side: mptcp.SideClient, State: mptcp.StateEstablished,
		Local: ap("10.0.1.2:40000"), Remote: ap("10.0.1.1:443"), Inode: 77, Since: noon.Add(-time.Minute),
		Processes: []mptcp.Process{{PID: 123, Name: "curl"}}, PathManager: "kernel",
		BytesSent: 1_200_000, BytesReceived: 45_600, BytesRetransmitted: 1400,
		Limits: mptcp.ConnectionLimits{Subflows: 1, SubflowsMax: 2},
		Subflows: []mptcp.Subflow{
			{
				Local: ap("10.0.1.2:40000"), Remote: ap("10.0.1.1:443"), Initial: true, State: mptcp.SubflowEstablished,
				TCP:           mptcp.StateEstablished,
				Device:        "eth0",
				RTTMicros:     230,
				BytesSent:     960_000,
				BytesReceived: 45_600,
				Share:         0.8,
			},
			{
				Local: ap("10.0.2.2:50000"), Remote: ap("10.0.1.1:443"), LocalID: 2, State: mptcp.SubflowSilent,
				TCP:          mptcp.StateEstablished,
				Device:       "wlan0",
				RTTMicros:    12_345,
				BytesSent:    240_000,
				Share:        0.2,
				BackupRemote: true,
				Backoff:      3,
			},
		},
	}
}

// fellBack is a server's connection that speaks plain TCP, held by a process with
// a hostile name.
func fellBack() mptcp.Connection {
	return mptcp.Connection{
		Token: 0xa1, Family: mptcp.FamilyINET6, Side: mptcp.SideServer, State: mptcp.StateEstablished, Fallback: true,
		FallbackCause: "MPCapableFallbackSYNACK",
		Local:         ap("[2001:db8::1]:443"), Remote: ap("[2001:db8::2]:50123"), BytesReceived: 999,
		Processes: []mptcp.Process{{PID: 9, Name: "e\x1b[31mvil\u202e"}},
		Subflows: []mptcp.Subflow{
			{
				Local:   ap("[2001:db8::1]:443"),
				Remote:  ap("[2001:db8::2]:50123"),
				Initial: true,
				State:   mptcp.SubflowEstablished,
				Share:   1,
			},
		},
	}
}

// pendingJoin is a client's connection with a join under way.
func pendingJoin() mptcp.Connection {
	c := twoPaths()
	c.Token, c.Processes, c.Since = 0xbeef, nil, noon.Add(-time.Hour)
	c.Local, c.Remote = ap("10.0.1.2:40001"), ap("10.0.9.1:80")
	c.Subflows[0].Local, c.Subflows[0].Remote = c.Local, c.Remote
	c.Subflows[1] = mptcp.Subflow{
		Local:   ap("10.0.2.2:50001"),
		Remote:  c.Remote,
		LocalID: 2,
		State:   mptcp.SubflowPending,
		TCP:     mptcp.StateSynSent,
		Device:  "wlan0",
	}
	return c
}

// facts is what is known of the namespace of the tests.
func facts() track.Snapshot {
	return track.Snapshot{
		Time: noon, PathManager: "kernel",
		Listeners: []netip.AddrPort{ap("0.0.0.0:443")},
		Links: []track.LinkFact{
			{Index: 2, Name: "eth0", Up: true, Carrier: true},
			{Index: 3, Name: "wl\x07an0", Up: true},
		},
		Addresses: []track.AddressFact{
			{Addr: netip.MustParseAddr("10.0.1.2"), IfIndex: 2},
			{Addr: netip.MustParseAddr("10.0.2.2"), IfIndex: 3},
		},
		Endpoints: []mptcp.Endpoint{
			{ID: 2, Address: netip.MustParseAddr("10.0.2.2"), Flags: mptcp.FlagSubflow, IfIndex: 3},
			{ID: 3, Address: netip.MustParseAddr("10.0.3.2"), Flags: mptcp.FlagSubflow | mptcp.FlagBackup},
			{ID: 4, Address: netip.MustParseAddr("2001:db8::1"), Port: 8443, Flags: mptcp.FlagSignal},
		},
		Limits: mptcp.Limits{Subflows: 2, AddAddrAccepted: 1},
	}
}

// world is a state with three connections.
func world() *track.State {
	return track.NewState(noon, []mptcp.Connection{twoPaths(), fellBack(), pendingJoin()}, facts())
}

// crowd is a state with many connections.
func crowd(n int) *track.State {
	all := make([]mptcp.Connection, n)
	for i := range all {
		c := twoPaths()
		c.Token = mptcp.Token(i + 1)
		c.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 443)
		c.BytesSent = uint64(i) * 1000
		all[i] = c
	}
	return track.NewState(noon, all, facts())
}

// event makes an event of the first connection.
func event(after time.Duration, kind mptcp.EventType, more ...func(*mptcp.Event)) track.Delta {
	e := mptcp.Event{Type: kind, Fields: mptcp.FieldToken, Token: 0x63c070d2, Time: noon.Add(-time.Minute + after)}
	for _, f := range more {
		f(&e)
	}
	return track.Delta{Name: kind.String(), Key: mptcp.Key{Token: e.Token}, Event: e}
}

// derived makes an event of the tracker.
func derived(after time.Duration, kind track.Kind, evidence string, more ...func(*mptcp.Event)) track.Delta {
	d := event(after, 0, more...)
	d.Kind, d.Name, d.Confidence, d.Evidence = kind, kind.String(), track.Likely, []string{evidence}
	return d
}

// on gives an event the addresses of a subflow.
func on(local, remote string, localID, remoteID mptcp.AddressID) func(*mptcp.Event) {
	return func(e *mptcp.Event) {
		l, r := ap(local), ap(remote)
		e.Source, e.Sport, e.Destination, e.Dport = l.Addr(), l.Port(), r.Addr(), r.Port()
		e.LocalID, e.RemoteID = localID, remoteID
		e.Fields |= mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport | mptcp.FieldLocalID | mptcp.FieldRemoteID
	}
}

func backup(b uint8) func(*mptcp.Event) {
	return func(e *mptcp.Event) { e.Backup, e.Fields = b, e.Fields|mptcp.FieldBackup }
}

func reset(reason mptcp.ResetReason, errno mptcp.Errno) func(*mptcp.Event) {
	return func(e *mptcp.Event) {
		e.ResetReason, e.Error = reason, errno
		e.Fields |= mptcp.FieldResetReason | mptcp.FieldError
	}
}

func announced(address string, id mptcp.AddressID) func(*mptcp.Event) {
	return func(e *mptcp.Event) {
		e.Destination, e.RemoteID = netip.MustParseAddr(address), id
		e.Fields |= mptcp.FieldDaddr4 | mptcp.FieldRemoteID
	}
}

// history is the first connection's.
func history() []track.Delta {
	initial := on("10.0.1.2:40000", "10.0.1.1:443", 0, 0)
	wlan := on("10.0.2.2:50000", "10.0.1.1:443", 2, 0)
	third := on("10.0.1.2:50002", "10.0.3.1:443", 0, 7)
	return []track.Delta{
		event(0, mptcp.EventCreated, initial),
		event(10*time.Millisecond, mptcp.EventEstablished, initial),
		event(2*time.Second, mptcp.EventAnnounced, announced("10.0.3.1", 7)),
		derived(3*time.Second, track.KindSubflowPending, "its SYN is out", wlan),
		event(9*time.Second, mptcp.EventSubflowEstablished, wlan),
		event(15*time.Second, mptcp.EventSubflowEstablished, third),
		event(20*time.Second, mptcp.EventSubflowPriority, wlan, backup(1)),
		event(30*time.Second, mptcp.EventSubflowClosed, third, reset(mptcp.ResetMiddlebox, 104)),
		event(
			31*time.Second,
			mptcp.EventRemoved,
			func(e *mptcp.Event) { e.RemoteID, e.Fields = 7, e.Fields|mptcp.FieldRemoteID },
		),
		derived(50*time.Second, track.KindSubflowSilent, "the link wl\x07an0 is down", wlan),
	}
}

// report is what the doctor of the tests says.
func report() doctor.Report {
	return doctor.Report{
		Schema: 1, Verdict: doctor.Failure,
		Findings: []doctor.Finding{
			{
				Rule:       "D22",
				Severity:   doctor.Fail,
				Confidence: track.Certain,
				Title:      "the link of endpoint 10.0.2.2 is down",
				Subject:    doctor.Subject{Endpoint: netip.MustParseAddr("10.0.2.2"), Device: "wl\x07an0"},
				Evidence:   []string{"link wl\x07an0: no carrier"}, Fix: []string{"ip link set wlan0 up"},
				Excluded: []doctor.Exclusion{
					{Fact: "nothing leaves by wl\x07an0", Rules: []rule.ID{"D35", "D36"}},
				},
			},
			{Rule: "D10", Severity: doctor.Info, Confidence: track.Possible, Title: "an endpoint is only announced"},
		},
		Connections: []doctor.Connection{{Token: 0x63c070d2, Subflows: 1, PathsPossible: 2, Verdict: doctor.Failure}},
		Unseen:      []doctor.Gap{{What: "the packet filter", Why: "needs root"}},
	}
}

// stage is a model with what drives it in a test.
type stage struct {
	*model
	t      *testing.T
	looked [][]mptcp.Key
	quit   bool
}

// newStage makes a model of 80x24 at noon.
func newStage(t *testing.T, c *Config) *stage {
	t.Helper()
	c.Zone = time.UTC
	s := &stage{t: t}
	s.model = newModel(t.Context(), c, func(keys []mptcp.Key) { s.looked = append(s.looked, keys) })
	s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	return s
}

// send hands messages to the model, and what their commands answer too.
func (s *stage) send(messages ...tea.Msg) {
	for _, msg := range messages {
		for msg != nil {
			_, cmd := s.Update(msg)
			if msg = nil; cmd != nil {
				msg = cmd()
			}
			if _, ok := msg.(tea.QuitMsg); ok {
				s.quit, msg = true, nil
			}
		}
	}
}

// show gives the model a state, after so much time.
func (s *stage) show(after time.Duration, state *track.State, deltas ...track.Delta) {
	s.send(frame{now: noon.Add(after), state: state, deltas: deltas})
}

// press types keys: single characters, and names such as <enter>.
func (s *stage) press(keys string) {
	s.t.Helper()
	named := map[string]tea.KeyPressMsg{
		"<enter>": {Code: tea.KeyEnter}, "<esc>": {Code: tea.KeyEscape}, "<tab>": {Code: tea.KeyTab},
		"<s-tab>": {Code: tea.KeyTab, Mod: tea.ModShift}, "<up>": {Code: tea.KeyUp}, "<down>": {Code: tea.KeyDown},
		"<left>": {Code: tea.KeyLeft}, "<right>": {Code: tea.KeyRight},
		"<home>": {
			Code: tea.KeyHome,
		}, "<end>": {Code: tea.KeyEnd}, "<pgdn>": {Code: tea.KeyPgDown}, "<pgup>": {Code: tea.KeyPgUp},
		"<space>": {Code: tea.KeySpace, Text: " "}, "<bs>": {Code: tea.KeyBackspace}, "<del>": {Code: tea.KeyDelete},
		"<c-c>": {
			Code: 'c',
			Mod:  tea.ModCtrl,
		}, "<c-u>": {Code: 'u', Mod: tea.ModCtrl}, "<c-w>": {Code: 'w', Mod: tea.ModCtrl},
		"<c-k>": {Code: 'k', Mod: tea.ModCtrl},
	}
	for keys != "" {
		if end := strings.IndexByte(keys, '>'); keys[0] == '<' && end > 0 {
			msg, ok := named[keys[:end+1]]
			if ok {
				s.send(msg)
				keys = keys[end+1:]
				continue
			}
		}
		r := []rune(keys)[0]
		if r == ' ' {
			s.send(tea.KeyPressMsg{Code: tea.KeySpace, Text: " "})
		} else {
			s.send(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
		keys = keys[len(string(r)):]
	}
}

// picture returns what is on the screen.
func (s *stage) picture() string { return s.View().Content + "\n" }

// last returns the last line of the screen.
func (s *stage) lastLine() string {
	lines := strings.Split(s.View().Content, "\n")
	return lines[len(lines)-1]
}

func mustFilter(t *testing.T, text string) *filter.Expr {
	t.Helper()
	expr, err := filter.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return expr
}

// answering returns a doctor that always says the same.
func answering(r doctor.Report) func(context.Context) (doctor.Report, error) {
	return func(context.Context) (doctor.Report, error) { return r, nil }
}
