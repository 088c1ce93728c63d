package tui

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"mptcpctl/doctor"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// first is the key of twoPaths.
var first = mptcp.Key{Token: 0x63c070d2}

func TestKeysGoToScreens(t *testing.T) {
	s := newStage(t, &Config{NoDoctor: "none"})
	s.show(0, world())
	for _, step := range []struct {
		keys string
		want Screen
	}{
		{"", Overview}, {"2", Connections}, {"6", Doctor},
		{"<tab>", Overview}, {"<s-tab>", Doctor}, {"<s-tab>", Endpoints},
		{"3", Connection}, {"<esc>", Connections}, {"<down><enter>", Connection},
		{"<esc>4", Events}, {"?5", Events}, {"5", Endpoints},
	} {
		s.press(step.keys)
		if s.screen != step.want {
			t.Fatalf("after %q: screen %v, want %v", step.keys, s.screen, step.want)
		}
	}
	s.press("q")
	if !s.quit {
		t.Error("q does not quit")
	}
}

func TestQuitKeyAlwaysWorks(t *testing.T) {
	for _, keys := range []string{"<c-c>", "?<c-c>", "/abc<c-c>", "5d<c-c>"} {
		s := newStage(t, &Config{Changes: func([]string) (Change, error) { return Change{}, nil }})
		s.show(0, world())
		if s.press(keys); !s.quit {
			t.Errorf("%q does not quit", keys)
		}
	}
}

func TestOpenShowsTheConnectionUnderTheCursor(t *testing.T) {
	s := newStage(t, &Config{})
	s.show(0, world())
	s.press("2<down><enter>")
	if s.subject.Token != 0xbeef || !strings.Contains(s.picture(), "0000beef established client 10.0.1.2:40001") {
		t.Errorf("opened %v:\n%s", s.subject, s.picture())
	}
}

// TestCursorStaysWithItsConnection moves connections about under the cursor.
func TestCursorStaysWithItsConnection(t *testing.T) {
	s := newStage(t, &Config{})
	s.show(0, world())
	s.press("2<down>")
	if s.chosen.Token != 0xbeef {
		t.Fatalf("chosen %v", s.chosen)
	}
	for _, keys := range []string{"s", "s", "s", "s", "s", "r", "t"} {
		if s.press(keys); s.chosen.Token != 0xbeef || s.order.items[s.list.cursor].key.Token != 0xbeef {
			t.Errorf("after %q the cursor is at %v", keys, s.chosen)
		}
	}
	s.show(time.Second, track.NewState(noon, []mptcp.Connection{fellBack(), pendingJoin()}, facts()))
	if s.chosen.Token != 0xbeef {
		t.Errorf("after another connection ended the cursor is at %v", s.chosen)
	}
	s.show(2*time.Second, track.NewState(noon, []mptcp.Connection{fellBack()}, facts()))
	if s.chosen.Token != 0xa1 {
		t.Errorf("after its connection ended the cursor is at %v", s.chosen)
	}
	s.show(3*time.Second, track.NewState(noon, nil, facts()))
	if s.chosen != (mptcp.Key{}) {
		t.Errorf("without connections the cursor is at %v", s.chosen)
	}
	s.press("<enter><down><end><pgdn>f") // and none of it fails
}

func TestSorting(t *testing.T) {
	busy, many := fellBack(), pendingJoin()
	busy.BytesSent = 1e9
	many.Subflows = append(many.Subflows, many.Subflows[1])
	many.Subflows[2].RTTMicros = 1e6
	s := newStage(t, &Config{})
	s.show(0, track.NewState(noon, []mptcp.Connection{twoPaths(), busy, many}, facts()))
	s.press("2")
	for _, want := range []struct {
		keys  string
		order []mptcp.Token
	}{
		{"", []mptcp.Token{0x63c070d2, 0xbeef, 0xa1}},   // address
		{"r", []mptcp.Token{0xa1, 0xbeef, 0x63c070d2}},  // in reverse
		{"rs", []mptcp.Token{0xa1, 0x63c070d2, 0xbeef}}, // bytes
		{"s", []mptcp.Token{0xbeef, 0x63c070d2, 0xa1}},  // subflows
		{"s", []mptcp.Token{0xbeef, 0x63c070d2, 0xa1}},  // round-trip time
		{"s", []mptcp.Token{0xa1, 0xbeef, 0x63c070d2}},  // age: not known is oldest
		{"s", []mptcp.Token{0x63c070d2, 0xbeef, 0xa1}},  // address again
	} {
		s.press(want.keys)
		var got []mptcp.Token
		for _, i := range s.order.items {
			got = append(got, i.key.Token)
		}
		if !slices.Equal(got, want.order) {
			t.Errorf("after %q, by %s: %v, want %v", want.keys, sortingNames[s.listing.by], got, want.order)
		}
	}
}

func TestFilterNarrowsListAndLog(t *testing.T) {
	s := newStage(t, &Config{})
	other := event(time.Second, mptcp.EventClosed)
	other.Key.Token, other.Event.Token = 0xa1, 0xa1
	s.show(0, world(), append(history(), other)...)
	s.press("2/dev wlan0 and token 63c070d2<enter>")
	if got := s.picture(); len(s.order.items) != 1 || !strings.Contains(got, "filter: ") ||
		strings.Contains(got, "0000beef") {
		t.Errorf("the filter lets through:\n%s", got)
	}
	s.press("4")
	if got := s.picture(); strings.Contains(got, "000000a1") || !strings.Contains(got, "63c070d2") {
		t.Errorf("the filter lets through:\n%s", got)
	}
	s.show(time.Second, world(), other)
	if got := s.picture(); strings.Contains(got, "000000a1") {
		t.Errorf("the filter lets a new event through:\n%s", got)
	}
	s.press("2/<c-u>token 12345678<enter>")
	if got := s.picture(); !strings.Contains(got, "no connection matches the filter (there are 3)") {
		t.Errorf("a filter without a match shows:\n%s", got)
	}
	s.press("/<c-u><enter>")
	if s.filter != nil || len(s.order.items) != 3 {
		t.Errorf("an empty line leaves the filter %v", s.filter)
	}
	s.press("/fallback<enter><esc>")
	if s.filter != nil {
		t.Errorf("escape leaves the filter %v", s.filter)
	}
	s.press("/event SF_CLOSED<enter>")
	if got := s.picture(); !strings.Contains(got, "it selects events: screen 4") {
		t.Errorf("a filter for events says nothing on the list:\n%s", got)
	}
}

func TestWrongFilterStaysToBeMended(t *testing.T) {
	s := newStage(t, &Config{})
	s.show(0, world())
	s.press("2/stat<enter>")
	if s.prompt == nil || !strings.Contains(s.picture(), "stat") || s.notice == "" {
		t.Fatalf("a wrong filter shows:\n%s", s.picture())
	}
	s.press("<bs><bs><bs><bs>token a1<enter>")
	if s.prompt != nil || len(s.order.items) != 1 {
		t.Errorf("the mended filter shows:\n%s", s.picture())
	}
	s.press("/xyz<esc>")
	if s.prompt != nil || s.filter.String() != mustFilter(t, "token a1").String() {
		t.Errorf("escape changed the filter to %v", s.filter)
	}
}

func TestLineEditing(t *testing.T) {
	s := newStage(t, &Config{})
	for keys, want := range map[string]string{
		"abc<left><left>X":          "aXbc",
		"abc<home>X<end>Y":          "XabcY",
		"abc<left><del><bs>":        "a",
		"abc def  <c-w>x":           "abc x",
		"abc<left><c-u>":            "c",
		"abc<left><c-k>":            "ab",
		"<bs><del><left><right>é":   "é",
		strings.Repeat("x", 1100):   strings.Repeat("x", longest),
		"a<up><down><tab><pgdn>b":   "ab",
		"a<right><right><bs><bs>12": "12",
	} {
		s.press("/" + keys)
		if got := string(s.prompt.text); got != want {
			t.Errorf("%q gives %q, want %q", keys, got, want)
		}
		if line := s.lastLine(); len([]rune(line)) > s.width {
			t.Errorf("the line is wider than the screen: %q", line)
		}
		if c := s.View().Cursor; c == nil || c.X >= s.width || c.Y != s.height-1 {
			t.Errorf("%q: the cursor is at %v", keys, c)
		}
		s.press("<esc>")
	}
	s.press("/")
	s.send(tea.PasteMsg{Content: "token\x1b[2J a1\n"})
	if got := string(s.prompt.text); got != "token[2J a1" {
		t.Errorf("pasted %q", got)
	}
}

func TestFreeze(t *testing.T) {
	s := newStage(t, &Config{})
	s.show(0, world(), history()...)
	for _, screen := range "245" {
		s.press(string(screen) + "<space>")
		before := s.picture()
		if !strings.Contains(before, "FROZEN at 12:00:0") {
			t.Errorf("nothing says that it is frozen:\n%s", before)
		}
		s.show(0, track.NewState(noon, nil, track.Snapshot{}), event(0, mptcp.EventClosed))
		if got := s.picture(); got != before {
			t.Errorf("it moved:\n%s\nfrom\n%s", got, before)
		}
		s.press("<space>")
		if got := s.picture(); got == before || strings.Contains(got, "FROZEN") {
			t.Errorf("it stays frozen:\n%s", got)
		}
		s.show(0, world())
	}
}

func TestFollow(t *testing.T) {
	s := newStage(t, &Config{})
	other := event(time.Second, mptcp.EventClosed)
	other.Key.Token, other.Event.Token = 0xa1, 0xa1
	s.show(0, world(), append(history(), other)...)
	s.press("f")
	if s.follow || !strings.Contains(s.picture(), "choose a connection first") {
		t.Errorf("without a connection f does:\n%s", s.picture())
	}
	s.press("2f4")
	if got := s.picture(); !strings.Contains(got, "following 63c070d2") || strings.Contains(got, "000000a1") {
		t.Errorf("the log does not follow:\n%s", got)
	}
	s.press("2<down>3")
	if s.subject != first {
		t.Errorf("screen 3 shows %v, want the followed one", s.subject)
	}
	s.press("4<esc>")
	if got := s.picture(); s.follow || !strings.Contains(got, "000000a1") {
		t.Errorf("escape does not end it:\n%s", got)
	}
}

func TestEventsScroll(t *testing.T) {
	s := newStage(t, &Config{})
	var many []track.Delta
	for i := range 100 {
		many = append(many, event(time.Duration(i)*time.Second, mptcp.EventEstablished))
	}
	s.show(0, world(), many...)
	s.press("4<home>")
	if got := s.picture(); !strings.Contains(got, "11:59:00.000") {
		t.Errorf("home does not show the oldest:\n%s", got)
	}
	s.press("<pgdn>")
	if got := s.picture(); strings.Contains(got, "11:59:00.000") || !strings.Contains(got, "11:59:18.000") {
		t.Errorf("a page down shows:\n%s", got)
	}
	s.press("<end>")
	if got := s.picture(); !strings.Contains(got, "12:00:39.000") {
		t.Errorf("end does not show the newest:\n%s", got)
	}
}

func TestLogIsBounded(t *testing.T) {
	s := newStage(t, &Config{})
	for range 10 {
		s.show(0, world(), slices.Repeat([]track.Delta{event(0, mptcp.EventEstablished)}, 1000)...)
	}
	if n := len(s.log.entries); n > logLength*5/4 || n < logLength {
		t.Errorf("%d events are kept, want about %d", n, logLength)
	}
	if n := len(s.log.pick(s.upTo, nil)); n != len(s.log.entries) {
		t.Errorf("%d of %d events are shown", n, len(s.log.entries))
	}
}

// TestOnlyVisibleConnectionsAreAskedFor scrolls through many connections.
func TestOnlyVisibleConnectionsAreAskedFor(t *testing.T) {
	s := newStage(t, &Config{})
	s.show(0, crowd(5000))
	s.press("2<end>")
	keys := s.looked[len(s.looked)-1]
	if len(keys) > 24 || !slices.Contains(keys, mptcp.Key{Token: 5000}) {
		t.Errorf("%d connections are asked for: %v", len(keys), keys)
	}
	if got := s.picture(); !strings.Contains(got, "00001388") {
		t.Errorf("the last connection is not shown:\n%s", got)
	}
	s.press("<enter>")
	if keys := s.looked[len(s.looked)-1]; !slices.Equal(keys, []mptcp.Key{{Token: 5000}}) {
		t.Errorf("for the third screen %v are asked for", keys)
	}
	s.press("1")
	if keys := s.looked[len(s.looked)-1]; len(keys) != 0 {
		t.Errorf("for the overview %v are asked for", keys)
	}
}

// TestListIsInOrderAtMostOnceASecond puts a long list in order.
func TestListIsInOrderAtMostOnceASecond(t *testing.T) {
	s := newStage(t, &Config{})
	s.show(0, crowd(3000))
	s.press("2")
	s.show(100*time.Millisecond, crowd(3001))
	if n := len(s.order.items); n != 3000 {
		t.Errorf("after 100 ms the list has %d items", n)
	}
	s.show(1100*time.Millisecond, crowd(3001))
	if n := len(s.order.items); n != 3001 {
		t.Errorf("after a second the list has %d items", n)
	}
	s.show(1200*time.Millisecond, crowd(2500))
	s.press("<end>")
	if got := s.picture(); !strings.Contains(got, "gone") {
		t.Errorf("a connection that is gone is shown as:\n%s", got)
	}
}

func TestRates(t *testing.T) {
	s := newStage(t, &Config{})
	s.show(0, world())
	s.press("3")
	c := twoPaths()
	for i := range 4 {
		c.Subflows = slices.Clone(c.Subflows)
		c.Subflows[0].BytesSent += 1_500_000
		c.BytesSent += 1_500_000
		s.show(time.Duration(i+1)*time.Second, track.NewState(noon, []mptcp.Connection{c}, facts()))
	}
	golden(t, "rates", s.picture())
	out, in := s.watch.by[first].Total()
	if out != 1_500_000 || in != 0 {
		t.Errorf("out %v in %v, want 1500000 and 0", out, in)
	}
	s.show(6*time.Second, track.NewState(noon, []mptcp.Connection{c}, facts()))
	if out, _ := s.watch.by[first].Total(); out != 0 {
		t.Errorf("out %v after a silence, want 0", out)
	}
	c.Subflows[0].BytesSent = 5 // another socket with the same ports
	s.show(8*time.Second, track.NewState(noon, []mptcp.Connection{c}, facts()))
	if out, _ := s.watch.by[first].Total(); out != 0 {
		t.Errorf("out %v after a counter fell, want 0", out)
	}
}

func TestZoom(t *testing.T) {
	s := newStage(t, &Config{})
	old := twoPaths()
	old.Since = noon.Add(-2 * time.Hour)
	s.show(0, track.NewState(noon, []mptcp.Connection{old}, facts()))
	s.press("3")
	for _, step := range []struct{ keys, want string }{
		{"", " 2h00m "}, {"+", " 1h00m "}, {"+", " 10m00s "}, {"=", " 1m00s "}, {"+", " 10s "},
		{"+", " 10s "}, {"-", " 1m00s "}, {"0", " 2h00m "}, {"-", " 2h00m "},
	} {
		if s.press(step.keys); !strings.Contains(s.picture(), step.want) {
			t.Errorf("after %q the timeline shows not%sbut:\n%s", step.keys, step.want, s.picture())
		}
	}
}

func TestDoctorIsAskedOnlyWhereItIsShown(t *testing.T) {
	asked := 0
	s := newStage(t, &Config{Doctor: func(context.Context) (doctor.Report, error) { asked++; return report(), nil }})
	for i, step := range []struct {
		keys string
		want int
	}{{"", 1}, {"", 1}, {"2", 1}, {"", 1}, {"6", 2}, {"", 2}, {"r", 3}, {"1", 3}, {"", 4}} {
		s.press(step.keys)
		if step.keys == "" || step.keys == "2" {
			s.show(time.Duration(i)*4*time.Second, world())
		}
		if asked != step.want {
			t.Errorf("step %d: asked %d times, want %d", i, asked, step.want)
		}
	}
}

// changes is a kernel for tests of changes.
type changes struct {
	asked [][]string
	made  int
	err   error
}

func (c *changes) plan(words []string) (Change, error) {
	if slices.Contains(words, "wrong") {
		return Change{}, errors.New("what is wr\x1bong")
	}
	c.asked = append(c.asked, words)
	return Change{Text: strings.Join(words, " "), Make: func(context.Context) error { c.made++; return c.err }}, nil
}

func TestChanges(t *testing.T) {
	for _, step := range []struct {
		keys  string
		words string // of the change that is proposed
		made  int
		shown string
	}{
		{"5dn", "endpoint delete id 2", 0, "nothing changed"},
		{"5d<enter>", "endpoint delete id 2", 0, "nothing changed"},
		{"5<down>dy", "endpoint delete id 3", 1, "done: endpoint delete id 3"},
		{"5a10.0.3.2 dev eth1 subflow<enter>y", "endpoint add 10.0.3.2 dev eth1 subflow", 1, "done: endpoint add"},
		{"5a10.0.3.2 subflow<enter>", "endpoint add 10.0.3.2 subflow", 0, "mptcpctl endpoint add 10.0.3.2 subflow: " +
			"do it? y/n"},
		{"5awrong<enter>", "", 0, `what is wr\x1bong`},
		{"5a<esc>", "", 0, "d delete"},
		{"5l<enter>y", "limits set subflows 2 add_addr_accepted 1", 1, "done: limits set"},
		{"5l<c-u>subflows 4<enter>y", "limits set subflows 4", 1, "done: limits set subflows 4"},
		{"2ad", "", 0, "connections]"}, // not on another screen
	} {
		c := &changes{}
		s := newStage(t, &Config{Changes: c.plan})
		s.show(0, world())
		s.press(step.keys)
		words := ""
		if len(c.asked) > 0 {
			words = strings.Join(c.asked[0], " ")
		}
		if words != step.words || c.made != step.made || !strings.Contains(s.picture(), step.shown) {
			t.Errorf(
				"%q: proposed %q, made %d, want %q, %d and %q on:\n%s",
				step.keys,
				words,
				c.made,
				step.words,
				step.made,
				step.shown,
				s.picture(),
			)
		}
	}
}

func TestChangeThatIsRefused(t *testing.T) {
	c := &changes{err: errors.New("address not found")}
	s := newStage(t, &Config{Changes: c.plan})
	s.show(0, world())
	if s.press("5dy"); !strings.Contains(s.picture(), "endpoint delete id 2: address not found") {
		t.Errorf("a refusal shows:\n%s", s.picture())
	}
}

func TestReadOnly(t *testing.T) {
	s := newStage(t, &Config{})
	s.show(0, world())
	for _, key := range "adl" {
		s.press("5" + string(key))
		if s.prompt != nil || s.confirm != nil ||
			!strings.Contains(s.picture(), "read-only: start top with --allow-changes") {
			t.Errorf("%c does:\n%s", key, s.picture())
		}
	}
}

func TestErrorEndsTheView(t *testing.T) {
	s := newStage(t, &Config{})
	s.send(frame{now: noon, state: world(), err: errors.New("netlink is gone")})
	if !s.quit || s.err == nil {
		t.Errorf("quit %v, error %v", s.quit, s.err)
	}
}

func TestEndOfARecordingIsSaid(t *testing.T) {
	s := newStage(t, &Config{})
	s.send(frame{now: noon, state: world(), ended: true})
	if s.quit || !strings.Contains(s.picture(), "the recording has ended") {
		t.Errorf("the end shows:\n%s", s.picture())
	}
}

// TestUnchangedFramesAreTheSameText: what does not change need not be drawn.
func TestUnchangedFramesAreTheSameText(t *testing.T) {
	s := newStage(t, &Config{Color: true})
	s.show(0, world(), history()...)
	for _, keys := range []string{"1", "2", "4", "5"} {
		s.press(keys)
		before := s.picture()
		s.show(0, world())
		if s.picture() != before {
			t.Errorf("screen %s changed by itself", keys)
		}
	}
}
