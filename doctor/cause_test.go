package doctor

import (
	"slices"
	"testing"

	"mptcpctl/counters"
	"mptcpctl/doctor/rule"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

func TestFallbackCause(t *testing.T) {
	for _, tt := range []struct {
		name    string
		stage   Stage
		side    mptcp.Side
		moved   map[string]uint64
		rule    rule.ID
		counter string
		sure    track.Confidence
	}{
		{"peer without MPTCP", StageHandshake, mptcp.SideClient, map[string]uint64{"MPCapableFallbackSYNACK": 1}, "D05", "MPCapableFallbackSYNACK", track.Certain},
		{"SYN dropped", StageHandshake, mptcp.SideClient, map[string]uint64{"MPCapableSYNTXDrop": 1, "Blackhole": 1}, "D33", "MPCapableSYNTXDrop", track.Certain},
		{"switched off", StageHandshake, mptcp.SideClient, map[string]uint64{"MPCapableSYNTXDisabled": 1}, "D33", "MPCapableSYNTXDisabled", track.Certain},
		{"no token", StageHandshake, mptcp.SideClient, map[string]uint64{"MPFallbackTokenInit": 1}, "D46", "MPFallbackTokenInit", track.Certain},
		{"MD5", StageHandshake, mptcp.SideServer, map[string]uint64{"MD5SigFallback": 1}, "D12", "MD5SigFallback", track.Certain},
		{"simultaneous", StageHandshake, mptcp.SideUnknown, map[string]uint64{"SimultConnectFallback": 1}, "D12", "SimultConnectFallback", track.Certain},
		{"third packet", StageUnknown, mptcp.SideServer, map[string]uint64{"MPCapableFallbackACK": 1}, "D07", "MPCapableFallbackACK", track.Certain},
		{"mapping gone", StageData, mptcp.SideClient, map[string]uint64{"DssFallback": 1}, "D38", "DssFallback", track.Certain},
		{"first data", StageData, mptcp.SideServer, map[string]uint64{"MPCapableDataFallback": 1}, "D38", "MPCapableDataFallback", track.Certain},
		{"damaged", StageData, mptcp.SideClient, map[string]uint64{"DSSCorruptionFallback": 1}, "D39", "DSSCorruptionFallback", track.Certain},
		{"infinite mapping", StageData, mptcp.SideClient, map[string]uint64{"InfiniteMapRx": 1}, "D39", "InfiniteMapRx", track.Certain},
		{"several", StageHandshake, mptcp.SideClient, map[string]uint64{"MPCapableFallbackSYNACK": 1, "MPCapableSYNTXDrop": 3}, "D33", "MPCapableSYNTXDrop", track.Likely},
		{"one of each stage", StageData, mptcp.SideClient, map[string]uint64{"MPCapableFallbackSYNACK": 9, "DssFallback": 1}, "D38", "DssFallback", track.Certain},
		{"stage unknown", StageUnknown, mptcp.SideClient, map[string]uint64{"MPCapableFallbackSYNACK": 9, "DssFallback": 1}, "D05", "MPCapableFallbackSYNACK", track.Likely},
		{"the other side's", StageHandshake, mptcp.SideClient, map[string]uint64{"MPCapableFallbackACK": 9}, "D05", "", track.Possible},
		{"nothing in the handshake", StageHandshake, mptcp.SideClient, nil, "D05", "", track.Possible},
		{"nothing in the data", StageData, mptcp.SideClient, nil, "D38", "", track.Possible},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := FallbackCause(tt.stage, tt.side, counters.FromMap(tt.moved))
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
		{of(mptcp.EventCreated, mptcp.EventEstablished), true, StageData},
		{of(mptcp.EventCreated, mptcp.EventEstablished), false, StageData},
		{of(mptcp.EventCreated), true, StageData},
		{of(mptcp.EventClosed), true, StageHandshake},
		{nil, true, StageHandshake},
		{of(mptcp.EventClosed), false, StageUnknown},
		{nil, false, StageUnknown},
	} {
		if got := StageOf(tt.events, tt.watched); got != tt.want {
			t.Errorf("%v, %v: got %v, want %v", tt.events, tt.watched, got, tt.want)
		}
	}
}

// The table speaks of counters that there are, and of rules that there are.
func TestFallbackTableNames(t *testing.T) {
	for _, fc := range fallbackCounters {
		if _, ok := counters.Describe(fc.name); !ok {
			t.Errorf("no counter %s", fc.name)
		}
		if r, ok := rule.Explain(fc.rule); !ok || !r.Decided {
			t.Errorf("%s: no rule %s", fc.name, fc.rule)
		}
		if !fc.client && !fc.server {
			t.Errorf("%s: on neither side", fc.name)
		}
	}
}

// What an observer saw wins over what the totals suggest.
func TestSeenCauseWins(t *testing.T) {
	f := healthy(t)
	fellBack(f, "MPCapableFallbackSYNACK")
	f.Connections[0].FallbackCause = "DssFallback"
	report := Diagnose(*f)
	if len(report.Findings) != 1 || report.Findings[0].Rule != "D38" || report.Findings[0].Confidence != track.Certain {
		t.Errorf("got %q", ids(report))
	}
}

func TestManyPeersInFallback(t *testing.T) {
	f := healthy(t)
	fellBack(f, "MPCapableFallbackSYNACK")
	many(f, 100)
	for i := range f.Connections {
		f.Connections[i].Remote = addrPort(i)
	}
	report := Diagnose(*f)
	if len(report.Findings) != 9 {
		t.Fatalf("got %d findings", len(report.Findings))
	}
	i := slices.IndexFunc(report.Findings, func(x Finding) bool { return x.Subject.Connections == 92 })
	if i < 0 || report.Findings[i].Subject.Remote.IsValid() {
		t.Errorf("no finding about the other 92: %+v", report.Findings)
	}
}

// Two counters moved, and both are looked at: after a failed Fast Open the path is not
// blamed for sure.
func TestFastOpenExplainsLostMPTCP(t *testing.T) {
	for _, tt := range []struct {
		name   string
		failed uint64
		rule   rule.ID
		sure   track.Confidence
	}{
		{"Fast Open failed", 1, rule.SocketOption, track.Likely},
		{"no Fast Open", 0, rule.OptionStripped, track.Certain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy(t)
			fellBack(f, "MPCapableDataFallback")
			setCounters(
				&f.TCP,
				map[string]uint64{"TCPFastOpenActiveFail": tt.failed},
				map[string]uint64{"TCPFastOpenActiveFail": tt.failed},
			)
			for _, found := range Diagnose(*f).Findings {
				if found.Rule == tt.rule {
					if found.Confidence != tt.sure ||
						tt.failed > 0 && !slices.Contains(found.Alternatives, rule.OptionStripped) {
						t.Errorf("%+v", found)
					}
					return
				}
			}
			t.Errorf("%s is not found: %s", tt.rule, ids(Diagnose(*f)))
		})
	}
}
