package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/internal/present"
)

// atOnce is how many scenarios `lab run --all` runs at the same time: most of
// their time they wait.
const atOnce = 4

// start brings a scenario about and shows what was done and what shows.
func (r *Runner) start(ctx context.Context, s scenario.Scenario, tell *narrator) (*procedure.Trial, error) {
	if err := enter(); err != nil {
		return nil, err
	}
	tell.title(s.Name + ": " + s.Summary)
	t, err := procedure.Start(ctx, s, r.Program)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("lab: %w", err)
	}
	for _, deed := range t.Deeds {
		tell.Command(deed.Host, deed.Text)
	}
	fmt.Fprintf(tell.out, "After %.1f s the kernel shows", t.Took.Seconds())
	if len(s.Shows) == 0 {
		fmt.Fprintln(tell.out, " nothing of it.")
		return t, nil
	}
	var shows []string
	for _, symptom := range s.Shows {
		shows = append(shows, symptom.String())
	}
	fmt.Fprintf(tell.out, " %s.\n", strings.Join(shows, "; "))
	return t, nil
}

// Scenario shows a scenario: what is done, the connections, and what doctor
// finds.
func (r *Runner) Scenario(ctx context.Context, s scenario.Scenario) error {
	tell := r.narrator()
	t, err := r.start(ctx, s, tell)
	if err != nil {
		return err
	}
	defer t.Close()
	for _, host := range Patients(t) {
		if err := r.command(ctx, host, tell, "connection", "show"); err != nil {
			return err
		}
		d, err := r.doctor(ctx, t, host, tell)
		if err != nil {
			return err
		}
		if !d.Names(s.Rule) {
			return fmt.Errorf("lab: doctor on %s should have found %s: it found %s", host.Name, expectation(s), d)
		}
		if _, err := fmt.Fprintf(r.Out, "Expected %s, found %s.\n", expectation(s), d); err != nil {
			return err
		}
	}
	return nil
}

// doctor shows doctor's answer with all explanations, and returns it.
func (r *Runner) doctor(ctx context.Context, t *procedure.Trial, host *lab.Host, tell *narrator) (Diagnosis, error) {
	args := append([]string{"-d"}, DoctorWords(t.Scenario)...)
	tell.Command(host.Name, commandLine(args))
	lines, _, err := t.Examine(ctx, host, lab.ToolConfig(r.Program, args...))
	for _, line := range lines {
		tell.Output(host.Name, line)
	}
	if err != nil {
		return Diagnosis{}, fmt.Errorf("lab: %w", err)
	}
	d, err := Diagnose(ctx, t, host, r.Program)
	if err != nil {
		return d, fmt.Errorf("lab: %w", err)
	}
	return d, nil
}

// expectation names the rule that a scenario must lead to.
func expectation(s scenario.Scenario) string {
	if s.Rule == scenario.Healthy {
		return "a healthy host"
	}
	return string(s.Rule)
}

// All runs all scenarios and writes the table of what doctor found.
func (r *Runner) All(ctx context.Context) error {
	if err := enter(); err != nil {
		return err
	}
	began := time.Now()
	scenarios := scenario.All()
	results := RunScenarios(ctx, scenarios, r.Program, nil)
	colors := r.Colors
	fmt.Fprintf(r.Out, "%-28s %-8s %-9s %s\n", "SCENARIO", "HOST", "EXPECTED", "FOUND")
	failed, skipped := 0, 0
	for i := range scenarios {
		one := <-results[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if one.Err != nil {
			one.Found = "not run: " + one.Err.Error()
		}
		mark, color := "ok", colors.Good
		switch {
		case one.skipped():
			mark, color = "--", colors.Dim
			skipped++
		case !one.Agrees || one.Err != nil:
			mark, color = "NO", colors.Bad
			failed++
		}
		if err := writeOutcome(r.Out, one.Outcome, color+mark+colors.Reset); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("lab: doctor did not find the expected rule in %d of %d scenarios", failed, len(scenarios))
	}
	took := time.Since(began).Seconds()
	switch skipped {
	case 0:
		_, err := fmt.Fprintf(r.Out, "\nAll %d ended as expected, in %.0f s.\n", len(scenarios), took)
		return err
	case len(scenarios):
		return errNoneRan()
	}
	_, err := fmt.Fprintf(
		r.Out, "\nAll %d that can run here ended as expected, in %.0f s; %d cannot run here.\n",
		len(scenarios)-skipped, took, skipped,
	)
	return err
}

// outcomeJSON is an outcome as JSON.
type outcomeJSON struct {
	Entry
	Found   string `json:"found"`
	Agrees  bool   `json:"agrees"`
	Skipped bool   `json:"skipped,omitempty"` // it cannot be run here; Error says what is missing
	Error   string `json:"error,omitempty"`
}

// AllJSON is All with the table as JSON.
func (r *Runner) AllJSON(ctx context.Context, pretty bool) error {
	if err := enter(); err != nil {
		return err
	}
	scenarios := scenario.All()
	results := RunScenarios(ctx, scenarios, r.Program, nil)
	list := make([]outcomeJSON, 0, len(scenarios))
	failed, skipped := 0, 0
	for i, s := range scenarios {
		one := <-results[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		o := outcomeJSON{
			Entry:   scenarioEntry(s),
			Found:   one.Found,
			Agrees:  one.Agrees && one.Err == nil,
			Skipped: one.skipped(),
		}
		if one.Err != nil {
			o.Error = one.Err.Error()
		}
		switch {
		case o.Skipped:
			skipped++
		case !o.Agrees:
			failed++
		}
		list = append(list, o)
	}
	err := present.JSON(r.Out, list, pretty)
	switch {
	case err != nil:
		return err
	case failed > 0:
		return fmt.Errorf("lab: %d of %d did not end as expected", failed, len(scenarios))
	case skipped == len(scenarios):
		return errNoneRan()
	}
	return nil
}

// errNoneRan is the error where every scenario was skipped.
func errNoneRan() error { return errors.New("lab: none of the scenarios can run here") }

func writeOutcome(w io.Writer, o Outcome, mark string) error {
	_, err := fmt.Fprintf(
		w, "%-28s %-8s %-9s %s %s\n", o.Scenario.Name, o.Scenario.Host, o.Scenario.Rule, mark, o.Found,
	)
	return err
}

// Result is an outcome, or why there is none.
type Result struct {
	Outcome
	Err error
}

// skipped reports whether the scenario cannot be run here.
func (r Result) skipped() bool {
	_, missing := errors.AsType[*lab.MissingError](r.Err)
	return missing
}

// RunScenarios runs the scenarios, a few at a time. The channels give a result
// each, in the scenarios' order. All that was started has ended when the last one
// has given its result.
func RunScenarios(
	ctx context.Context, scenarios []scenario.Scenario, tool []string,
	also func(context.Context, *procedure.Trial) error,
) []chan Result {
	results := make([]chan Result, len(scenarios))
	for i := range results {
		results[i] = make(chan Result, 1)
	}
	places := make(chan struct{}, atOnce)
	go func() {
		for i, s := range scenarios {
			places <- struct{}{}
			go func() {
				defer func() { <-places }()
				o, err := runScenario(ctx, s, tool, also)
				results[i] <- Result{o, errors.Join(err, ctx.Err())}
			}()
		}
	}()
	return results
}
