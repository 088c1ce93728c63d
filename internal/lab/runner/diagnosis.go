package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/mptcp"
)

// Diagnosis is what doctor says of a host, as far as the lab compares it: the JSON
// of `doctor -j`.
type Diagnosis struct {
	Verdict  string `json:"verdict"`
	Findings []struct {
		Rule         rule.ID            `json:"rule"`
		Severity     string             `json:"severity"`
		Confidence   string             `json:"confidence"`
		Alternatives []rule.ID          `json:"alternatives"`
		Excluded     []doctor.Exclusion `json:"excluded"`
		Fix          []string           `json:"fix"`
	} `json:"findings"`
	Connections []struct {
		Token    mptcp.Token `json:"token"`
		Subflows int         `json:"subflows"` // that are up
	} `json:"connections"`
	Unseen []doctor.Gap `json:"unseen"`
}

// String returns the rules that were found: those that are mere explanations in
// parentheses.
func (d Diagnosis) String() string {
	words := []string{d.Verdict}
	for _, f := range d.Findings {
		word := string(f.Rule)
		if len(f.Alternatives) > 0 {
			word += "|" + rule.Join(f.Alternatives, "|")
		}
		if f.Severity == "info" {
			word = "(" + word + ")"
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// Names reports whether the diagnosis is what the scenario must lead to: its rule,
// by itself or among those that the same evidence fits.
func (d Diagnosis) Names(id rule.ID) bool {
	if id == scenario.Healthy {
		return d.Verdict == "healthy"
	}
	for _, f := range d.Findings {
		if f.Rule == id || slices.Contains(f.Alternatives, id) {
			return true
		}
	}
	return false
}

// unfounded returns a rule that is said to be certain though no fact is named that excludes
// other causes.
func (d Diagnosis) unfounded() (id rule.ID, found bool) {
	for _, f := range d.Findings {
		if f.Confidence == "certain" && !slices.ContainsFunc(f.Excluded, func(x doctor.Exclusion) bool {
			return x.Fact != "" && !slices.Contains(x.Rules, f.Rule)
		}) {
			return f.Rule, true
		}
	}
	return "", false
}

// DoctorWords are the arguments that ask doctor about a scenario. Where things
// happen again and again, it is to look as long as it takes to see one from its
// beginning to its end.
func DoctorWords(s scenario.Scenario) []string {
	switch {
	case s.Traffic.Repeat:
		return []string{"doctor", "--window", "2s"}
	case s.Look == scenario.Stalled:
		return []string{"doctor", "--window", "1s"}
	}
	return []string{"doctor"}
}

// mostExamined is how often doctor looks at what happens again and again, until it has
// seen it.
const mostExamined = 6

// Diagnose asks doctor in the host, again where what the scenario is about may not
// have happened while it looked, or may have been hidden: a program that watches all
// namespaces of the machine passes for a path manager's daemon while it is there.
func Diagnose(ctx context.Context, t *procedure.Trial, host *lab.Host, tool []string) (Diagnosis, error) {
	for look := 1; ; look++ {
		d, err := AskDoctor(ctx, t, host, tool)
		hidden := t.Scenario.Rule == rule.NoDaemon
		again := (t.Scenario.Traffic.Repeat && t.Scenario.Rule != scenario.Healthy || hidden) && look < mostExamined
		if err != nil || !again || d.Names(t.Scenario.Rule) {
			return d, err
		}
		if hidden {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return d, ctx.Err()
			}
		}
	}
}

// AskDoctor runs doctor in the host.
func AskDoctor(ctx context.Context, t *procedure.Trial, host *lab.Host, tool []string) (Diagnosis, error) {
	lines, code, err := t.Examine(
		ctx, host, lab.ToolConfig(tool, append([]string{"-j"}, DoctorWords(t.Scenario)...)...),
	)
	if err != nil {
		return Diagnosis{}, err
	}
	var stdout, stderr []string
	for _, line := range lines {
		if line.Stream == lab.Stdout {
			stdout = append(stdout, line.Text)
		} else {
			stderr = append(stderr, line.Text)
		}
	}
	var d Diagnosis
	err = json.Unmarshal([]byte(strings.Join(stdout, "\n")), &d)
	if err == nil && d.Verdict == "" {
		err = errors.New("no verdict")
	}
	if err != nil {
		return Diagnosis{}, fmt.Errorf(
			"doctor on %s: exit status %d: %s: %w", host.Name, code, strings.Join(stderr, " "), err,
		)
	}
	return d, nil
}

// Patients are the hosts that doctor is asked about: the one where it is to look, and
// all that talk where nothing is wrong.
func Patients(t *procedure.Trial) []*lab.Host {
	if t.Scenario.Rule == scenario.Healthy {
		hosts := []*lab.Host{t.Lab.Host(lab.ClientHost), t.Lab.Host(lab.ServerHost)}
		if guest := t.Scenario.Traffic.Guest; guest != "" {
			hosts = append(hosts, t.Lab.Host(guest))
		}
		return hosts
	}
	return []*lab.Host{t.Host()}
}

// Outcome is what became of a scenario.
type Outcome struct {
	Scenario scenario.Scenario
	Found    string
	Agrees   bool
}

// runScenario brings the scenario about and asks doctor. After that it calls also,
// which may be nil, while the scenario stands.
func runScenario(
	ctx context.Context, s scenario.Scenario, tool []string, also func(context.Context, *procedure.Trial) error,
) (Outcome, error) {
	o := Outcome{Scenario: s}
	t, err := procedure.Start(ctx, s, tool)
	if err != nil {
		return o, err
	}
	defer t.Close()
	o.Agrees = true
	for i, host := range Patients(t) {
		d, err := Diagnose(ctx, t, host, tool)
		if err != nil {
			return o, err
		}
		o.Agrees = o.Agrees && d.Names(s.Rule)
		if id, unfounded := d.unfounded(); unfounded {
			return o, fmt.Errorf("%s on %s is certain, and names no fact that excludes other causes", id, host.Name)
		}
		switch {
		case i == 0:
			o.Found = d.String()
		case !d.Names(s.Rule):
			o.Found += "; " + host.Name + ": " + d.String()
		}
	}
	if also != nil {
		return o, also(ctx, t)
	}
	return o, nil
}
