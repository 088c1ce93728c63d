package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mptcpctl/doctor"
	"mptcpctl/internal/await"
	"mptcpctl/internal/bundle"
	"mptcpctl/internal/kernel"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/sockdiag"
)

// A healthy host is told to be healthy, and no more.
func TestDoctorOfHealthyHost(t *testing.T) {
	t.Parallel()
	trial := trial(t, "healthy-two-paths")
	for _, name := range []string{lab.ClientHost, lab.ServerHost} {
		out, errs, code := runIn(t, trial.Lab.Host(name), "doctor")
		if out != "healthy\n" || errs != "" || code != 0 {
			t.Errorf("%s: exit %d: %q %q", name, code, out, errs)
		}
	}
}

// The exit code is the verdict, and JSON has the members that the schema promises.
func TestDoctorVerdicts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		scenario, verdict, rule string
		code                    int
	}{
		{"healthy-single", "healthy", "", 0},
		{"endpoint-without-flags", "warning", "D19", 1},
		{"limit-zero", "failure", "D15", 2},
		{"phantom-route", "failure", "D28", 2},
	} {
		t.Run(test.scenario, func(t *testing.T) {
			t.Parallel()
			host := trial(t, test.scenario).Host()
			out, errs, code := runIn(t, host, "-j", "doctor")
			var report struct {
				Schema   int
				Verdict  string
				Findings []map[string]json.RawMessage
			}
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatalf("%v: %s%s", err, out, errs)
			}
			if code != test.code || report.Schema != 1 || report.Verdict != test.verdict {
				t.Errorf("exit %d, schema %d, verdict %s", code, report.Schema, report.Verdict)
			}
			for _, f := range report.Findings {
				for _, key := range []string{"rule", "severity", "confidence", "title", "subject", "evidence", "fix"} {
					if f[key] == nil || string(f[key]) == "null" {
						t.Errorf("a finding without %q: %s", key, out)
					}
				}
			}
			if test.rule != "" &&
				(len(report.Findings) == 0 || string(report.Findings[0]["rule"]) != `"`+test.rule+`"`) {
				t.Errorf("want %s first: %s", test.rule, out)
			}
			text, _, _ := runIn(t, host, "doctor")
			if !strings.HasPrefix(text, test.verdict) || !strings.Contains(text, test.rule) {
				t.Errorf("as text: %s", text)
			}
		})
	}
}

// Without privileges the rules that need none find what they find, and what was not
// seen is said.
func TestDoctorUnprivileged(t *testing.T) {
	t.Parallel()
	host := trial(t, "limit-zero").Host()
	c := tool("-j", "doctor")
	c.Args = append([]string{"setpriv", "--bounding-set=-all", "--inh-caps=-all"}, toolPath(t), "-j", "doctor")
	c.Arg0 = ""
	lines, code, err := host.RunProcess(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	out, errs := texts(lines)
	var shape struct {
		Findings []struct{ Rule string }
		Unseen   []doctor.Gap
	}
	if err := json.Unmarshal([]byte(out), &shape); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	verdict := doctor.Failure
	if sockdiag.PrivilegedSubflows(kernel.Release()) { // that no connection has a second one is not seen
		verdict = doctor.Warning
		if !slices.ContainsFunc(shape.Unseen, func(g doctor.Gap) bool { return g.What == doctor.UnseenSubflows }) {
			t.Errorf("not seen: %v", shape.Unseen)
		}
	}
	if code != int(verdict) || len(shape.Findings) == 0 || shape.Findings[0].Rule != "D15" {
		t.Errorf("exit %d: %s", code, out)
	}
	if len(shape.Unseen) == 0 || shape.Unseen[0] != (doctor.Gap{What: "events", Why: "needs CAP_NET_ADMIN"}) {
		t.Errorf("not seen: %v", shape.Unseen)
	}
}

// A bundle is judged elsewhere as it was judged where it was made, and an
// anonymised one names no address and no name.
func TestDoctorBundle(t *testing.T) {
	t.Parallel()
	host := trial(t, "limit-zero").Host()
	dir := t.TempDir()
	open, hidden := filepath.Join(dir, "open.tgz"), filepath.Join(dir, "hidden.tgz")
	here, errs, code := runIn(t, host, "doctor", "--bundle", open)
	if code != 2 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if _, errs, code := runIn(t, host, "doctor", "--bundle", hidden, "--anonymise"); code != 2 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	there, errs, code := ranHere(t, "doctor", "--from", open)
	if there != here || code != 2 {
		t.Errorf("exit %d %s: here:\n%sthere:\n%s", code, errs, here, there)
	}
	// A filter narrows a bundle as it narrows the host; --replay takes one, too.
	for _, filter := range []string{"dport 12345", "dport 1", "not fallback", "side server"} {
		live, _, liveCode := runIn(t, host, append([]string{"-d", "doctor"}, strings.Fields(filter)...)...)
		for _, from := range [][]string{{"-d", "doctor", "--from", open}, {"-d", "--replay", open, "doctor"}} {
			got, errs, code := ranHere(t, append(from, strings.Fields(filter)...)...)
			if got != live || code != liveCode {
				t.Errorf("%v %s: exit %d %s:\n%s\nlive: exit %d\n%s", from, filter, code, errs, got, liveCode, live)
			}
		}
	}
	if out, errs, code := ranHere(t, "--replay", open, "limits", "show"); code != 0 ||
		out != "add_addr_accepted 0 subflows 0 \n" {
		t.Errorf("exit %d: the recording in the bundle: %s%s", code, out, errs)
	}
	if _, errs, code := ranHere(t, "--replay", hidden, "limits", "show"); code == 0 ||
		!strings.Contains(errs, "anonymised") {
		t.Errorf("exit %d: %s", code, errs)
	}
	facts, err := bundle.ReadFacts(hidden)
	if err != nil {
		t.Fatal(err)
	}
	if got := doctor.DiagnoseAll(facts); got.Verdict != doctor.Failure || got.Findings[0].Rule != "D15" {
		t.Errorf("the anonymised bundle: %+v", got)
	}
	text, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"10.0.1.", "10.0.2.", "eth0", "eth1", filepath.Base(os.Args[0])} {
		if strings.Contains(string(text), name) {
			t.Errorf("the anonymised bundle still has %q", name)
		}
	}
}

// ranHere runs the program where the test is.
func ranHere(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs strings.Builder
	code = Main(append([]string{"mptcpctl"}, args...), Streams{nil, &out, &errs}, testFaces())
	return out.String(), errs.String(), code
}

// --watch prints the report once, then what changes, and ends with a signal.
func TestDoctorWatch(t *testing.T) {
	t.Parallel()
	trial := trial(t, "healthy-two-paths")
	host := trial.Lab.Host(lab.ClientHost)
	p, err := host.StartProcess(t.Context(), tool("doctor", "--watch", "200ms"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if _, err := p.WaitLine(t.Context(), func(l lab.Line) bool { return l.Text == "healthy" }); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := runIn(t, host, "limits", "set", "subflows", "0"); code != 0 {
		t.Fatal(errs)
	}
	if _, errs, code := runIn(t, host, "endpoint", "add", "10.0.9.9", "subflow"); code != 0 {
		t.Fatal(errs)
	}
	if _, err := p.WaitLine(t.Context(), func(l lab.Line) bool { return strings.Contains(l.Text, "found: FAIL D21") }); err != nil {
		t.Fatalf("%v: %v", err, p.Lines())
	}
	if code := ended(t, p, syscall.SIGINT); code != 2 {
		t.Errorf("exit %d", code)
	}
}

// Rules are explained, and words that are none are filters.
func TestDoctorExplains(t *testing.T) {
	out, _, code := ranHere(t, "doctor", "d17")
	if !strings.HasPrefix(out, "D17 ") || code != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
	if number, _, code := ranHere(t, "doctor", "17"); number != out || code != 0 {
		t.Errorf("exit %d: %s", code, number)
	}
	if out, _, code := ranHere(t, "doctor", "s3"); !strings.HasPrefix(out, "S03 ") || code != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
	if out, _, code := ranHere(t, "doctor", "explain"); strings.Count(out, "\n") != len(allRules()) ||
		!strings.Contains(out, "S03") || code != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
	if out, _, code := ranHere(t, "-j", "doctor", "D17"); !strings.HasPrefix(
		out,
		`{"id":"D17","family":"limits","title":"`,
	) ||
		code != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
	if out, _, code := ranHere(t, "-j", "doctor", "explain"); !strings.HasPrefix(
		out,
		`[{"id":"D01","family":"host","title":"`,
	) ||
		code != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
}

// What is no verdict has an exit code that no verdict has.
func TestDoctorWithoutVerdict(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"explain D99", "no rule D99: `doctor explain` lists them"},
		{"D99", "no rule D99: `doctor explain` lists them"},
		{"99", "no rule 99: `doctor explain` lists them"},
		{"S99", "no rule S99: `doctor explain` lists them"},
		{"--look 1s", `--look "1s": want a time such as 3s, at least 2s`},
		{"--look soon", "want a time such as 3s"},
		{"--look 3s --from /nonexistent", "excludes -a, --replay and --from"},
		{"--look 3s --watch 10s", "--watch goes with none of"},
		{"--watch 10x", `--watch "10x": want a time such as 10s`},
		{"--watch 0", "want at least 100ms"},
		{"event CLOSED", "words about events"},
		{"dport", "a port"},
		{"--frobnicate", "frobnicate"},
		{"--from /nonexistent", "no such file"},
		{"--replay /nonexistent", "no such file"},
	} {
		out, errs, code := ranHere(t, append([]string{"doctor"}, strings.Fields(test.args)...)...)
		if out != "" || !strings.Contains(errs, test.want) || code != 3 {
			t.Errorf("doctor %s: exit %d, want 3 and %q: %s%s", test.args, code, test.want, out, errs)
		}
	}
}

// wait ends with what doctor would mend.
func TestWaitTellsDoctorsReason(t *testing.T) {
	t.Parallel()
	host := trial(t, "limit-zero").Host()
	_, errs, code := runIn(t, host, "wait", "subflows >= 2", "timeout", "100ms")
	if code != 1 || !strings.Contains(errs, "D15: the limit of additional subflows is 0") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// wait returns with the event that it waits for, of the kernel or derived.
func TestWaitForEvents(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ scenario, filter, want string }{
		{"healthy-two-paths", "event SF_CLOSED and src 10.0.2.2", "SF_CLOSED"},
		{"data-stripped-later", "event FALLBACK and dport 12345", "FALLBACK"},
	} {
		t.Run(test.scenario, func(t *testing.T) {
			t.Parallel()
			labtest.Namespace(t)
			s := findScenario(t, test.scenario)
			ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
			t.Cleanup(cancel)
			var p *lab.Process
			trial, err := procedure.StartWatched(ctx, s, []string{toolPath(t)}, func(l *lab.Lab) (err error) {
				if p, err = l.Host(lab.ClientHost).StartProcess(ctx, tool("wait", test.filter, "timeout", "90s")); err != nil {
					return err
				}
				await.True(t, "wait listening to events", func() bool {
					ok, err := p.Subscribed(0)
					if err != nil {
						t.Fatal(err)
					}
					return ok
				})
				return nil
			})
			labtest.SkipMissing(t, err)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { trial.Close() })
			if test.want == "SF_CLOSED" {
				if _, errs, code := runIn(t, trial.Lab.Host(lab.ClientHost), "endpoint", "flush"); code != 0 {
					t.Fatal(errs)
				}
			}
			code, err := p.Wait(ctx)
			if out, errs := texts(p.Lines()); err != nil || code != 0 || strings.Count(out, "\n") != 1 ||
				!strings.Contains(out, test.want+"]") {
				t.Errorf("exit %d, %v: %s%s", code, err, out, errs)
				for _, words := range [][]string{{"-d", "connection", "show"}, {"counters"}} { // did the kernel do it?
					now, _, _ := runIn(t, trial.Lab.Host(lab.ClientHost), words...)
					t.Logf("%v: %s", words, now)
				}
			}
		})
	}
}

// An endpoint is judged before it is added, and nothing is changed.
func TestEndpointCheck(t *testing.T) {
	t.Parallel()
	trial := trial(t, "healthy-second-link")
	client := trial.Lab.Host(lab.ClientHost)
	to := trial.Scenario.Topology.Paths[0].Destination.String()
	if _, errs, code := runIn(t, client, "limits", "set", "subflows", "2"); code != 0 {
		t.Fatal(errs)
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"10.0.2.2", "dev", "eth1", "to", to}, 0, "would work"},
		{[]string{"10.0.2.2", "dev", "eth1"}, 0, "would work"},
		{[]string{"10.0.9.9"}, 1, "D21"},
		{[]string{"10.0.2.2", "signal"}, 1, "D10"},
		{[]string{"10.0.1.2", "to", to}, 1, "D20"},
		{[]string{"2001:db8::1", "to", to}, 1, "D2"},
	} {
		out, errs, code := runIn(t, client, append([]string{"endpoint", "check"}, test.args...)...)
		if code != test.code || !strings.Contains(out, test.want) {
			t.Errorf("%v: exit %d, want %d and %q:\n%s%s", test.args, code, test.code, test.want, out, errs)
		}
	}
	if out, _, _ := runIn(t, client, "endpoint"); out != "" {
		t.Errorf("endpoints were made: %s", out)
	}
	if out, _, code := runIn(t, client, "endpoint", "check", "10.0.2.2", "dev", "eth1", "fullmesh", "to", to); code != 1 ||
		!strings.Contains(out, "fullmesh without subflow") ||
		!strings.Contains(out, "mptcpctl endpoint add 10.0.2.2 dev eth1 subflow fullmesh") {
		t.Errorf("fullmesh alone: exit %d: %s", code, out)
	}
	// Endpoints that can make no subflow take no place under the limit.
	for _, flag := range []string{"fullmesh", "subflow"} {
		for _, line := range [][]string{{"limits", "set", "subflows", "1"}, {"endpoint", "add", "10.0.9.9", flag}} {
			if _, errs, code := runIn(t, client, line...); code != 0 {
				t.Fatal(errs)
			}
		}
		if out, _, code := runIn(t, client, "endpoint", "check", "10.0.2.2", "dev", "eth1", "to", to); code != 0 ||
			!strings.Contains(out, "would work") ||
			!strings.Contains(out, "; 1 endpoint without this one") {
			t.Errorf("beside an unusable endpoint with %s: exit %d: %s", flag, code, out)
		}
		if _, errs, code := runIn(t, client, "endpoint", "flush"); code != 0 {
			t.Fatal(errs)
		}
	}
	if _, errs, code := runIn(t, client, "limits", "set", "subflows", "0"); code != 0 {
		t.Fatal(errs)
	}
	if out, _, code := runIn(t, client, "endpoint", "check", "10.0.2.2", "dev", "eth1", "to", to); code != 1 ||
		!strings.Contains(out, "mptcpctl limits set subflows 1") {
		t.Errorf("exit %d: %s", code, out)
	}
}
