package ledger

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"mptcpctl/mptcp"
)

// TestAttemptEnded: what the end of a join leaves of its causes, by its events alone.
func TestAttemptEnded(t *testing.T) {
	const never, none = time.Duration(-1), mptcp.ResetReason(255)
	type closing struct {
		after  time.Duration // it came up, never for a join that did not
		errno  mptcp.Errno
		reason mptcp.ResetReason
		late   time.Duration
	}
	for _, c := range []struct {
		name              string
		is                closing
		watched, listened []Cause // with all events since it began, and with those of later alone
	}{
		{"a RST to its SYN", closing{never, connRefused, none, 0}, []Cause{ResetBySomebody}, nil},
		{"no answer", closing{never, timedOut, none, 0}, []Cause{Unanswered}, []Cause{Unanswered, TimedOut}},
		{"no neighbour", closing{never, noRouteToHost, none, 0}, []Cause{Unreachable}, nil},
		{"closed before it was up", closing{never, 0, none, 0}, []Cause{WithoutMPJoin},
			[]Cause{WithoutMPJoin, PeerLimit, Ended}},
		{"a reset with a reason before it was up", closing{never, connRefused, mptcp.ResetMiddlebox, 0},
			[]Cause{PeerProhibits}, []Cause{PeerProhibits, ResetLater}},
		{"the peer has no resources", closing{0, 0, mptcp.ResetResources, 0}, []Cause{PeerProhibits}, nil},
		{"closed at once", closing{time.Millisecond, 0, none, 0}, []Cause{PeerLimit, Ended}, nil},
		{"closed later", closing{3 * time.Second, 0, none, 0}, []Cause{Ended}, nil},
		{"read later, and so perhaps closed at once", closing{3 * time.Second, 0, none, 4 * time.Second},
			[]Cause{PeerLimit, Ended}, nil},
		{"timed out later", closing{3 * time.Second, timedOut, none, 0}, []Cause{TimedOut}, nil},
		{"reset later", closing{3 * time.Second, 104, none, 0}, []Cause{ResetLater}, nil},
		{"refused later", closing{3 * time.Second, connRefused, none, 0}, []Cause{ResetLater}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := situation()
			if c.is.after != never {
				f.event(mptcp.EventSubflowEstablished, nil)
			}
			f.event(mptcp.EventSubflowClosed, func(ev *mptcp.Event) {
				ev.Time, ev.Late = time.Unix(0, 0).Add(c.is.after), c.is.late
				if c.is.errno != 0 {
					ev.Fields, ev.Error = ev.Fields|mptcp.FieldError, c.is.errno
				}
				if c.is.reason != none {
					ev.Fields, ev.ResetReason = ev.Fields|mptcp.FieldResetReason, c.is.reason
				}
			})
			var events []*mptcp.Event
			for i := range f.Events {
				events = append(events, &f.Events[i])
			}
			list := Attempts(events)
			if len(list) != 1 {
				t.Fatalf("%d attempts", len(list))
			}
			if c.listened == nil {
				c.listened = c.watched
			}
			for watched, want := range map[bool][]Cause{true: c.watched, false: c.listened} {
				var got []Cause
				for _, r := range list[0].Ended(watched) {
					got = append(got, r.Cause)
				}
				if !slices.Equal(got, want) {
					t.Errorf("watched %v: %v, want %v", watched, got, want)
				}
			}
		})
	}
}

// TestAttempts: events are joined by addresses and ports, and what is no join is left out.
func TestAttempts(t *testing.T) {
	f := situation()
	other := netip.MustParseAddr("10.91.9.1")
	f.event(mptcp.EventSubflowEstablished, func(ev *mptcp.Event) { ev.LocalID = 0 }) // the initial one
	f.event(mptcp.EventSubflowEstablished, nil)
	f.event(mptcp.EventSubflowClosed, nil)
	f.event(mptcp.EventAnnounced, func(ev *mptcp.Event) { ev.RemoteID, ev.Destination = 4, other })
	f.event(mptcp.EventSubflowClosed, func(ev *mptcp.Event) { ev.RemoteID, ev.Destination = 4, other })
	f.event(mptcp.EventSubflowEstablished, nil)
	var events []*mptcp.Event
	for i := range f.Events {
		events = append(events, &f.Events[i])
	}
	list := Attempts(events)
	if len(list) != 3 {
		t.Fatalf("%d attempts, want 3", len(list))
	}
	for i, want := range []struct{ up, closed, announced bool }{
		{true, true, false}, {false, true, true}, {true, false, false},
	} {
		x := &list[i]
		if (x.Up != nil) != want.up || (x.Closed != nil) != want.closed || x.Announced != want.announced {
			t.Errorf("attempt %d: %+v", i, *x)
		}
	}
	if list[2].Ended(true) != nil {
		t.Error("one that is up has ended")
	}
}
