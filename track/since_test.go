package track

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mptcpctl/mptcp"
)

// TestSinceIsTheStateBesideAnEarlierOne changes a table between two states: what goes
// on, what ends, what comes into a slot that was freed, and a token that is used again.
func TestSinceIsTheStateBesideAnEarlierOne(t *testing.T) {
	tracker := New(newFakeKernel(), nil)
	insert := func(i int, instance uint32, subflows int) {
		synthetic(&tracker.rec, i, subflows)
		tracker.rec.instance = instance
		tracker.table.insert(&tracker.rec)
	}
	state := func() *State { return &State{view: tracker.table.freeze()} }
	for i := range 1000 {
		insert(i, 1, 1+i%3)
	}
	before := state()
	for i := range 1000 {
		switch slot, _ := tracker.table.find("", mptcp.Token(uint32(i)*2654435761)); i % 4 {
		case 0:
			tracker.table.remove(slot)
			insert(2000+i, 1, 2)
		case 1:
			tracker.table.remove(slot)
			insert(i, 2, 2)
		case 2:
			synthetic(&tracker.rec, i, 2)
			tracker.rec.instance = 1
			tracker.rec.Subflows[0].BytesSent = 1 << 40
			tracker.table.update(slot, &tracker.rec)
		}
	}
	now, was := tracked(state()), tracked(before)
	seen := 0
	for a, b := range state().Since(before) {
		seen++
		if diff := cmp.Diff(now[a.Key], a.Connection.Subflows, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
			t.Fatalf("%v now: %s", a.Key, diff)
		}
		earlier, known := was[a.Key]
		if known != (b != nil) {
			t.Fatalf("%v was known before: %v", a.Key, known)
		}
		if b != nil &&
			(b.Key != a.Key || cmp.Diff(earlier, b.Connection.Subflows, cmpopts.EquateComparable(netip.AddrPort{})) != "") {
			t.Fatalf("%v before: %v, want %v", a.Key, b.Connection.Subflows, earlier)
		}
	}
	if seen != len(now) || seen != 1000 {
		t.Errorf("%d connections, want %d", seen, len(now))
	}
	for _, b := range tracker.State().Since(nil) {
		if b != nil {
			t.Fatal("something was known before the first state")
		}
	}
}

// tracked returns the subflows of each connection as the table holds them.
func tracked(s *State) map[mptcp.Key][]mptcp.Subflow {
	all := make(map[mptcp.Key][]mptcp.Subflow)
	for slot := range s.view.all() {
		var r record
		s.view.load(slot, &r)
		all[r.key()] = r.Subflows
	}
	return all
}

func TestSinceOfStatesWithoutATracker(t *testing.T) {
	connection := func(token mptcp.Token, sent uint64) mptcp.Connection {
		return mptcp.Connection{Token: token, BytesSent: sent}
	}
	before := NewState(time.Time{}, []mptcp.Connection{connection(1, 10), connection(2, 20), connection(3, 30)})
	now := NewState(time.Time{}, []mptcp.Connection{connection(1, 11), connection(3, 33), connection(4, 44)})
	for a, b := range now.Since(before) {
		switch want := 10 * uint64(a.Key.Token); {
		case a.Key.Token == 4 && b != nil:
			t.Errorf("4 was known before as %v", b)
		case a.Key.Token != 4 && (b == nil || b.Key != a.Key || b.Connection.BytesSent != want):
			t.Errorf("%v before: %v", a.Key, b)
		}
	}
}

func TestSinceAllocatesNothingForAConnection(t *testing.T) {
	tracker := New(newFakeKernel(), nil)
	for i := range 5000 {
		synthetic(&tracker.rec, i, 2)
		tracker.table.insert(&tracker.rec)
	}
	s := &State{view: tracker.table.freeze()}
	n := testing.AllocsPerRun(3, func() {
		for range s.Since(s) {
		}
	})
	if n > 50 {
		t.Errorf("%v allocations for 5,000 connections", n)
	}
}

func TestReaderReadsWhatAllYields(t *testing.T) {
	tracker := New(newFakeKernel(), nil)
	for i := range 300 {
		synthetic(&tracker.rec, i, i%3)
		tracker.table.insert(&tracker.rec)
	}
	plain := NewState(time.Time{}, []mptcp.Connection{{Token: 1}, {Token: 2}})
	for _, s := range []*State{tracker.State(), plain} {
		places, r := s.Places(), s.Reader()
		i := 0
		for want := range s.All() {
			if diff := cmp.Diff(want, *r.At(places[i]), cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
			i++
		}
		if i != len(places) || i != s.Len() {
			t.Errorf("%d places of %d connections", len(places), i)
		}
	}
}
