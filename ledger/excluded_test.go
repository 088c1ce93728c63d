package ledger

import (
	"slices"
	"strings"
	"testing"
)

// TestExcluded: of an entry that counters decide, each cause is either one that is left or
// excluded by one fact, which is named with its figures.
func TestExcluded(t *testing.T) {
	f := situation()
	f.use(1)
	f.count(1, 0, 1, 0, 0) // SYN, SYN/ACK, resets, failures to bind and to connect
	l := Of(*f)
	e := l.Join(f.Connections[0].Token, f.Endpoints[0].Address)
	if e == nil || !e.Certain() || !e.May(WithoutMPJoin) {
		t.Fatalf("%+v", e)
	}
	times := map[Cause]int{}
	facts := map[Cause]string{}
	for _, x := range l.Excluded(e) {
		if x.Fact == "" {
			t.Errorf("%v: no fact", x.Causes)
		}
		for _, c := range x.Causes {
			times[c]++
			facts[c] = x.Fact
		}
	}
	for _, r := range endings {
		if want := map[bool]int{true: 0, false: 1}[e.May(r.Cause)]; times[r.Cause] != want {
			t.Errorf("%q is excluded %d times, want %d", r.Cause, times[r.Cause], want)
		}
	}
	for cause, want := range map[Cause]string{
		PeerLimit: "MPJoinSynAckRx is 0", AddressMissing: "MPJoinSynTxBindErr is 0", NoRoute: "MPJoinSynTxConnectErr is 0",
		Unanswered: "1 of MPJoinSynTx",
	} {
		if !strings.Contains(facts[cause], want) {
			t.Errorf("%q: %q, want %q", cause, facts[cause], want)
		}
	}
}

// TestExcludedByRoom: an endpoint that waits for room was not tried, and that excludes all
// that may happen to a join.
func TestExcludedByRoom(t *testing.T) {
	f := situation()
	f.Connections[0].Limits.SubflowsMax = 0
	f.count(0, 0, 0, 0, 0)
	l := Of(*f)
	e := l.Join(f.Connections[0].Token, f.Endpoints[0].Address)
	if e == nil || !e.Certain() || !e.Limited() {
		t.Fatalf("%+v", e)
	}
	x := l.Excluded(e)
	if len(x) != 1 || !strings.HasSuffix(x[0].Fact, "this one was not tried") || !slices.Contains(x[0].Causes, Unanswered) {
		t.Errorf("%+v", x)
	}
}
