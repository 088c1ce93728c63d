package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/track"
)

// Both shows a scenario that one end alone cannot decide: what doctor finds on the client, and
// what it finds there with the server's bundle.
func (r *Runner) Both(ctx context.Context, b scenario.Both) error {
	tell := r.narrator()
	t, err := r.start(ctx, b.Scenario, tell)
	if err != nil {
		return err
	}
	defer t.Close()
	dir, err := os.MkdirTemp("", "mptcpctl-lab-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bundle := filepath.Join(dir, "server.tgz")
	for _, step := range []struct {
		host string
		args []string
	}{
		{lab.ClientHost, []string{"doctor"}},
		{lab.ServerHost, []string{"doctor", "--bundle", bundle}},
		{lab.ClientHost, []string{"doctor", "--peer", bundle}},
	} {
		tell.Command(step.host, commandLine(step.args))
		lines, _, err := t.Examine(ctx, t.Lab.Host(step.host), lab.ToolConfig(r.Program, step.args...))
		for _, line := range lines {
			tell.Output(step.host, line)
		}
		if err != nil {
			return fmt.Errorf("lab: %w", err)
		}
	}
	found, err := r.across(ctx, t, bundle)
	if err != nil {
		return err
	}
	if !found.decides(b.Rule) {
		return fmt.Errorf("lab: both ends should have found %s for certain: they found %s",
			expectation(b.Scenario), found)
	}
	_, err = fmt.Fprintf(r.Out, "Expected %s, found %s.\n", expectation(b.Scenario), found)
	return err
}

// acrossFindings are those of a report of both ends.
type acrossFindings struct {
	Verdict  string
	Findings []struct {
		Rule       rule.ID
		Severity   string
		Confidence string
	}
}

// across asks doctor on the client about both ends.
func (r *Runner) across(ctx context.Context, t *procedure.Trial, bundle string) (found acrossFindings, err error) {
	words := lab.ToolConfig(r.Program, "-j", "doctor", "--peer", bundle)
	lines, code, err := t.Examine(ctx, t.Lab.Host(lab.ClientHost), words)
	if err != nil {
		return found, fmt.Errorf("lab: %w", err)
	}
	for _, line := range lines {
		if line.Stream == lab.Stdout {
			if err := json.Unmarshal([]byte(line.Text), &found); err != nil {
				return found, fmt.Errorf("lab: doctor --peer: exit status %d: %w", code, err)
			}
		}
	}
	return found, nil
}

// decides reports whether the rule is found for certain, or nothing is where nothing is wrong.
func (a acrossFindings) decides(id rule.ID) bool {
	if id == scenario.Healthy {
		return a.Verdict == doctor.Healthy.String()
	}
	certain, _ := track.Certain.MarshalText()
	for _, f := range a.Findings {
		if f.Rule == id && f.Confidence == string(certain) {
			return true
		}
	}
	return false
}

// String returns the verdict, with the rules of failures and warnings.
func (a acrossFindings) String() string {
	var ids []rule.ID
	for _, f := range a.Findings {
		if f.Severity != doctor.Info.String() && !slices.Contains(ids, f.Rule) {
			ids = append(ids, f.Rule)
		}
	}
	if len(ids) == 0 {
		return a.Verdict
	}
	return rule.Join(ids, ", ")
}
