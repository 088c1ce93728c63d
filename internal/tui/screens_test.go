package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"mptcpctl/doctor"
	"mptcpctl/internal/story"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// TestScreens draws every screen at 80x24, in Unicode, in ASCII and in colour.
func TestScreens(t *testing.T) {
	for _, screen := range []Screen{Overview, Connections, Connection, Events, Endpoints, Doctor} {
		for _, form := range []string{"unicode", "ascii", "color", "wide"} {
			name := screen.String() + "-" + form
			t.Run(name, func(t *testing.T) {
				s := newStage(
					t,
					&Config{
						ASCII:  form == "ascii",
						Color:  form == "color",
						Doctor: answering(report()),
						Title:  "ne\x1btns",
					},
				)
				if form == "wide" {
					s.width, s.height = 132, 40
				}
				s.show(0, world(), history()...)
				s.show(time.Second, world())
				s.press("2" + itoa(int(screen)))
				got := s.picture()
				golden(t, name, got)
				checkPicture(t, s, got)
			})
		}
	}
}

// checkPicture holds a picture against what is true of every one.
func checkPicture(t *testing.T, s *stage, picture string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(picture, "\n"), "\n")
	if len(lines) != s.height {
		t.Errorf("%d lines on a screen of %d", len(lines), s.height)
	}
	for i, line := range lines {
		if w := ansi.StringWidth(line); w > s.width {
			t.Errorf("line %d is %d columns wide on a screen of %d: %q", i, w, s.width, line)
		}
		bare := ansi.Strip(line)
		if !s.color && bare != line {
			t.Errorf("line %d has escape sequences without colour: %q", i, line)
		}
		for _, r := range bare {
			if r < 0x20 || r == 0x7f || r == '\u202e' || s.ascii && r > 0x7e {
				t.Errorf("line %d has the character %q: %q", i, r, line)
			}
		}
	}
}

// TestSizes draws every screen at sizes that no one should use.
func TestSizes(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {2, 3}, {20, 5}, {40, 10}, {79, 23}, {300, 100}} {
		s := newStage(t, &Config{Doctor: answering(report()), ASCII: true})
		s.width, s.height = size[0], size[1]
		s.show(0, world(), history()...)
		for _, keys := range []string{"1", "2", "3", "4", "5", "6", "?", "?/", "<esc>2<end>", "<home>4<pgup>", "3<end>"} {
			s.press(keys)
			t.Run(fmt.Sprint(size, keys), func(t *testing.T) { checkPicture(t, s, s.picture()) })
		}
	}
}

// TestEmpty draws every screen where there is nothing.
func TestEmpty(t *testing.T) {
	s := newStage(t, &Config{NoEvents: "no events: needs CAP_NET_ADMIN", NoDoctor: "this is a recording"})
	s.show(0, track.NewState(noon, nil, track.Snapshot{}))
	var all strings.Builder
	for _, key := range "123456?" {
		s.press(string(key))
		all.WriteString(s.picture())
	}
	golden(t, "empty", all.String())
}

// TestTimeline draws timelines of one connection's history.
func TestTimeline(t *testing.T) {
	connection, gone := twoPaths(), twoPaths()
	gone.Subflows = gone.Subflows[:1]
	closed := []track.ClosedSubflow{{
		Subflow: mptcp.Subflow{Local: ap("10.0.1.2:50002"), Remote: ap("10.0.3.1:443"), RemoteID: 7, Device: "eth0"},
		At:      noon.Add(-30 * time.Second), Event: history()[7].Event,
	}}
	failed := append(
		history()[:3:3],
		derived(5*time.Second, track.KindSubflowPending, "", on("10.0.2.2:50000", "10.0.1.1:443", 2, 0)),
		derived(
			35*time.Second,
			track.KindSubflowFailed,
			"no answer to its \x1bSYN",
			on("10.0.2.2:50000", "10.0.1.1:443", 2, 0),
		),
	)
	fell := append(
		history()[:2:2],
		derived(time.Second, track.KindFallback, "counter rose", on("10.0.1.2:40000", "10.0.1.1:443", 0, 0)),
		track.Delta{Kind: track.KindResync, Name: "RESYNC", Event: mptcp.Event{Time: noon.Add(-10 * time.Second)}},
	)
	fell[2].Cause = "DSSCorruptionFallback"
	stranger := twoPaths()
	stranger.Since = time.Time{}
	for name, c := range map[string]struct {
		facts story.Facts
		span  time.Duration
	}{
		"history":     {facts: story.Facts{Connection: connection, Closed: closed, History: history()}},
		"zoomed":      {facts: story.Facts{Connection: connection, Closed: closed, History: history()}, span: 10 * time.Second},
		"closed-only": {facts: story.Facts{Connection: gone, Closed: closed}},
		"failed":      {facts: story.Facts{Connection: gone, History: failed}},
		"fallback":    {facts: story.Facts{Connection: gone, History: fell}},
		"ended": {facts: story.Facts{
			Connection: connection, Closed: closed, History: history(),
			Ended: &track.Ended{At: noon.Add(-5 * time.Second), How: track.HowAborted},
		}},
		"older-than-top": {facts: story.Facts{Connection: stranger}},
	} {
		for _, ascii := range []bool{false, true} {
			form := "timeline-" + name
			if ascii {
				form += "-ascii"
			}
			t.Run(form, func(t *testing.T) {
				c.facts.Now = noon
				d := detail{look: &look{ascii: ascii, zone: time.UTC}, facts: &c.facts, span: c.span, width: 80}
				lines := d.render()
				for i := range lines {
					lines[i] = strings.TrimRight(lines[i], " ")
				}
				golden(t, form, strings.Join(lines, "\n")+"\n")
			})
		}
	}
}

// TestDoctorScreen draws what the doctor may answer.
func TestDoctorScreen(t *testing.T) {
	healthy := doctor.Report{}
	for name, c := range map[string]struct {
		diagnosis diagnosis
		want      string // on the screen of its own
		verdict   string // on the overview
	}{
		"missing": {diagnosis{missing: "reasons"}, "not available here: reasons", "not available: reasons"},
		"failed":  {diagnosis{err: errors.New("x\x1b")}, `doctor failed: x\x1b`, `not available: x\x1b`},
		"waiting": {diagnosis{}, "is running", "is running"},
		"healthy": {diagnosis{report: &healthy}, "healthy  0 findings", "healthy"},
	} {
		l := &look{zone: time.UTC}
		if got := strings.Join((&findings{l, &c.diagnosis}).render(), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s: the screen %q lacks %q", name, got, c.want)
		}
		if got := strings.Join(c.diagnosis.verdict(l), "\n"); !strings.Contains(got, c.verdict) {
			t.Errorf("%s: the overview %q lacks %q", name, got, c.verdict)
		}
	}
}

// TestOverviewSaysWhoCarriesWhat: the overview has the rates of devices and of the connections
// that move most, and stops while it is frozen.
func TestOverviewSaysWhoCarriesWhat(t *testing.T) {
	s := newStage(t, &Config{})
	s.width = 100
	at := func(seconds int, sent uint64) *track.State {
		c, n := twoPaths(), facts()
		c.Subflows[0].BytesSent += sent
		n.Time = noon.Add(time.Duration(seconds) * time.Second)
		return track.NewState(n.Time, []mptcp.Connection{c, pendingJoin()}, n)
	}
	s.show(0, at(0, 0))
	s.show(10*time.Second, at(10, 5_000_000))
	for _, want := range []string{
		"eth0            500kB/s      0B/s         2    0.23ms  10.0.1.2",
		"63c070d2        500kB/s      0B/s         2  10.0.1.2:40000 > 10.0.1.1:443 curl[123]",
	} {
		if got := s.picture(); !strings.Contains(got, want) {
			t.Errorf("the overview lacks %q:\n%s", want, got)
		}
	}
	s.press(" ")
	s.show(20*time.Second, at(20, 50_000_000))
	if got := s.picture(); !strings.Contains(got, "eth0            500kB/s") {
		t.Errorf("a frozen overview moves:\n%s", got)
	}
}
