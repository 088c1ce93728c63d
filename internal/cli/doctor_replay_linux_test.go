package cli

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mptcpctl/doctor"
	"mptcpctl/internal/await"
	"mptcpctl/internal/bundle"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/lab/runner"
	"mptcpctl/internal/source/recording"
)

// finding is what must be the same live and replayed.
type finding struct {
	Rule       string `json:"rule"`
	Severity   string `json:"severity"`
	Confidence string `json:"confidence"`
	Title      string `json:"title"`
	Subject    struct {
		Remote   string `json:"remote"`
		Endpoint string `json:"endpoint"`
		Device   string `json:"device"`
	} `json:"subject"`
}

// toldBy reports whether the other finding tells the same, and as much or more.
func (f finding) toldBy(other finding) bool {
	same := func(a, b string) bool { return a == "" || a == b }
	return f.Rule == other.Rule && f.Severity == other.Severity && f.Title == other.Title &&
		(f.Confidence == other.Confidence || other.Confidence == "certain") &&
		same(
			f.Subject.Remote,
			other.Subject.Remote,
		) && same(f.Subject.Endpoint, other.Subject.Endpoint) && same(f.Subject.Device, other.Subject.Device)
}

// judged is a report as far as the tests compare it.
type judged struct {
	Verdict     string
	Findings    []finding
	Connections []struct {
		Subflows, PathsPossible int
		Verdict                 string
	}
}

func (j judged) serious() []finding {
	return slices.DeleteFunc(slices.Clone(j.Findings), func(f finding) bool { return f.Severity == "info" })
}

func judgedOf(t *testing.T, stdout, stderr string) judged {
	t.Helper()
	var j judged
	if err := json.Unmarshal([]byte(stdout), &j); err != nil {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	return j
}

// recordedTrial brings a scenario about while it is recorded where doctor is to look,
// and ends the recording when the symptoms show.
func recordedTrial(t *testing.T, name string, at func(*procedure.Trial)) (file string) {
	t.Helper()
	labtest.Namespace(t)
	s := findScenario(t, name)
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	t.Cleanup(cancel)
	file = filepath.Join(t.TempDir(), "t.pcapng")
	var r *recorder
	trial, err := procedure.StartWatched(ctx, s, []string{toolPath(t)}, func(l *lab.Lab) error {
		r = startRecording(t, ctx, l.Host(s.Host), file)
		return nil
	})
	labtest.SkipMissing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trial.Close() })
	at(trial)
	r.stop(t, ctx)
	return file
}

// A recording of how something went wrong is judged as the host was then: what a look
// at the host finds the recording tells too, and by its events and counters the rule
// of the scenario, also where all is over when somebody looks.
func TestDoctorOfRecordings(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"limit-zero", "limit-of-peer", "announcement-refused", "endpoint-not-here",
		"join-reset", "join-stripped", "syn-stripped", "syn-dropped",
		"data-stripped-later", "second-link-down", "healthy-two-paths",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := findScenario(t, name)
			var live judged
			file := recordedTrial(t, name, func(trial *procedure.Trial) {
				out, errs, _ := runIn(t, trial.Host(), append([]string{"-j"}, runner.DoctorWords(s)...)...)
				live = judgedOf(t, out, errs)
			})
			out, errs, _ := runHere("-j", "--replay", file, "doctor")
			replayed := judgedOf(t, out, errs)
			var d runner.Diagnosis
			if err := json.Unmarshal([]byte(out), &d); err != nil || !d.Names(s.Rule) {
				t.Errorf("the recording does not tell of %s: %s", s.Rule, out)
			}
			sameRules(t, factsOfRecording(t, file))
			for _, f := range live.serious() {
				if !slices.ContainsFunc(replayed.Findings, f.toldBy) {
					t.Errorf("live there was %+v; replayed:\n%s", f, out)
				}
			}
		})
	}
}

// factsOfRecording returns what doctor judges of a recording.
func factsOfRecording(t *testing.T, file string) doctor.Facts {
	t.Helper()
	recording, err := recording.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := recording.Views()[0].Facts(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// sameRules checks that doctor finds in anonymised facts what it finds in the facts.
func sameRules(t *testing.T, f doctor.Facts) {
	t.Helper()
	hidden := []doctor.Facts{f}
	if err := bundle.Hide(hidden); err != nil {
		t.Fatal(err)
	}
	f.Firewall = nil // it stays behind, and what it tells with it
	var want, got []string
	for _, finding := range doctor.Diagnose(f).Findings {
		want = append(want, string(finding.Rule))
	}
	for _, finding := range doctor.Diagnose(hidden[0]).Findings {
		got = append(got, string(finding.Rule))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("anonymised facts lead to %v, the others to %v", got, want)
	}
}

// --watch goes through a recording, and tells when what came.
func TestDoctorWatchesRecordings(t *testing.T) {
	t.Parallel()
	file := recordedTrial(t, "limit-zero", func(*procedure.Trial) {})
	out, errs, code := runHere("--replay", file, "doctor", "--watch")
	if code != 2 || !strings.HasPrefix(out, "warning:") || !strings.Contains(out, "found: FAIL D15") ||
		!strings.Contains(out, "failure, was warning") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}
