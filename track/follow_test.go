package track

import (
	"testing"

	"mptcpctl/mptcp"
)

// TestFollowAgreesWithTheTracker: what events alone tell of a connection is the same with
// a tracker and without one.
func TestFollowAgreesWithTheTracker(t *testing.T) {
	const addresses = mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport
	first := connection(9, "10.0.0.1:80", "10.0.0.2:4000")
	second := connection(9, "10.0.0.1:80", "10.0.0.3:5000")
	event := func(kind mptcp.EventType, c *mptcp.Connection, change func(*mptcp.Event)) mptcp.Event {
		e := mptcp.Event{Type: kind, Token: 9, Fields: mptcp.FieldToken | addresses}
		e.Source, e.Sport, e.Destination, e.Dport = c.Local.Addr(), c.Local.Port(), c.Remote.Addr(), c.Remote.Port()
		if change != nil {
			change(&e)
		}
		return e
	}
	events := []mptcp.Event{
		event(mptcp.EventCreated, &first, nil),
		event(mptcp.EventSubflowEstablished, &second, func(e *mptcp.Event) { e.LocalID, e.IfIndex = 3, 2 }),
		event(mptcp.EventSubflowPriority, &second, func(e *mptcp.Event) { e.Backup = 1 }),
		event(mptcp.EventSubflowEstablished, &second, func(e *mptcp.Event) { e.LocalID, e.IfIndex = 3, 2 }),
		event(mptcp.EventSubflowPriority, &first, func(e *mptcp.Event) { e.Backup = 1 }),
		event(mptcp.EventSubflowClosed, &first, nil),
		event(mptcp.EventSubflowClosed, &first, nil),
	}
	tracker := New(&tape{t: t}, nil)
	var followed mptcp.Connection
	for i := range events {
		tracker.apply(events[i : i+1])
		if i == 0 {
			followed = Begin(&events[i])
		} else {
			Follow(&followed, &events[i])
		}
		got, ok := tracker.State().Find("", 9)
		if !ok || len(got.Connection.Subflows) != len(followed.Subflows) || len(followed.Subflows) == 0 {
			t.Fatalf("after %v: the tracker has %+v, followed is %+v", events[i].Type, got.Connection, followed)
		}
		for j := range followed.Subflows {
			want := followed.Subflows[j]
			k := findSubflow(got.Connection.Subflows, &want)
			if k < 0 {
				t.Fatalf("after %v: the tracker lacks %v", events[i].Type, want.Remote)
			}
			has := got.Connection.Subflows[k]
			if has.State != want.State || has.BackupRemote != want.BackupRemote || has.LocalID != want.LocalID ||
				has.IfIndex != want.IfIndex || has.Initial != want.Initial {
				t.Errorf("after %v: the tracker has %+v, followed is %+v", events[i].Type, has, want)
			}
		}
	}
}
