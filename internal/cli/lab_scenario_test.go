package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
)

func TestDiagnosisNamesRules(t *testing.T) {
	const text = `{"verdict": "failure", "findings": [
		{"rule": "D36", "severity": "fail", "alternatives": ["D08", "D40"]},
		{"rule": "D36", "severity": "fail", "alternatives": ["D08", "D40"]},
		{"rule": "D50", "severity": "info"}]}`
	var d diagnosis
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	if got, want := d.String(), "failure D36|D08|D40 (D50)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var named []string
	for _, rule := range []string{"D36", "D08", "D50", "D05", lab.Healthy} {
		if d.names(rule) {
			named = append(named, rule)
		}
	}
	if want := []string{"D36", "D08", "D50"}; !slices.Equal(named, want) {
		t.Errorf("names %v, want %v", named, want)
	}
	if !(diagnosis{Verdict: "healthy"}).names(lab.Healthy) {
		t.Error("a healthy host is not")
	}
}

// TestScenariosNameTheirRule brings every scenario about and asks doctor: it must
// name the rule, and find nothing where nothing is wrong.
func TestScenariosNameTheirRule(t *testing.T) {
	labtest.MPTCP(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "mptcpctl") // the name tells TestMain what to be
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	scenarios := lab.Scenarios()
	results := runScenarios(t.Context(), scenarios, []string{program})
	for i, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			switch r := <-results[i]; {
			case r.err != nil:
				t.Error(r.err)
			case !r.agrees:
				t.Errorf("on %s: expected %s, found %s", s.Host, s.Rule, r.found)
			}
		})
	}
}
