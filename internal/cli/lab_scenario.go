package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mptcpctl/internal/grammar"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/present"
)

// labAtOnce is how many scenarios `lab run --all` runs at the same time: most of
// their time they wait.
const labAtOnce = 4

// startScenario brings a scenario about and shows what was done and what shows.
func (a *app) startScenario(ctx context.Context, s lab.Scenario, narrator *labNarrator) (*lab.Trial, error) {
	if err := enterLab(); err != nil {
		return nil, err
	}
	narrator.title(s.Name + ": " + s.Summary)
	t, err := lab.Start(ctx, s, ownCommand())
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("lab: %w", err)
	}
	for _, deed := range t.Deeds {
		narrator.Command(deed.Host, deed.Text)
	}
	fmt.Fprintf(narrator.out, "After %.1f s the kernel shows", t.Took.Seconds())
	if len(s.Shows) == 0 {
		fmt.Fprintln(narrator.out, " nothing of it.")
		return t, nil
	}
	var shows []string
	for _, symptom := range s.Shows {
		shows = append(shows, symptom.String())
	}
	fmt.Fprintf(narrator.out, " %s.\n", strings.Join(shows, "; "))
	return t, nil
}

// labScenario shows a scenario: what is done, the connections, and what doctor
// finds.
func (a *app) labScenario(ctx context.Context, inv *grammar.Invocation, s lab.Scenario) error {
	narrator := &labNarrator{out: inv.Stdout, colors: palette(inv)}
	t, err := a.startScenario(ctx, s, narrator)
	if err != nil {
		return err
	}
	defer t.Close()
	for _, host := range patients(t) {
		if err := labCommandLine(ctx, host, narrator, "connection", "show"); err != nil {
			return err
		}
		d, err := labDoctor(ctx, t, host, narrator)
		if err != nil {
			return err
		}
		if !d.names(s.Rule) {
			return fmt.Errorf("lab: doctor on %s should have found %s: it found %s", host.Name, expectation(s), d)
		}
		if _, err := fmt.Fprintf(inv.Stdout, "Expected %s, found %s.\n", expectation(s), d); err != nil {
			return err
		}
	}
	return nil
}

// labDoctor shows doctor's answer with all explanations, and returns it.
func labDoctor(ctx context.Context, t *lab.Trial, host *lab.Host, narrator *labNarrator) (diagnosis, error) {
	args := append([]string{"-d"}, doctorWords(t.Scenario)...)
	narrator.Command(host.Name, commandLine(args))
	lines, _, err := t.Examine(ctx, host, lab.ToolConfig(ownCommand(), args...))
	for _, line := range lines {
		narrator.Output(host.Name, line)
	}
	if err != nil {
		return diagnosis{}, fmt.Errorf("lab: %w", err)
	}
	d, err := diagnose(ctx, t, host, ownCommand())
	if err != nil {
		return d, fmt.Errorf("lab: %w", err)
	}
	return d, nil
}

// expectation names the rule that a scenario must lead to.
func expectation(s lab.Scenario) string {
	if s.Rule == lab.Healthy {
		return "a healthy host"
	}
	return string(s.Rule)
}

// labRunAll runs all scenarios and writes the table of what doctor found.
func (a *app) labRunAll(ctx context.Context, inv *grammar.Invocation) error {
	if len(inv.Args) > 0 {
		return inv.Usage("--all takes no name")
	}
	if err := enterLab(); err != nil {
		return err
	}
	began := time.Now()
	scenarios := lab.Scenarios()
	results := runScenarios(ctx, scenarios, ownCommand(), nil)
	if inv.Options.JSON {
		return labRunJSON(ctx, inv, scenarios, results)
	}
	colors := palette(inv)
	fmt.Fprintf(inv.Stdout, "%-28s %-8s %-9s %s\n", "SCENARIO", "HOST", "EXPECTED", "FOUND")
	failed, skipped := 0, 0
	for i := range scenarios {
		r := <-results[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.err != nil {
			r.found = "not run: " + r.err.Error()
		}
		mark, color := "ok", colors.Good
		switch {
		case r.skipped():
			mark, color = "--", colors.Dim
			skipped++
		case !r.agrees || r.err != nil:
			mark, color = "NO", colors.Bad
			failed++
		}
		if err := writeOutcome(inv.Stdout, r.labOutcome, color+mark+colors.Reset); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("lab: doctor and lab disagree in %d of %d scenarios", failed, len(scenarios))
	}
	took := time.Since(began).Seconds()
	switch skipped {
	case 0:
		_, err := fmt.Fprintf(inv.Stdout, "\nAll %d as expected, in %.0f s.\n", len(scenarios), took)
		return err
	case len(scenarios):
		return errNoneRan()
	}
	_, err := fmt.Fprintf(inv.Stdout, "\nAll %d that can be run here as expected, in %.0f s; %d cannot.\n", len(scenarios)-skipped, took, skipped)
	return err
}

// labOutcomeJSON is an outcome as JSON.
type labOutcomeJSON struct {
	labEntry
	Found   string `json:"found"`
	Agrees  bool   `json:"agrees"`
	Skipped bool   `json:"skipped,omitempty"` // it cannot be run here; Error says what is missing
	Error   string `json:"error,omitempty"`
}

// labRunJSON writes the table of what doctor found as JSON.
func labRunJSON(ctx context.Context, inv *grammar.Invocation, scenarios []lab.Scenario, results []chan labResult) error {
	list := make([]labOutcomeJSON, 0, len(scenarios))
	failed, skipped := 0, 0
	for i, s := range scenarios {
		r := <-results[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		o := labOutcomeJSON{labEntry: scenarioEntry(s), Found: r.found, Agrees: r.agrees && r.err == nil, Skipped: r.skipped()}
		if r.err != nil {
			o.Error = r.err.Error()
		}
		switch {
		case o.Skipped:
			skipped++
		case !o.Agrees:
			failed++
		}
		list = append(list, o)
	}
	err := present.JSON(inv.Stdout, list, inv.Options.Pretty)
	switch {
	case err != nil:
		return err
	case failed > 0:
		return fmt.Errorf("lab: %d of %d not as expected", failed, len(scenarios))
	case skipped == len(scenarios):
		return errNoneRan()
	}
	return nil
}

// errNoneRan is the error where every scenario was skipped.
func errNoneRan() error { return errors.New("lab: none of the scenarios can be run here") }

func writeOutcome(w io.Writer, o labOutcome, mark string) error {
	_, err := fmt.Fprintf(w, "%-28s %-8s %-9s %s %s\n", o.scenario.Name, o.scenario.Host, o.scenario.Rule, mark, o.found)
	return err
}

// labResult is an outcome, or why there is none.
type labResult struct {
	labOutcome
	err error
}

// skipped reports whether the scenario cannot be run here.
func (r labResult) skipped() bool {
	_, missing := errors.AsType[*lab.MissingError](r.err)
	return missing
}

// runScenarios runs the scenarios, a few at a time. The channels give a result
// each, in the scenarios' order. All that was started has ended when the last one
// has given its result.
func runScenarios(ctx context.Context, scenarios []lab.Scenario, tool []string, also func(context.Context, *lab.Trial) error) []chan labResult {
	results := make([]chan labResult, len(scenarios))
	for i := range results {
		results[i] = make(chan labResult, 1)
	}
	places := make(chan struct{}, labAtOnce)
	go func() {
		for i, s := range scenarios {
			places <- struct{}{}
			go func() {
				defer func() { <-places }()
				o, err := runScenario(ctx, s, tool, also)
				results[i] <- labResult{o, errors.Join(err, ctx.Err())}
			}()
		}
	}()
	return results
}
