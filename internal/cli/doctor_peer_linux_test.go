package cli

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/lab/scenario"
)

// decided are the scenarios of which one end alone calls the cause likely, or names several:
// what both ends find for certain, and on which host.
var decided = []struct{ scenario, rule, host string }{
	{"plain-server", "D07", lab.ServerHost},
	{"limit-of-peer", "D16", lab.ServerHost},
	{"join-stripped", "D37", lab.ServerHost}, // a rule of its firewall stands for the middlebox
	{"load-balancer-far", "D40", scenario.OtherServer},
	{"second-path-silent", "D43", lab.ServerHost},
	{"strict-filter", "D29", lab.ClientHost},
	{"healthy-nat", "", ""},
	// those above are tested always, those below in the long form
	{"syn-stripped", "D07", lab.ServerHost},
	{"limit-at-server", "D16", lab.ServerHost},
	{"limit-eaten", "D35", lab.ServerHost},
	{"announcement-refused", "D17", lab.ClientHost},
	{"announcement-too-long", "D44", lab.ServerHost},
	{"announced-unheard-by-client", "D09", lab.ServerHost},
	{"client-signals", "D10", lab.ClientHost},
	{"join-dropped", "D35", lab.ServerHost},
	{"join-reset", "D36", lab.ServerHost},
	{"join-prohibited", "D36", lab.ServerHost},
	{"join-forbidden", "D25", lab.ServerHost},
	{"rule-by-mark", "D35", lab.ServerHost},
	{"listener-closed-far", "D36", lab.ServerHost}, // a rule of its firewall stands for the closed port
	{"load-balancer", "D40", scenario.OtherServer},
	{"only-path-silent", "D43", lab.ServerHost},
	{"first-path-silent", "D43", lab.ServerHost},
	{"second-path-one-way", "D43", lab.ServerHost},
}

// shortDecided is how many of them the short form tests.
const shortDecided = 7

// acrossReport is what the tests read of a report of both ends.
type acrossReport struct {
	Verdict  string
	Findings []struct {
		Rule, Severity, Confidence, Title string
		Subject                           struct{ Host string }
		Alternatives, Evidence            []string
	}
	Hosts []struct {
		Name    string
		Verdict string
	}
	Matched []struct{ By string }
}

// askAcross asks doctor on the host of the scenario, with bundles of all others.
func askAcross(t *testing.T, trial *procedure.Trial) (r acrossReport, here string) {
	t.Helper()
	here = trial.Scenario.Host
	args := []string{"-j", "doctor"}
	dir := t.TempDir()
	for _, h := range trial.Scenario.Topology.Hosts {
		if h.Name == here || h.Name == "router" { // who looks at two ends has not the way between
			continue
		}
		file := filepath.Join(dir, h.Name)
		if _, errs, _ := runIn(t, trial.Lab.Host(h.Name), "doctor", "--force", "--bundle", file); errs != "" {
			t.Fatalf("%s: %s", h.Name, errs)
		}
		args = append(args, "--peer", file)
	}
	out, errs, _ := runIn(t, trial.Lab.Host(here), args...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	return r, here
}

// What one end cannot tell is decided with both, on the right host; of a healthy network
// nothing is said.
func TestDoctorAcrossDecides(t *testing.T) {
	t.Parallel()
	list := decided
	if !labtest.Long() {
		list = list[:shortDecided]
	}
	for _, test := range list {
		t.Run(test.scenario, func(t *testing.T) {
			t.Parallel()
			trial := trial(t, test.scenario)
			await.Success(t, func() error {
				r, here := askAcross(t, trial)
				if test.rule == "" {
					if r.Verdict != "healthy" || len(r.Matched) == 0 {
						return fmt.Errorf("got %+v", r)
					}
					return nil
				}
				for _, f := range r.Findings {
					host := f.Subject.Host
					if host == "this host" {
						host = here
					}
					if f.Rule == test.rule && host == test.host && f.Confidence == "certain" && f.Alternatives == nil {
						return nil
					}
				}
				return fmt.Errorf("no %s on %s for certain: %+v", test.rule, test.host, r)
			})
		})
	}
}

// Both ends of healthy networks: no warning, and each connection that both see is matched.
func TestDoctorAcrossHealthy(t *testing.T) {
	t.Parallel()
	healthy := slices.DeleteFunc(scenario.All(), func(s scenario.Scenario) bool { return s.Rule != scenario.Healthy })
	if !labtest.Long() {
		healthy = slices.DeleteFunc(healthy, func(s scenario.Scenario) bool {
			return s.Name != "healthy-many" && s.Name != "healthy-ipv6" && s.Name != "healthy-mapped"
		})
	}
	for _, s := range healthy {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			trial := trial(t, s.Name)
			r, _ := askAcross(t, trial)
			if r.Verdict != "healthy" {
				t.Errorf("got %+v", r)
			}
			if held := len(trial.Conns()); s.Name == "healthy-many" && len(r.Matched) != held {
				t.Errorf("%d of %d connections are matched", len(r.Matched), held)
			}
		})
	}
}

func TestDoctorAcrossText(t *testing.T) {
	t.Parallel()
	trial := trial(t, "plain-server")
	file := filepath.Join(t.TempDir(), "server.tgz")
	server, client := trial.Lab.Host(lab.ServerHost), trial.Lab.Host(lab.ClientHost)
	if _, errs, _ := runIn(t, server, "doctor", "--bundle", file); errs != "" {
		t.Fatal(errs)
	}
	out, errs, code := runIn(t, client, "doctor", "--peer", file)
	if code != 1 || errs != "" || !strings.Contains(out, "opened a TCP socket") ||
		!strings.Contains(out, "on server.tgz: mptcpctl run") || !strings.Contains(out, "clocks not compared") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	hidden, _, code := runIn(t, client, "doctor", "--peer", file, "--anonymise")
	if code != 1 || strings.Contains(hidden, "10.0.1.1") || strings.Contains(hidden, "server.tgz") ||
		!strings.Contains(hidden, "opened a TCP socket") {
		t.Errorf("anonymised: exit %d: %s", code, hidden)
	}
	// One of two peers that cannot be read is a warning; if none can, there is no verdict.
	out, errs, code = runIn(t, client, "doctor", "--peer", file, "--peer", "/nonexistent")
	if code != 1 || !strings.Contains(errs, "peer /nonexistent") || !strings.Contains(out, "opened a TCP socket") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if _, errs, code = runIn(t, client, "doctor", "--peer", "/nonexistent"); code != 3 || errs == "" {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// Behind a router with NAT: what is the server's cause, what is on the way.
func TestDoctorAcrossRouter(t *testing.T) {
	t.Parallel()
	for _, both := range scenario.BothEnds() {
		t.Run(both.Name, func(t *testing.T) {
			t.Parallel()
			trial := startTrial(t, both.Scenario)
			await.Success(t, func() error {
				r, _ := askAcross(t, trial)
				if both.Rule == scenario.Healthy {
					if r.Verdict != "healthy" || len(r.Matched) == 0 {
						return fmt.Errorf("got %+v", r)
					}
					return nil
				}
				for _, f := range r.Findings {
					way := strings.Contains(f.Title, "on the way")
					if f.Rule == string(both.Rule) && f.Confidence == "certain" &&
						(way && both.At == scenario.OnTheWay || f.Subject.Host == both.At && !way) {
						return nil
					}
				}
				return fmt.Errorf("no %s for certain at %s: %+v", both.Rule, both.At, r)
			})
		})
	}
}
