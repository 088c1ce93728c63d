package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab/runner"
	"mptcpctl/internal/lab/scenario"
)

// untold are the scenarios whose rule no recording can tell of, or the one that is
// kept does not, and why.
var untold = map[string]string{
	"plain-client":           "a recording has no plain TCP sockets",
	"wrong-namespace":        "this is a recording of one namespace",
	"wrong-namespace-inside": "this is a recording of one namespace",
	"policy-forbids":         "the recorder was not confined as the program is",
	"events-lost":            "the recorder did not stand still as the reader does",
	"path-mended":            "it has the reset of the join itself, which is D36",
}

// TestScenarioFixtures asks doctor about the recordings of the lab's scenarios, on
// whatever machine this is: it must name the rule of each, find nothing where nothing
// is wrong, and every command must show them. See TestRecordScenarios.
func TestScenarioFixtures(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../source/recording/testdata/*/*.pcapng.gz")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, name := range names {
		scenario, kernel := strings.TrimSuffix(filepath.Base(name), ".pcapng.gz"), filepath.Base(filepath.Dir(name))
		t.Run(kernel+"/"+scenario, func(t *testing.T) {
			t.Parallel()
			s := findScenario(t, scenario)
			d := diagnosisOfFixture(t, name)
			switch why, excepted := untold[scenario]; {
			case excepted && d.Names(s.Rule):
				t.Errorf("it tells of %s, though %s", s.Rule, why)
			case !excepted && !d.Names(s.Rule):
				t.Errorf("want %s, got %s", s.Rule, d)
			}
			for _, line := range [][]string{{"connection", "show"}, {"-d", "connection", "show"}, {"-d", "monitor"}, {"-j", "monitor"}} {
				if _, errs, code := runHere(append([]string{"--replay", name}, line...)...); code != 0 || errs != "" {
					t.Errorf("%q: exit code %d: %s", line, code, errs)
				}
			}
		})
	}
	for name := range untold {
		if _, ok := scenario.Find(name); !ok {
			t.Errorf("the lab has no scenario %s", name)
		}
	}
}

func diagnosisOfFixture(t *testing.T, name string) runner.Diagnosis {
	t.Helper()
	d, ok := replayedDiagnosis(name)
	if !ok {
		t.Fatal("doctor has no diagnosis")
	}
	for _, f := range d.Findings {
		if _, ok := rule.Explain(f.Rule); !ok {
			t.Errorf("a finding of the rule %q, which there is not", f.Rule)
		}
	}
	return d
}

// replayedDiagnosis is what doctor says of a recording that may not be whole yet.
func replayedDiagnosis(file string) (d runner.Diagnosis, ok bool) {
	out, _, _ := runHere("-j", "--replay", file, "doctor")
	return d, json.Unmarshal([]byte(out), &d) == nil
}
