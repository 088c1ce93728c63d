package apply

import (
	"net/netip"
	"testing"
	"time"

	"mptcpctl/internal/policy"
	"mptcpctl/mptcp"
)

// An endpoint that somebody else keeps removing is added with growing pauses, up to a
// minute; after a rest the pauses begin anew. Removals are never held back.
func TestAddingIsPaced(t *testing.T) {
	w := &watcher{holds: map[holdKey]*hold{}}
	add := policy.Change{Kind: policy.Add, After: mptcp.Endpoint{Address: netip.MustParseAddr("192.0.2.3")}}
	remove := policy.Change{Kind: policy.Remove, Before: add.After}
	begin := time.Unix(1000, 0)
	added := func(at time.Time) bool {
		plan := &policy.Plan{Changes: []policy.Change{remove, add}}
		w.pace(plan, at)
		if len(plan.Changes) == 0 || plan.Changes[0] != remove {
			t.Fatalf("at %v the removal was held back: %v", at.Sub(begin), plan.Changes)
		}
		return len(plan.Changes) == 2
	}
	var pauses []time.Duration
	last := begin
	const step = 100 * time.Millisecond
	for at := begin; len(pauses) < 10; at = at.Add(step) {
		if added(at) {
			pauses = append(pauses, at.Sub(last))
			last = at
		}
	}
	for i, pause := range pauses[1:] {
		if want := min(firstHold<<i, lastHold); pause < want || pause > want+step {
			t.Errorf("pause %d is %v, want %v", i, pause, want)
		}
	}
	rested := last.Add(10 * lastHold)
	if !added(rested) || added(rested.Add(firstHold/2)) || !added(rested.Add(firstHold)) {
		t.Error("after a rest the pauses do not begin anew")
	}
}

// Two endpoints with the same address and different ports are paced apart.
func TestPaceKnowsPorts(t *testing.T) {
	w := &watcher{holds: map[holdKey]*hold{}}
	now := time.Unix(1000, 0)
	for port := range uint16(3) {
		plan := &policy.Plan{
			Changes: []policy.Change{
				{Kind: policy.Add, After: mptcp.Endpoint{Address: netip.MustParseAddr("192.0.2.3"), Port: port}},
			},
		}
		if w.pace(plan, now); len(plan.Changes) != 1 {
			t.Errorf("port %d was held back", port)
		}
	}
}
