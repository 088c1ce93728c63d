package present

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// hostile is what a foreign string may hold: a terminal's command, a line break.
const hostile = "x\x1b[2J\ny\u202e"

// harmless fails where a text has a foreign control character.
func harmless(t *testing.T, text string, lines int) {
	t.Helper()
	if strings.ContainsAny(text, "\x1b\r\u202e") {
		t.Errorf("not escaped: %q", text)
	}
	if got := strings.Count(text, "\n"); got != lines {
		t.Errorf("%d lines, want %d: %q", got, lines, text)
	}
}

func TestDoctorTextEscapes(t *testing.T) {
	report := &doctor.Report{
		Verdict: doctor.Failure,
		Findings: []doctor.Finding{{
			Rule: "D21", Severity: doctor.Fail, Confidence: track.Certain, Title: "title " + hostile,
			Subject:  doctor.Subject{Device: hostile, Netns: hostile},
			Evidence: []string{"evidence " + hostile}, Fix: []string{"fix x\x1b[2J\u202e"},
			Excluded: []doctor.Exclusion{{Fact: "fact " + hostile, Rules: []rule.ID{"D22", "D28"}}},
		}},
		Connections: []doctor.Connection{{
			Token: 1, Netns: hostile, Verdict: doctor.Failure, Subflows: 1, PathsPossible: 2,
			Unused: []doctor.UnusedPath{
				{Address: netip.MustParseAddr("192.0.2.3"), Device: hostile, Reason: hostile, Rule: "D21"},
			},
		}},
		Unseen: []doctor.Gap{{What: hostile, Why: hostile}},
	}
	for _, width := range []int{0, 80} {
		var text strings.Builder
		if err := (&DoctorText{Width: width}).Write(&text, report); err != nil {
			t.Fatal(err)
		}
		if width == 0 {
			// verdict, gap, head, about, seen, sure, fix, gap, connection, its path, gap, heading, unseen
			harmless(t, text.String(), 13)
		} else {
			harmless(t, text.String(), strings.Count(text.String(), "\n"))
		}
		for _, want := range []string{"failure: 1 failure", "FAIL D21 title", "1 subflow, 2 links lead to the peer", "not from 192.0.2.3", "(D21)", "sure    fact ", "D28)"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("width %d: %q is missing: %s", width, want, text.String())
			}
		}
	}
}

func TestProbeText(t *testing.T) {
	address := netip.MustParseAddr("192.0.2.3")
	for _, test := range []struct {
		name  string
		probe Probe
		lines int
		want  []string
	}{
		{
			"all well",
			Probe{
				Host: "example.com", Address: netip.MustParseAddrPort("192.0.2.1:80"), Verdict: "mptcp",
				Attempts: []ProbeAttempt{{Local: "192.0.2.2:1", MPTCP: true, Spoken: "mptcp", Took: time.Millisecond}},
				Joins:    []ProbeJoin{{Address: address, Device: "wlan0", State: "established"}},
			},
			3,
			[]string{"example.com (192.0.2.1:80): MPTCP\n", "from 192.0.2.2:1 over MPTCP: connected in 1ms\n", "join from 192.0.2.3 dev wlan0: established\n"},
		},
		{
			"a kernel that cannot tell",
			Probe{
				Host: "example.com", Address: netip.MustParseAddrPort("192.0.2.1:80"), Verdict: "unknown",
				Attempts: []ProbeAttempt{{Local: "192.0.2.2:1", MPTCP: true, Spoken: "unknown", Took: time.Millisecond}},
			},
			2,
			[]string{"example.com (192.0.2.1:80): connected, but this kernel cannot tell whether with MPTCP\n", "from 192.0.2.2:1 over MPTCP: connected in 1ms\n"},
		},
		{
			"fallback, hostile",
			Probe{
				Host:    hostile,
				Address: netip.MustParseAddrPort("192.0.2.1:80"),
				Verdict: "fallback",
				Reason:  hostile,
				Rule:    "D05",
				Attempts: []ProbeAttempt{
					{From: address, Device: hostile, MPTCP: true, Spoken: "fallback"},
					{From: address, Error: "connection refused"},
				},
				Joins: []ProbeJoin{{Address: address, Device: hostile, State: "none", Reason: hostile, Rule: "D35"}},
				Notes: []string{hostile},
			},
			5,
			[]string{"fell back to TCP: ", "(D05)\n", "over plain TCP: connection refused in", "none, ", "(D35)\n", "note"},
		},
	} {
		var text strings.Builder
		if err := (&DoctorText{}).Probe(&text, &test.probe); err != nil {
			t.Fatal(err)
		}
		harmless(t, text.String(), test.lines)
		for _, want := range test.want {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%s: %q is missing: %s", test.name, want, text.String())
			}
		}
	}
}

// TestDoctorJSON: lists are never null, and the report is not changed.
func TestDoctorJSON(t *testing.T) {
	r := &doctor.Report{Findings: []doctor.Finding{{Subject: doctor.Subject{Token: mptcp.Token(1)}}}}
	var text strings.Builder
	if err := JSON(&text, DoctorJSON(r), false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"connections":[]`, `"evidence":[]`, `"fix":[]`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s is missing: %s", want, text.String())
		}
	}
	r.Findings[0].Excluded = []doctor.Exclusion{{Fact: "a fact", Rules: []rule.ID{"D22"}}, {Fact: "another"}}
	text.Reset()
	if err := JSON(&text, DoctorJSON(r), false); err != nil {
		t.Fatal(err)
	}
	if want := `"excluded":[{"fact":"a fact","rules":["D22"]},{"fact":"another"}]`; !strings.Contains(text.String(), want) {
		t.Errorf("%s is missing: %s", want, text.String())
	}
	if r.Connections != nil || r.Findings[0].Fix != nil {
		t.Error("the report was changed")
	}
}
