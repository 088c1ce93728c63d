package chronicle

import (
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// TestMomentFollowsLines makes lines by hand and looks at what is known after each.
func TestMomentFollowsLines(t *testing.T) {
	at := time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)
	m := NewMoment()
	seq := uint64(0)
	tell := func(kind Kind, object string) {
		t.Helper()
		seq, at = seq+1, at.Add(time.Second)
		l := Line{Seq: seq, Time: at, Kind: kind, Object: []byte(object)}
		back, err := Parse(l.Append(nil))
		if err == nil {
			err = m.Apply(&back)
		}
		if err != nil {
			t.Fatalf("%s: %v", object, err)
		}
	}
	tell(KindBegin, `{"schema":1,"host":"h","run":"A","carried":0}`)
	whole := at
	tell(KindHost, `{"netns":"","path_manager":"kernel","limits":{"subflows":2},"endpoints":[{"id":1,"address":"10.0.0.1","flags":["signal"]}]}`)
	c := mptcp.Connection{
		Token: 5, State: mptcp.StateEstablished,
		Subflows: []mptcp.Subflow{{Local: netip.MustParseAddrPort("10.0.0.1:1"), Remote: netip.MustParseAddrPort("10.0.0.2:2")}},
	}
	tell(KindState, string(appendConnection(nil, "", "", mptcp.Key{Token: 5}, &c, nil, nil)))
	tell(KindFigures, `[["00000005",0,"","10.0.0.1:1","10.0.0.2:2",7,8,9,1234],["00000006",0,"","x","y",1,1,1,1]]`)
	got := m.Connections()
	if len(got) != 1 || got[0].Subflows[0].BytesSent != 7 || got[0].Subflows[0].RTTMicros != 1234 || m.Whole != whole || m.Time != at {
		t.Fatalf("%+v, whole %v, time %v", got, m.Whole, m.Time)
	}
	var format present.EventJSON
	created := &track.Delta{Name: "CREATED", Event: mptcp.Event{
		Type: mptcp.EventCreated, Token: 9, Time: at, Source: netip.MustParseAddr("10.0.0.1"), Destination: netip.MustParseAddr("10.0.0.2"),
		Sport: 3, Dport: 4, Fields: mptcp.FieldToken | mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport,
	}}
	tell(KindEvent, string(format.AppendDelta(nil, created)))
	joined := *created
	joined.Name, joined.Event.Type, joined.Event.Sport = "SF_ESTABLISHED", mptcp.EventSubflowEstablished, 33
	tell(KindEvent, string(format.AppendDelta(nil, &joined)))
	if got := m.Connections(); len(got) != 2 || len(got[1].Subflows) != 2 {
		t.Fatalf("after CREATED and SF_ESTABLISHED: %+v", got)
	}
	fallback := &track.Delta{
		Kind: track.KindFallback, Name: "FALLBACK", Cause: "MPCapableFallbackSYNACK", Key: mptcp.Key{Token: 5},
		Event: mptcp.Event{Token: 5, Fields: mptcp.FieldToken, Time: at},
	}
	tell(KindEvent, string(format.AppendDelta(nil, fallback)))
	if c := m.Connection(mptcp.Key{Token: 5}); c == nil || !c.Fallback || c.FallbackCause != "MPCapableFallbackSYNACK" {
		t.Fatalf("after FALLBACK: %+v", c)
	}
	tell(KindCounters, `{"netns":"","moved":{"A":5}}`)
	tell(KindCounters, `{"netns":"","moved":{"A":2,"B":1}}`)
	if n := m.Counters()[""]; n["A"] != 7 || n["B"] != 1 {
		t.Fatalf("counters %v", n)
	}
	tell(KindFinding, `{"change":"came","rule":"D16","subject":{"id":1}}`)
	tell(KindFinding, `{"change":"came","rule":"D17","subject":{}}`)
	tell(KindFinding, `{"change":"went","rule":"D16","subject":{"id":1}}`)
	if f := m.Findings(); len(f) != 1 || !json.Valid(f[0]) || string(f[0]) != `{"change":"came","rule":"D17","subject":{}}` {
		t.Fatalf("findings %s", f)
	}
	tell(KindConnection, string(appendConnection(nil, Ended, "closed", mptcp.Key{Token: 5}, &c, nil, nil)))
	closed := *created
	closed.Event.Type = mptcp.EventClosed
	tell(KindEvent, string(format.AppendDelta(nil, &closed)))
	if got := m.Connections(); len(got) != 0 {
		t.Fatalf("after both ends: %+v", got)
	}
	tell("later", `{}`)
	tell(KindBegin, `{"run":"A"}`)
	if len(m.Findings()) != 0 || len(m.Hosts()) != 0 {
		t.Error("another file begins with what the one before knew")
	}
	tell(KindCounters, `{"netns":"","moved":{"A":2}}`)
	tell(KindCounters, `{"netns":"","total":true,"moved":{"A":3}}`)
	tell(KindFinding, `{"change":"holds","rule":"D17","subject":{}}`)
	if n := m.Counters()[""]; n["A"] != 3 || len(m.Findings()) != 1 {
		t.Errorf("counters %v, findings %s", n, m.Findings())
	}
	tell(KindStop, "")
	over := m.Over
	tell(KindBegin, `{"run":"B"}`)
	if !over || m.Over || len(m.Findings()) != 0 || len(m.Counters()) != 0 {
		t.Error("another run begins with what the one before knew")
	}
	for _, kind := range Kinds() {
		if kind == KindStop || kind == KindLost || kind == KindSummary {
			continue
		}
		if err := m.Apply(&Line{Kind: kind, Object: []byte(`{"event":7,"connection":7,"rule":7,"moved":7,"schema":"x","netns":7`)}); !errors.Is(err, ErrFormat) {
			t.Errorf("a %s of nonsense: %v", kind, err)
		}
	}
}
