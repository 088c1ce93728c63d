package track

import (
	"testing"

	"mptcpctl/mptcp"
)

// TestDeltasCarryTheirConnections: each delta carries its connection as it was then, also
// long after: an event that ends a subflow the one that had it, one of an ended connection
// what it was at its end. Without Config.Connections none does.
func TestDeltasCarryTheirConnections(t *testing.T) {
	const addresses = mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport
	first := connection(9, "10.0.0.1:80", "10.0.0.2:4000")
	second := connection(9, "10.0.0.1:80", "10.0.0.3:5000")
	event := func(kind mptcp.EventType, token mptcp.Token, c *mptcp.Connection) mptcp.Event {
		e := mptcp.Event{Type: kind, Token: token, Fields: mptcp.FieldToken | addresses}
		e.Source, e.Sport, e.Destination, e.Dport = c.Local.Addr(), c.Local.Port(), c.Remote.Addr(), c.Remote.Port()
		return e
	}
	steps := []struct {
		event    mptcp.Event
		subflows int // -1: no connection
		backup   bool
	}{
		{event(mptcp.EventSubflowEstablished, 8, &second), -1, false}, // of an unknown connection
		{event(mptcp.EventCreated, 9, &first), 1, false},
		{event(mptcp.EventSubflowEstablished, 9, &second), 2, false},
		{event(mptcp.EventSubflowPriority, 9, &second), 2, true},
		{event(mptcp.EventSubflowClosed, 9, &second), 2, true},
		{event(mptcp.EventAnnounced, 9, &first), 1, false},
		{event(mptcp.EventClosed, 9, &first), 1, false},
	}
	steps[3].event.Backup = 1
	for _, asked := range []bool{true, false} {
		tracker := New(&tape{t: t}, &Config{Connections: asked})
		deltas := tracker.Deltas(t.Context())
		for i := range steps {
			tracker.apply([]mptcp.Event{steps[i].event})
		}
		i := 0
		for d, err := range deltas {
			if err != nil {
				t.Fatal(err)
			}
			if d.Derived() {
				continue
			}
			want := steps[i]
			if d.Event.Type != want.event.Type {
				t.Fatalf("delta %d is %v, want %v", i, d.Event.Type, want.event.Type)
			}
			switch c := d.Connection; {
			case !asked || want.subflows < 0:
				if c != nil {
					t.Errorf("%v carries %+v", d.Event.Type, c)
				}
			case c == nil || c.Token != 9 || len(c.Subflows) != want.subflows:
				t.Errorf("%v carries %+v, want %d subflows", d.Event.Type, c, want.subflows)
			case want.backup != c.Subflows[len(c.Subflows)-1].BackupRemote:
				t.Errorf("%v carries %+v, want backup %v", d.Event.Type, c.Subflows, want.backup)
			}
			if i++; i == len(steps) {
				break
			}
		}
	}
}
