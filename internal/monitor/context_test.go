package monitor

import (
	"net/netip"
	"testing"

	"mptcpctl/mptcp"
)

// created is the event of a new connection.
func created(token mptcp.Token) *mptcp.Event {
	return &mptcp.Event{
		Type:        mptcp.EventCreated,
		Fields:      mptcp.FieldToken | mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport,
		Token:       token,
		Source:      netip.MustParseAddr("10.0.0.1"),
		Destination: netip.MustParseAddr("10.0.0.2"),
		Sport:       uint16(token),
		Dport:       443,
	}
}

// Not every connection ends with an event. What a filter remembers of them stays
// bounded all the same, and those that there are it keeps.
func TestFlowsAreForgotten(t *testing.T) {
	f := NewContext(t.Context(), nil)
	asked := 0
	f.Present = func() (map[Flow]bool, error) {
		asked++
		return map[Flow]bool{{Token: 7}: true}, nil
	}
	const many = 20 * fewFlows
	for token := range mptcp.Token(many) {
		f.follow(created(token))
	}
	if n := len(f.connections); n > 8*fewFlows || asked == 0 {
		t.Errorf("%d connections of %d are remembered, the kernel was asked %d times", n, many, asked)
	}
	closed := mptcp.Event{Type: mptcp.EventClosed, Fields: mptcp.FieldToken}
	for _, token := range []mptcp.Token{7, many - 1} { // one that there is, and one of which events may be queued
		closed.Token = token
		if c := f.follow(&closed); c == nil || c.Remote.Port() != 443 {
			t.Errorf("%v is forgotten: %+v", token, c)
		}
		if c := f.follow(&closed); c != nil {
			t.Errorf("%v is remembered after its end", token)
		}
	}
}

// The end of a subflow is judged by the connection that had it; then it is gone.
func TestFlowLosesSubflows(t *testing.T) {
	f := NewContext(t.Context(), nil)
	f.follow(created(1))
	for round := range 100 {
		e := created(1)
		e.Sport = uint16(1000 + round)
		e.Type = mptcp.EventSubflowEstablished
		if c := f.follow(e); len(c.Subflows) != 2 {
			t.Fatalf("round %d: %d subflows once one is established", round, len(c.Subflows))
		}
		e.Type = mptcp.EventSubflowClosed
		if c := f.follow(e); len(c.Subflows) != 2 || c.Subflows[1].Local.Port() != e.Sport {
			t.Fatalf("round %d: %+v at the end of one", round, c.Subflows)
		}
	}
	if c := f.follow(&mptcp.Event{Type: mptcp.EventAnnounced, Fields: mptcp.FieldToken, Token: 1}); len(
		c.Subflows,
	) != 1 {
		t.Errorf("%d subflows are left", len(c.Subflows))
	}
}

// TestFlowHasEachSubflowOnce: a subflow may be in the first dump, and come up in an event
// that was queued meanwhile.
func TestFlowHasEachSubflowOnce(t *testing.T) {
	f := NewContext(t.Context(), nil)
	f.follow(created(7))
	up := mptcp.Event{
		Type: mptcp.EventSubflowEstablished, Token: 7, LocalID: 2,
		Fields: mptcp.FieldToken | mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport,
		Source: netip.MustParseAddr("10.0.0.3"), Destination: netip.MustParseAddr("10.0.0.2"), Sport: 9, Dport: 443,
	}
	f.follow(&up)
	if c := f.follow(&up); len(c.Subflows) != 2 {
		t.Errorf("the connection has %d subflows: %+v", len(c.Subflows), c.Subflows)
	}
	backup := up
	backup.Type, backup.Backup = mptcp.EventSubflowPriority, 1
	if c := f.follow(&backup); !c.Subflows[1].BackupRemote {
		t.Error("the peer made the subflow a backup, which is not known")
	}
	down := up
	down.Type = mptcp.EventSubflowClosed
	if c := f.follow(&down); len(c.Subflows) != 2 {
		t.Errorf("the event that ends a subflow is judged by a connection with %d", len(c.Subflows))
	}
	closed := mptcp.Event{Type: mptcp.EventClosed, Token: 7, Fields: mptcp.FieldToken}
	if c := f.follow(&closed); len(c.Subflows) != 1 {
		t.Errorf("%d subflows are left of two of which one ended", len(c.Subflows))
	}
}
