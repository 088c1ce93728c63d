package fallback

import (
	"slices"
	"testing"

	"mptcpctl/counters"
	"mptcpctl/doctor/rule"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

func TestCauseOf(t *testing.T) {
	for _, tt := range []struct {
		name    string
		stage   Stage
		side    mptcp.Side
		moved   map[string]uint64
		rule    rule.ID
		counter string
		sure    track.Confidence
	}{
		{"peer without MPTCP", Handshake, mptcp.SideClient, map[string]uint64{"MPCapableFallbackSYNACK": 1}, "D05", "MPCapableFallbackSYNACK", track.Certain},
		{"SYN dropped", Handshake, mptcp.SideClient, map[string]uint64{"MPCapableSYNTXDrop": 1, "Blackhole": 1}, "D33", "MPCapableSYNTXDrop", track.Certain},
		{"switched off", Handshake, mptcp.SideClient, map[string]uint64{"MPCapableSYNTXDisabled": 1}, "D33", "MPCapableSYNTXDisabled", track.Certain},
		{"no token", Handshake, mptcp.SideClient, map[string]uint64{"MPFallbackTokenInit": 1}, "D46", "MPFallbackTokenInit", track.Certain},
		{"MD5", Handshake, mptcp.SideServer, map[string]uint64{"MD5SigFallback": 1}, "D12", "MD5SigFallback", track.Certain},
		{"simultaneous", Handshake, mptcp.SideUnknown, map[string]uint64{"SimultConnectFallback": 1}, "D12", "SimultConnectFallback", track.Certain},
		{"third packet", Unknown, mptcp.SideServer, map[string]uint64{"MPCapableFallbackACK": 1}, "D07", "MPCapableFallbackACK", track.Certain},
		{"mapping gone", Data, mptcp.SideClient, map[string]uint64{"DssFallback": 1}, "D38", "DssFallback", track.Certain},
		{"first data", Data, mptcp.SideServer, map[string]uint64{"MPCapableDataFallback": 1}, "D38", "MPCapableDataFallback", track.Certain},
		{"damaged", Data, mptcp.SideClient, map[string]uint64{"DSSCorruptionFallback": 1}, "D39", "DSSCorruptionFallback", track.Certain},
		{"infinite mapping", Data, mptcp.SideClient, map[string]uint64{"InfiniteMapRx": 1}, "D39", "InfiniteMapRx", track.Certain},
		{"several", Handshake, mptcp.SideClient, map[string]uint64{"MPCapableFallbackSYNACK": 1, "MPCapableSYNTXDrop": 3}, "D33", "MPCapableSYNTXDrop", track.Likely},
		{"one of each stage", Data, mptcp.SideClient, map[string]uint64{"MPCapableFallbackSYNACK": 9, "DssFallback": 1}, "D38", "DssFallback", track.Certain},
		{"stage unknown", Unknown, mptcp.SideClient, map[string]uint64{"MPCapableFallbackSYNACK": 9, "DssFallback": 1}, "D05", "MPCapableFallbackSYNACK", track.Likely},
		{"the other side's", Handshake, mptcp.SideClient, map[string]uint64{"MPCapableFallbackACK": 9}, "D05", "", track.Possible},
		{"nothing in the handshake", Handshake, mptcp.SideClient, nil, "D05", "", track.Possible},
		{"nothing in the data", Data, mptcp.SideClient, nil, "D38", "", track.Possible},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := CauseOf(tt.stage, tt.side, counters.FromMap(tt.moved))
			if c.Rule != tt.rule || c.Counter != tt.counter || c.Confidence != tt.sure || c.Text == "" {
				t.Errorf("got %+v", c)
			}
			if (tt.sure == track.Likely) != (len(c.Candidates) > 1) {
				t.Errorf("candidates %q", c.Candidates)
			}
		})
	}
}

func TestStageOf(t *testing.T) {
	of := func(types ...mptcp.EventType) []*mptcp.Event {
		var list []*mptcp.Event
		for _, typ := range types {
			list = append(list, &mptcp.Event{Type: typ})
		}
		return list
	}
	for _, tt := range []struct {
		events  []*mptcp.Event
		watched bool
		want    Stage
	}{
		{of(mptcp.EventCreated, mptcp.EventEstablished), true, Data},
		{of(mptcp.EventCreated, mptcp.EventEstablished), false, Data},
		{of(mptcp.EventCreated), true, Data},
		{of(mptcp.EventClosed), true, Handshake},
		{nil, true, Handshake},
		{of(mptcp.EventClosed), false, Unknown},
		{nil, false, Unknown},
	} {
		if got := StageOf(tt.events, tt.watched); got != tt.want {
			t.Errorf("%v, %v: got %v, want %v", tt.events, tt.watched, got, tt.want)
		}
	}
}

// The table speaks of counters that there are, and of rules that there are.
func TestFallbackTableNames(t *testing.T) {
	for _, fc := range table {
		if _, ok := counters.Describe(fc.Name); !ok {
			t.Errorf("no counter %s", fc.Name)
		}
		if r, ok := rule.Explain(fc.Rule); !ok || !r.Decided {
			t.Errorf("%s: no rule %s", fc.Name, fc.Rule)
		}
		if !fc.Client && !fc.Server {
			t.Errorf("%s: on neither side", fc.Name)
		}
	}
}

// TestTrackerHasTheSameCounters: FALLBACK of `monitor -d` and doctor know the same causes.
func TestTrackerHasTheSameCounters(t *testing.T) {
	handshake, later := track.FallbackCounters()
	var known [2][]string
	for _, c := range Counters() {
		known[c.Stage-Handshake] = append(known[c.Stage-Handshake], c.Name)
	}
	for i, names := range [2][]string{handshake, later} {
		slices.Sort(names)
		slices.Sort(known[i])
		if !slices.Equal(names, known[i]) {
			t.Errorf("the tracker has %v, doctor %v", names, known[i])
		}
	}
}
