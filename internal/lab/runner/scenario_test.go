package runner_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/cli"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/lab/runner"
	"mptcpctl/internal/lab/scenario"
)

// TestMain runs the tests, or the program where a host of the lab starts it.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "mptcpctl" {
		os.Exit(cli.Main(os.Args, cli.Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, cli.Faces{}))
	}
	labtest.Main(m)
}

func TestDiagnosisNamesRules(t *testing.T) {
	const text = `{"verdict": "failure", "findings": [
		{"rule": "D36", "severity": "fail", "alternatives": ["D08", "D40"]},
		{"rule": "D36", "severity": "fail", "alternatives": ["D08", "D40"]},
		{"rule": "D50", "severity": "info"}]}`
	var d runner.Diagnosis
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	if got, want := d.String(), "failure D36|D08|D40 (D50)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var named []rule.ID
	for _, id := range []rule.ID{"D36", "D08", "D50", "D05", scenario.Healthy} {
		if d.Names(id) {
			named = append(named, id)
		}
	}
	if want := []rule.ID{"D36", "D08", "D50"}; !slices.Equal(named, want) {
		t.Errorf("names %v, want %v", named, want)
	}
	if !(runner.Diagnosis{Verdict: "healthy"}).Names(scenario.Healthy) {
		t.Error("a healthy host is not")
	}
}

// byEvents are scenarios in which only the events tell, though their rule is decided
// on other evidence elsewhere: what an ordinary user is told in its place is that
// events were not seen.
var byEvents = []string{"announced-unheard-by-client", "listener-closed-far", "load-balancer-far"}

// byFirewall are the scenarios that only the rules of this host tell of: what the peer counts
// is not known here.
var byFirewall = []string{"announced-closed-here", "handshake-stripped-here"}

// notSeen returns what an ordinary user cannot see of a scenario, so that doctor may
// miss its rule; "" where it must not.
func notSeen(s scenario.Scenario) string {
	cause, _ := rule.Explain(s.Rule)
	switch {
	case s.Rule == "D48":
		return "other network namespaces"
	case s.Rule == "D26":
		return "the programs that manage endpoints"
	case slices.Contains(byFirewall, s.Name):
		return "the firewall of this host"
	case cause.Needs == rule.NeedsEvents, cause.Needs == rule.NeedsProbe, slices.Contains(byEvents, s.Name):
		return "events"
	}
	return ""
}

// ofEachRule returns the first scenario of each rule.
func ofEachRule(all []scenario.Scenario) []scenario.Scenario {
	var some []scenario.Scenario
	for _, s := range all {
		if !slices.ContainsFunc(some, func(one scenario.Scenario) bool { return one.Rule == s.Rule }) {
			some = append(some, s)
		}
	}
	return some
}

// TestScenariosNameTheirRule brings a scenario of each rule about, in the long form every
// scenario, and asks doctor: it must name the rule, and find nothing where nothing is
// wrong. To an ordinary user it must say the same, or what it could not see.
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
	weak := []string{"setpriv", "--bounding-set=-all", "--inh-caps=-all", program}
	complaints := make(chan string, len(scenario.All()))
	ordinary := func(ctx context.Context, trial *procedure.Trial) error {
		s := trial.Scenario
		if s.Look == scenario.Stalled {
			return nil // it hears no events to lose
		}
		for _, host := range runner.Patients(trial) {
			gap, ask := notSeen(s), runner.Diagnose
			if gap != "" {
				ask = runner.AskDoctor // to look again shows no more
			}
			d, err := ask(ctx, trial, host, weak)
			if err != nil {
				return err
			}
			missing := slices.ContainsFunc(
				d.Unseen,
				func(g doctor.Gap) bool { return g.What == gap || g.What == doctor.UnseenSubflows },
			)
			if !d.Names(s.Rule) && !missing {
				complaints <- fmt.Sprintf("%s on %s: expected %s, an ordinary user is told %s; not seen: %v", s.Name, host.Name, s.Rule, d, d.Unseen)
			}
		}
		return nil
	}
	scenarios := scenario.All()
	if !labtest.Long() {
		scenarios = ofEachRule(scenarios)
	}
	results := runner.RunScenarios(t.Context(), scenarios, []string{program}, ordinary)
	for i, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			r := <-results[i]
			labtest.SkipMissing(t, r.Err)
			switch {
			case r.Err != nil:
				t.Error(r.Err)
			case !r.Agrees:
				t.Errorf("on %s: expected %s, found %s", s.Host, s.Rule, r.Found)
			}
		})
	}
	for range len(complaints) {
		t.Error(<-complaints)
	}
}
