package filter

import (
	"testing"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Derived events are named in filters as the kernel's are, and only by their own
// names.
func TestDerivedEvents(t *testing.T) {
	c := &mptcp.Connection{Token: 7, Fallback: true}
	delta := func(k track.Kind) *track.Delta {
		return &track.Delta{Kind: k, Name: k.String(), Event: mptcp.Event{Token: 7, Fields: mptcp.FieldToken}}
	}
	closed := &track.Delta{
		Name:  "SF_CLOSED",
		Event: mptcp.Event{Type: mptcp.EventSubflowClosed, Token: 7, Fields: mptcp.FieldToken},
	}
	lost := &track.Delta{Name: "LOST", Event: mptcp.Event{Type: mptcp.EventLost, Lost: 2}}
	for _, tt := range []struct {
		in          string
		delta       *track.Delta
		want, tells bool
	}{
		{"event FALLBACK", delta(track.KindFallback), true, true},
		{"event fallback", delta(track.KindFallback), true, true},
		{"event FALLBACK", delta(track.KindAborted), false, false},
		{"event SF_FAILED,FALLBACK", delta(track.KindSubflowFailed), true, true},
		{"not event FALLBACK", delta(track.KindFallback), false, false},
		{"event != FALLBACK", delta(track.KindSubflowStale), true, true},
		{"event CREATED", delta(track.KindFallback), false, false},
		{"event FALLBACK and fallback", delta(track.KindFallback), true, true},
		{"event FALLBACK and token 8", delta(track.KindFallback), false, false},
		{"event FALLBACK", closed, false, false},
		{"event SF_CLOSED", closed, true, true},
		{"event FALLBACK", lost, true, false},
		{"event LOST", lost, true, true},
		{"event FALLBACK", delta(track.KindResync), true, false},
		{"event RESYNC", delta(track.KindResync), true, true},
		{"event RESYNC", delta(track.KindOverflow), true, false},
	} {
		e := mustParse(t, tt.in)
		if got, tells := e.Delta(tt.delta, c), e.Tells(tt.delta, c); got != tt.want || tells != tt.tells {
			t.Errorf("%q of %s: %v and %v, want %v and %v", tt.in, tt.delta.Name, got, tells, tt.want, tt.tells)
		}
		if again := mustParse(t, e.String()); again.String() != e.String() || again.Delta(tt.delta, c) != tt.want {
			t.Errorf("%q is written as %q", tt.in, e)
		}
	}
	for _, k := range track.Kinds() {
		e := mustParse(t, "event "+k.String())
		if !e.NeedsDerived() || !e.OnlyDerived() || !e.NeedsEvents() || !e.Tells(delta(k), nil) {
			t.Errorf("%s: %v %v %v", k, e.NeedsDerived(), e.OnlyDerived(), e.NeedsEvents())
		}
	}
	for in, want := range map[string][2]bool{
		"":                            {},
		"event CREATED":               {},
		"fallback":                    {},
		"event FALLBACK or error 111": {true, false},
		"event FALLBACK,CREATED":      {true, false},
		"event FALLBACK and dport 1":  {true, true},
	} {
		if e := mustParse(t, in); [2]bool{e.NeedsDerived(), e.OnlyDerived()} != want {
			t.Errorf("%q: needs %v, only %v, want %v", in, e.NeedsDerived(), e.OnlyDerived(), want)
		}
	}
}
