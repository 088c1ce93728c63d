package scenario_test

import (
	"slices"
	"strings"
	"testing"

	"mptcpctl/internal/lab/scenario"
)

func TestScenariosAreNamed(t *testing.T) {
	scenarios := scenario.All()
	if len(scenarios) < 40 {
		t.Errorf("%d scenarios, want 40", len(scenarios))
	}
	var names []string
	for _, topology := range scenario.Topologies() {
		names = append(names, topology.Name)
	}
	for _, s := range scenarios {
		if slices.Contains(names, s.Name) {
			t.Errorf("two are named %s", s.Name)
		}
		names = append(names, s.Name)
		if s.Summary == "" || s.Rule == "" || s.Host == "" {
			t.Errorf("%s: summary %q, rule %q, host %q", s.Name, s.Summary, s.Rule, s.Host)
		}
		if found, ok := scenario.Find(s.Name); !ok || found.Summary != s.Summary {
			t.Errorf("Find(%s): %v, %q", s.Name, ok, found.Summary)
		}
	}
	if _, ok := scenario.Find("no such"); ok {
		t.Error("found a scenario that is not there")
	}
}

func TestFaultsSayWhatTheyDo(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenario.All() {
		for _, f := range s.Faults {
			text := f.String()
			if text == "" || strings.HasSuffix(text, ": ") {
				t.Errorf("%s: a fault without words: %+v", s.Name, f)
			}
			seen[strings.Fields(text)[0]] = true
		}
	}
	for _, word := range []string{"ip", "firewall:", "mptcpctl", "the"} {
		if !seen[word] {
			t.Errorf("no fault begins with %q", word)
		}
	}
}
