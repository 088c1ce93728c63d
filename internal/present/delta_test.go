package present

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

func derivedDelta() track.Delta {
	return track.Delta{
		Kind: track.KindSubflowSilent, Name: "SF_SILENT", Key: mptcp.Key{Token: 0x63c070d2},
		Event: mptcp.Event{
			Fields: mptcp.FieldLocalID | mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldDport, LocalID: 2,
			Source: netip.MustParseAddr("192.0.2.3"), Destination: netip.MustParseAddr("192.0.2.1"), Dport: 12345,
			Time: time.Date(2026, 11, 22, 20, 0, 0, 7, time.UTC),
		},
		Evidence: []string{"link wlp1s0 is down", "a foreign \x1b[31mword\u009b"}, Confidence: track.Certain,
	}
}

func TestDerivedEventText(t *testing.T) {
	d := derivedDelta()
	f := EventText{}
	want := `[       SF_SILENT] token=63c070d2 locid=2 saddr4=192.0.2.3 daddr4=192.0.2.1 dport=12345 confidence=certain: link wlp1s0 is down; a foreign \x1b[31mword\u009b` + "\n"
	if got := string(f.AppendDelta(nil, &d)); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	d = track.Delta{
		Kind:       track.KindFallback,
		Cause:      "MPCapableFallbackACK",
		Confidence: track.Likely,
		Event:      mptcp.Event{Netns: "a\nb"},
	}
	if got, want := string(f.AppendDelta(nil, &d)), `[        FALLBACK] cause=MPCapableFallbackACK confidence=likely netns=a\nb`+"\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestDerivedEventJSON(t *testing.T) {
	d := derivedDelta()
	f := EventJSON{}
	text := string(f.AppendDelta(nil, &d))
	var object struct {
		Event, Token, Confidence string
		Time                     time.Time
		Derived                  bool
		Evidence                 []string
	}
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if object.Event != "SF_SILENT" || object.Token != "63c070d2" || !object.Derived || object.Confidence != "certain" ||
		len(object.Evidence) != 2 || object.Evidence[1] != d.Evidence[1] || !object.Time.Equal(d.Event.Time) {
		t.Errorf("%s became %+v", text, object)
	}
	if strings.ContainsAny(text, "\x1b\u009b") {
		t.Errorf("%q holds control characters", text)
	}
}

// TestKernelEventsStayAsTheyAre: a delta of the kernel's is rendered as its event.
func TestKernelEventsStayAsTheyAre(t *testing.T) {
	e := mptcp.Event{Type: mptcp.EventClosed, Fields: mptcp.FieldToken, Token: 7, Time: time.Unix(1, 0)}
	d := track.Delta{Kind: track.KindEvent, Event: e, Evidence: []string{"none"}, Confidence: track.Certain}
	text, object := EventText{}, EventJSON{}
	if got, want := string(text.AppendDelta(nil, &d)), string(text.Append(nil, &e)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := string(object.AppendDelta(nil, &d)), string(object.Append(nil, &e)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	lost := track.Delta{Kind: track.KindOverflow, Event: mptcp.Event{Lost: 3, Time: time.Unix(1, 0)}}
	want := `{"event":"OVERFLOW","derived":true,"lost":3,"evidence":[],"time":"1970-01-01T00:00:01.000000000Z"}`
	if got := string(object.AppendDelta(nil, &lost)); got != want {
		t.Errorf("a gap became %s, want %s", got, want)
	}
}
