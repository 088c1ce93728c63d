package present_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
)

var (
	eventTime = time.Date(2026, 11, 22, 7, 27, 56, 371605001, time.UTC)

	subflowFields = mptcp.FieldToken | mptcp.FieldFamily | mptcp.FieldLocalID | mptcp.FieldRemoteID |
		mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport | mptcp.FieldBackup
)

func subflow(t mptcp.EventType, more mptcp.EventField) mptcp.Event {
	return mptcp.Event{
		Type: t, Fields: subflowFields | more, Token: 0x910da67, Family: mptcp.FamilyINET, LocalID: 2,
		Source: netip.MustParseAddr("192.0.2.3"), Destination: netip.MustParseAddr("192.0.2.1"),
		Sport: 53345, Dport: 12345, IfIndex: 3, Error: 104, ResetReason: 6, Time: eventTime,
	}
}

// The lines are iproute2 7.1's, to the byte.
func TestEventText(t *testing.T) {
	created := mptcp.Event{
		Type: mptcp.EventCreated, Token: 0x63c070d2, Sport: 36444, Dport: 12345, Flags: 3, Time: eventTime,
		Fields: mptcp.FieldToken | mptcp.FieldLocalID | mptcp.FieldRemoteID | mptcp.FieldSaddr6 | mptcp.FieldDaddr6 |
			mptcp.FieldSport | mptcp.FieldDport | mptcp.FieldFlags,
		Source: netip.MustParseAddr("::ffff:192.0.2.2"), Destination: netip.MustParseAddr("2001:db8::1"),
	}
	device := func(int32) string { return "wlp1s0" }
	for _, test := range []struct {
		name   string
		format present.EventText
		event  mptcp.Event
		want   string
	}{
		{"created", present.EventText{}, created,
			"[         CREATED] token=63c070d2 remid=0 locid=0 saddr6=::ffff:192.0.2.2 daddr6=2001:db8::1 " +
				"sport=36444 dport=12345 server_side deny_join_id0\n"},
		{"established subflow", present.EventText{Device: device}, subflow(mptcp.EventSubflowEstablished, mptcp.FieldIfIndex),
			"[  SF_ESTABLISHED] token=0910da67 remid=0 locid=2 saddr4=192.0.2.3 daddr4=192.0.2.1 sport=53345 " +
				"dport=12345 backup=0 ifindex=3 dev=wlp1s0\n"},
		{"reset subflow", present.EventText{Details: true}, subflow(mptcp.EventSubflowClosed, mptcp.FieldError|mptcp.FieldResetReason|mptcp.FieldResetFlags),
			"[       SF_CLOSED] token=0910da67 remid=0 locid=2 saddr4=192.0.2.3 daddr4=192.0.2.1 sport=53345 " +
				"dport=12345 backup=0 error=104 reset_reason=6 reset_flags=0 error_name=ECONNRESET " +
				"reset_reason_name=middlebox\n"},
		{"closed", present.EventText{}, mptcp.Event{Type: mptcp.EventClosed, Fields: mptcp.FieldToken, Token: 1, Time: eventTime},
			"[          CLOSED] token=00000001\n"},
		{"listener", present.EventText{}, mptcp.Event{Type: mptcp.EventListenerCreated, Fields: mptcp.FieldFamily | mptcp.FieldSaddr4 | mptcp.FieldSport, Source: netip.IPv4Unspecified(), Sport: 80},
			"[LISTENER_CREATED] saddr4=0.0.0.0 sport=80\n"},
		{"unknown", present.EventText{}, mptcp.Event{Type: 17, Fields: mptcp.FieldToken, Token: 1}, "[UNKNOWN 17]\n"},
		{"lost", present.EventText{}, mptcp.Event{Type: mptcp.EventLost, Lost: 6480}, "[            LOST] lost=6480\n"},
		{"unknown flags", present.EventText{}, mptcp.Event{Type: mptcp.EventClosed, Fields: mptcp.FieldToken | mptcp.FieldFlags, Flags: 0x10}, "[          CLOSED] token=00000000 flags=0x10\n"},
		{"a namespace that attacks the terminal", present.EventText{}, mptcp.Event{Type: mptcp.EventClosed, Fields: mptcp.FieldToken, Netns: "a\x1b[2J"},
			"[          CLOSED] token=00000000 netns=a\\x1b[2J\n"},
	} {
		if got := string(test.format.Append(nil, &test.event)); got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, test.want)
		}
	}
}

func TestEventTimes(t *testing.T) {
	closed := mptcp.Event{Type: mptcp.EventClosed, Fields: mptcp.FieldToken, Time: eventTime.In(time.Local)}
	local := eventTime.In(time.Local)
	for _, test := range []struct {
		format present.EventText
		want   string
	}{
		{present.EventText{Time: present.LongTime}, local.Format("Timestamp: Mon Jan _2 15:04:05 2006 ") + "371605 usec\n[          CLOSED] token=00000000\n"},
		{present.EventText{Time: present.LongTime, OneLine: true}, local.Format("Timestamp: Mon Jan _2 15:04:05 2006 ") + "371605 usec\\[          CLOSED] token=00000000\n"},
		{present.EventText{Time: present.ShortTime}, local.Format("[2006-01-02T15:04:05") + ".371605] [          CLOSED] token=00000000\n"},
	} {
		if got := string(test.format.Append(nil, &closed)); got != test.want {
			t.Errorf("got %q\nwant %q", got, test.want)
		}
	}
}

func TestEventJSON(t *testing.T) {
	reset := subflow(
		mptcp.EventSubflowClosed,
		mptcp.FieldIfIndex|mptcp.FieldError|mptcp.FieldResetReason|mptcp.FieldResetFlags,
	)
	reset.Netns = "b\"lue\n"
	ours := present.EventJSON{Device: func(int32) string { return "wlp1s0" }}
	want := `{"event":"SF_CLOSED","token":"0910da67","remid":0,"locid":2,"saddr4":"192.0.2.3","daddr4":"192.0.2.1","sport":53345,"dport":12345,"backup":0,` +
		`"error":104,"ifindex":3,"dev":"wlp1s0","reset_reason":6,"reset_flags":"0","error_name":"ECONNRESET","reset_reason_name":"middlebox",` +
		`"netns":"b\"lue\u000a","time":"2026-11-22T07:27:56.371605001Z"}`
	if got := string(ours.Append(nil, &reset)); got != want || !json.Valid([]byte(got)) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	theirs := present.EventJSON{IPRoute2: true}
	want = `{"event":"SF_CLOSED","token":"0x910da67","remid":0,"locid":2,"saddr4":"192.0.2.3","daddr4":"192.0.2.1","sport":53345,"dport":12345,"backup":0,` +
		`"error":104,"ifindex":3,"reset_reason":6,"reset_flags":"0"}`
	if got := string(theirs.Append(nil, &reset)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	lost := mptcp.Event{Type: mptcp.EventLost, Lost: 6480, Time: eventTime}
	if got, want := string(ours.Append(nil, &lost)), `{"event":"LOST","lost":6480,"time":"2026-11-22T07:27:56.371605001Z"}`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// An event that waited to be read says so, but not in iproute2's own forms.
func TestLateEvents(t *testing.T) {
	event := mptcp.Event{
		Type:   mptcp.EventClosed,
		Fields: mptcp.FieldToken,
		Token:  0x1a,
		Late:   3200 * time.Millisecond,
		Netns:  "blue",
	}
	for _, tt := range []struct {
		form interface {
			Append(b []byte, e *mptcp.Event) []byte
		}
		want string
	}{
		{&present.EventText{Details: true}, "[          CLOSED] token=0000001a netns=blue late_ms=3200\n"},
		{&present.EventText{}, "[          CLOSED] token=0000001a netns=blue\n"},
		{&present.EventJSON{}, `{"event":"CLOSED","token":"0000001a","netns":"blue","time":"0001-01-01T00:00:00.000000000Z","late_ms":3200}`},
		{&present.EventJSON{IPRoute2: true}, `{"event":"CLOSED","token":"0x1a"}`},
	} {
		if got := string(tt.form.Append(nil, &event)); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// No event may cost an allocation: a monitor that lags loses events.
func TestEventsDoNotAllocate(t *testing.T) {
	event := subflow(mptcp.EventSubflowClosed, mptcp.FieldIfIndex|mptcp.FieldError)
	text := present.EventText{Device: func(int32) string { return "wlp1s0" }, Time: present.ShortTime}
	object := present.EventJSON{Device: text.Device}
	buffer := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buffer = text.Append(buffer[:0], &event) }); n != 0 {
		t.Errorf("a line costs %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { buffer = object.Append(buffer[:0], &event) }); n != 0 {
		t.Errorf("an object costs %v allocations", n)
	}
}

func BenchmarkEventText(b *testing.B) {
	event := subflow(mptcp.EventSubflowPriority, 0)
	format := present.EventText{}
	buffer := make([]byte, 0, 4096)
	for b.Loop() {
		buffer = format.Append(buffer[:0], &event)
	}
}

func BenchmarkEventJSON(b *testing.B) {
	event := subflow(mptcp.EventSubflowPriority, 0)
	format := present.EventJSON{}
	buffer := make([]byte, 0, 4096)
	for b.Loop() {
		buffer = format.Append(buffer[:0], &event)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b[2J\u202e\xff\\")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range present.Escape(s) {
			if r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e {
				t.Fatalf("Escape(%q) = %q lets %q through", s, present.Escape(s), r)
			}
		}
	})
}

// iproute2 7.1 has the time of -t and -ts in its JSON too, indents with -p, and puts a
// backslash in place of a line break with -o.
func TestEventsOfIPRoute2(t *testing.T) {
	event := mptcp.Event{
		Type:   mptcp.EventListenerCreated,
		Fields: mptcp.FieldFamily | mptcp.FieldSaddr6 | mptcp.FieldSport,
		Time:   eventTime,
		Source: netip.MustParseAddr("::a01:203"), Sport: 80,
	}
	short, long := eventTime.Local().
		Format("2006-01-02T15:04:05")+
		".371605", eventTime.Local().
		Format("Mon Jan _2 15:04:05 2006")+
		" 371605"
	for name, test := range map[string]struct {
		format interface {
			Append([]byte, *mptcp.Event) []byte
		}
		want string
	}{
		"plain": {&present.EventJSON{IPRoute2: true}, `{"event":"LISTENER_CREATED","saddr6":"::10.1.2.3","sport":80}`},
		"-t":    {&present.EventJSON{IPRoute2: true, Time: present.LongTime}, `{"timestamp":"` + long + `","event":"LISTENER_CREATED","saddr6":"::10.1.2.3","sport":80}`},
		"-ts": {&present.EventJSON{IPRoute2: true, Time: present.ShortTime},
			`{"timestamp_short":"` + short + `","event":"LISTENER_CREATED","saddr6":"::10.1.2.3","sport":80}`},
		"-p": {&present.EventJSON{IPRoute2: true, Pretty: true},
			"{\n        \"event\": \"LISTENER_CREATED\",\n        \"saddr6\": \"::10.1.2.3\",\n        \"sport\": " +
				"80\n    }"},
		"-o":    {&present.EventText{End: `\`, OneLine: true}, `[LISTENER_CREATED] saddr6=::10.1.2.3 sport=80\`},
		"-o -t": {&present.EventText{End: `\`, OneLine: true, Time: present.LongTime}, "Timestamp: " + long + " usec\n" + `[LISTENER_CREATED] saddr6=::10.1.2.3 sport=80\`},
	} {
		if got := string(test.format.Append(nil, &event)); got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", name, got, test.want)
		}
	}
}
