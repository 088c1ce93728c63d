package story_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/source/recording"
	"mptcpctl/internal/story"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

var began = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// script makes the history of a connection.
type script struct {
	facts story.Facts
	at    time.Time
}

func newScript() *script {
	return &script{facts: story.Facts{Now: began.Add(time.Minute)}, at: began}
}

// sub is the second subflow, initial the first.
var (
	initial = mptcp.Subflow{
		Local: netip.MustParseAddrPort("10.0.1.2:4000"), Remote: netip.MustParseAddrPort("10.0.1.1:80"),
		Initial: true, State: mptcp.SubflowEstablished,
	}
	second = mptcp.Subflow{
		Local: netip.MustParseAddrPort("10.0.2.2:5000"), Remote: netip.MustParseAddrPort("10.0.1.1:80"),
		LocalID: 2, Device: "eth1", State: mptcp.SubflowEstablished,
	}
)

// add appends a delta of the subflow, a second after the one before; nil is none.
func (s *script) add(d track.Delta, sub *mptcp.Subflow) *script {
	e := &d.Event
	e.Time = s.at
	s.at = s.at.Add(time.Second)
	if sub != nil {
		e.Source, e.Sport, e.Destination, e.Dport = sub.Local.Addr(), sub.Local.Port(), sub.Remote.Addr(), sub.Remote.Port()
		e.LocalID = sub.LocalID
		e.Fields |= mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport | mptcp.FieldLocalID
	}
	if d.Name == "" {
		d.Name = e.Type.String()
	}
	s.facts.History = append(s.facts.History, d)
	return s
}

// event appends an event of the kernel.
func (s *script) event(t mptcp.EventType, sub *mptcp.Subflow) *script {
	return s.add(track.Delta{Event: mptcp.Event{Type: t}}, sub)
}

// derived appends an event that the tracker derived.
func (s *script) derived(k track.Kind, sub *mptcp.Subflow, evidence ...string) *script {
	return s.add(track.Delta{Kind: k, Name: k.String(), Evidence: evidence}, sub)
}

// text returns a story in short.
func text(s *story.Story) string {
	second := func(t time.Time) string {
		if t.IsZero() {
			return "?"
		}
		return fmt.Sprint(t.Sub(began).Seconds())
	}
	marks := func(list []story.Mark) (out string) {
		for _, m := range list {
			out += fmt.Sprintf(" %v@%s", m.Kind, second(m.At))
		}
		return out
	}
	var b strings.Builder
	for _, l := range s.Lanes {
		fmt.Fprintf(&b, "%v %v:", l.Local.Addr(), l.Remote.Addr())
		for _, part := range l.Stretches {
			fmt.Fprintf(&b, " %v from %s", part.State, second(part.From))
		}
		if !l.End.IsZero() {
			fmt.Fprintf(&b, " until %s (%s)", second(l.End), l.Reason)
		}
		b.WriteString(marks(l.Marks) + "\n")
	}
	b.WriteString("all from " + second(s.From))
	if !s.End.IsZero() {
		b.WriteString(" until " + second(s.End) + " " + s.How.String())
	}
	return b.String() + marks(s.Marks)
}

func TestTell(t *testing.T) {
	reset := track.Delta{Event: mptcp.Event{
		Type: mptcp.EventSubflowClosed, Fields: mptcp.FieldResetReason | mptcp.FieldError, ResetReason: 6, Error: 104,
	}}
	prio := track.Delta{Event: mptcp.Event{Type: mptcp.EventSubflowPriority, Backup: 1}}
	for name, test := range map[string]struct {
		script *script
		live   []mptcp.Subflow
		ended  *track.Ended
		want   string
	}{
		"two subflows, one reset": {
			script: newScript().event(mptcp.EventCreated, &initial).event(mptcp.EventEstablished, &initial).
				event(mptcp.EventSubflowEstablished, &second).add(prio, &second).add(reset, &second),
			live: []mptcp.Subflow{initial},
			want: "10.0.1.2 10.0.1.1: established from 0\n" +
				"10.0.2.2 10.0.1.1: established from 2 until 4 (reset: middlebox, ECONNRESET) begin@2 backup@3 " +
				"end@4\n" +
				"all from 0 begin@0 begin@1",
		},
		"a join that fails": {
			script: newScript().event(mptcp.EventCreated, &initial).derived(track.KindSubflowPending, &second, "SYN").
				derived(track.KindSubflowFailed, &second, "no answer"),
			live: []mptcp.Subflow{initial},
			want: "10.0.1.2 10.0.1.1: established from 0\n" +
				"10.0.2.2 10.0.1.1: pending from 1 until 2 (failed: no answer) changed@1 end@2\nall from 0 begin@0",
		},
		"a subflow that the peer no longer answers, and that comes back": {
			script: newScript().event(mptcp.EventSubflowEstablished, &second).derived(track.KindSubflowSilent, &second).
				derived(track.KindSubflowStale, &second),
			live: []mptcp.Subflow{second},
			want: "10.0.2.2 10.0.1.1: established from 0 silent from 1 stale from 2 established from 60" +
				" begin@0 changed@1 changed@2\nall from 0",
		},
		"a fallback that names no subflow is the initial one's": {
			script: newScript().event(mptcp.EventCreated, &initial).derived(track.KindFallback, nil),
			live:   []mptcp.Subflow{initial},
			want:   "10.0.1.2 10.0.1.1: established from 0 fallback@1\nall from 0 begin@0",
		},
		"ended": {
			script: newScript().event(mptcp.EventCreated, &initial).event(mptcp.EventAnnounced, nil).event(mptcp.EventRemoved, nil).
				event(mptcp.EventLost, nil).derived(track.KindResync, nil).derived(track.KindAborted, nil),
			ended: &track.Ended{At: began.Add(9 * time.Second), How: track.HowAborted},
			want: "10.0.1.2 10.0.1.1: established from 0 until 9 (with the connection)\n" +
				"all from 0 until 9 aborted begin@0 announced@1 removed@2 gap@3 gap@4 end@5",
		},
		"older than the tracker": {
			script: newScript(),
			live:   []mptcp.Subflow{second},
			want:   "10.0.2.2 10.0.1.1: established from ?\nall from 60",
		},
		"the same ports once more": {
			script: newScript().event(mptcp.EventSubflowEstablished, &second).event(mptcp.EventSubflowClosed, &second).
				event(mptcp.EventSubflowEstablished, &second),
			live: []mptcp.Subflow{second},
			want: "10.0.2.2 10.0.1.1: established from 0 established from 2 begin@0 end@1 begin@2\nall from 0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			facts := &test.script.facts
			facts.Connection.Subflows, facts.Ended = test.live, test.ended
			if got := text(story.Tell(facts)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	s := newScript().event(mptcp.EventCreated, &initial)
	s.facts.Closed = []track.ClosedSubflow{{Subflow: second, At: began.Add(2 * time.Second)}}
	s.facts.Ended = &track.Ended{At: began.Add(3 * time.Second), How: track.HowClosed}
	got, err := json.Marshal(story.Tell(&s.facts))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"from":"2026-12-01T12:00:00Z","end":"2026-12-01T12:00:03Z","how":"closed","lanes":[` +
		`{"local":"10.0.1.2:4000","remote":"10.0.1.1:80","local_id":0,"remote_id":0,"device":"","initial":true,"backup":false,` +
		`"segments":[{"state":"established","from":"2026-12-01T12:00:00Z","to":"2026-12-01T12:00:03Z"}],"marks":[],` +
		`"end":"2026-12-01T12:00:03Z","reason":"closed"},` +
		`{"local":"10.0.2.2:5000","remote":"10.0.1.1:80","local_id":2,"remote_id":0,"device":"eth1","initial":false,"backup":false,` +
		`"segments":[{"state":"unknown","from":"2026-12-01T12:00:00Z","to":"2026-12-01T12:00:02Z"}],"marks":[],` +
		`"end":"2026-12-01T12:00:02Z"}],` +
		`"marks":[{"time":"2026-12-01T12:00:00Z","kind":"begin","event":"CREATED"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestStoriesOfRecordings holds the stories of all connections of the recordings
// against their states: each subflow has one lane, in the state that it has, and time
// goes on in each.
func TestStoriesOfRecordings(t *testing.T) {
	names, err := filepath.Glob("../source/recording/testdata/*/*.pcapng*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	lanes := 0
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			r, err := recording.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			tracker := track.New(r, recording.TrackWhole())
			if err := tracker.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			state := tracker.State()
			for c := range state.All() {
				lanes += checkStory(t, state, c.Key)
			}
			for e := range state.Ended() {
				lanes += checkStory(t, state, e.Key)
			}
		})
	}
	if lanes < len(names) {
		t.Errorf("%d lanes in %d recordings", lanes, len(names))
	}
}

// checkStory checks the story of a connection and returns how many lanes it has.
func checkStory(t *testing.T, state *track.State, k mptcp.Key) int {
	t.Helper()
	facts, ok := story.Gather(state, k, state.Time())
	if !ok {
		t.Fatalf("%v is in the state, and has no story", k)
	}
	s := story.Tell(facts)
	for _, l := range s.Lanes {
		at := s.From
		for _, part := range l.Stretches {
			if !part.From.IsZero() && part.From.Before(at) {
				t.Errorf("%v, %v: %v begins at %v, before %v", k, l.Local, part.State, part.From, at)
			}
			if !part.From.IsZero() {
				at = part.From
			}
		}
		if !l.End.IsZero() && l.End.Before(at) || !s.End.IsZero() && l.End.IsZero() {
			t.Errorf("%v, %v: it ends at %v, after %v; the connection at %v", k, l.Local, l.End, at, s.End)
		}
		if other, _ := s.Lane(l.Local, l.Remote); other != l {
			t.Errorf("%v has two lanes from %v to %v", k, l.Local, l.Remote)
		}
	}
	for i := range facts.Connection.Subflows {
		f := &facts.Connection.Subflows[i]
		l, _ := s.Lane(f.Local, f.Remote)
		if l == nil {
			t.Errorf("%v has no lane of %v", k, f.Local)
		} else if last := l.Stretches[len(l.Stretches)-1].State; facts.Ended == nil && last != f.State {
			t.Errorf("%v, %v: the lane ends with %v, the subflow is %v", k, f.Local, last, f.State)
		}
	}
	return len(s.Lanes)
}
