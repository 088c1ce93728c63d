package doctor

import (
	"slices"
	"testing"

	"mptcpctl/doctor/rule"
	"mptcpctl/track"
)

// plainFacts are rules that state what the kernel says of itself or of the reader, beside
// which there is no other cause.
var plainFacts = []rule.ID{rule.TableFull, rule.EventsLost, rule.OldIPRoute2}

// TestCertainNamesWhatExcludesTheRest: whatever two troubles there are, a certain finding
// names facts that exclude other causes, and neither its own nor one that was found too.
func TestCertainNamesWhatExcludesTheRest(t *testing.T) {
	certain := map[rule.ID]bool{}
	cases := ruleCases()
	for _, a := range cases {
		for _, b := range cases {
			f := healthy(t)
			a.trigger(t, f)
			if len(f.Connections) == 1 && len(f.Connections[0].Subflows) == 2 && len(f.Endpoints) > 0 &&
				len(f.Network.Addresses) > 2 {
				b.trigger(t, f)
			}
			report := Diagnose(*f)
			for i := range report.Findings {
				x := &report.Findings[i]
				if x.Confidence != track.Certain {
					continue
				}
				certain[x.Rule] = true
				named := 0
				for _, e := range x.Excluded {
					if e.Fact == "" {
						t.Errorf("%s and %s: %s %q: an exclusion without a fact", a.rule, b.rule, x.Rule, x.Title)
					}
					named += len(e.Rules)
				}
				if len(x.Excluded) == 0 || named == 0 && !slices.Contains(plainFacts, x.Rule) || x.excludes(x.Rule) {
					t.Errorf("%s and %s: %s %q: excluded: %v", a.rule, b.rule, x.Rule, x.Title, x.Excluded)
				}
				for j := range report.Findings {
					if other := &report.Findings[j]; x.excludes(other.Rule) && x.touches(other) {
						t.Errorf("%s and %s: %s excludes %s, which is found too", a.rule, b.rule, x.Rule, other.Rule)
					}
				}
			}
		}
	}
	if len(certain) < 20 {
		t.Errorf("certain are only %v", certain)
	}
}

// A finding that names no fact which excludes other causes is not certain, nor is one whose
// excluded cause was found too.
func TestNotCertainWithoutExclusion(t *testing.T) {
	bare := Finding{Confidence: track.Certain}
	bare.admit()
	found := []Finding{
		{Rule: rule.SubflowLimit, Confidence: track.Certain, Excluded: excluding("a fact", rule.PeerLimit)},
		{Rule: rule.PeerLimit, Confidence: track.Likely},
	}
	doubt(found)
	found[0].admit()
	for _, f := range []Finding{bare, found[0]} {
		if f.Confidence != track.Likely || f.Excluded != nil {
			t.Errorf("%v, excluded %v", f.Confidence, f.Excluded)
		}
	}
	if !slices.Equal(found[0].Alternatives, []rule.ID{rule.PeerLimit}) {
		t.Errorf("alternatives %v", found[0].Alternatives)
	}
	all := []rule.ID{"D01", "D02", "D03", "D04", "D05", "D06"}
	for n, want := range map[int]string{
		0: "a fact", 2: "a fact (excludes D01, D02)", 5: "a fact (excludes D01, D02, D03, D04, D05)",
		6: "a fact (excludes D01, D02, D03, D04 and 2 more)",
	} {
		if got := (&Exclusion{"a fact", all[:n]}).String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
