package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/process"
	"mptcpctl/internal/source/gather"
)

// findingKey tells findings apart from one look to the next. The evidence is not
// part of it: it has numbers that move. Nor is the connection, where the place is named:
// others come to it and go.
type findingKey struct {
	rule    rule.ID
	grave   doctor.Severity
	title   string
	subject doctor.Subject
}

func keyOf(f *doctor.Finding) findingKey {
	key := findingKey{f.Rule, f.Severity, f.Title, f.Subject}
	key.subject.Connections = 0
	if f.Subject.Endpoint.IsValid() || f.Subject.Remote.IsValid() {
		key.subject.Token = 0
	}
	return key
}

// watchDoctor looks again and again, and writes what changes. The window is the
// whole interval, so that hardly a counter moves unseen.
func watchDoctor(ctx context.Context, inv *grammar.Invocation, r *doctorRequest) error {
	w := &doctorWatch{inv: inv, text: doctorText(inv)}
	if inv.Options.Replay != "" {
		return w.replay(ctx, r)
	}
	from, err := line.Open(ctx, inv)
	if err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	defer from.Close()
	ctx, done := process.WhileRead(ctx, inv.Stdout)
	defer done()
	r.config = watching(r.config, r.config.Window)
	w.progress = line.IsTerminal(inv.Stderr) && line.IsTerminal(inv.Stdout)
	for {
		facts, err := gatherViews(ctx, from.Views(), r.config)
		switch {
		case ctx.Err() != nil:
			w.clear()
			return verdictStatus(w.last.Verdict)
		case err != nil:
			return err
		}
		report := doctor.DiagnoseAll(facts)
		if err := w.show(time.Now(), &report); err != nil {
			if errors.Is(err, io.ErrClosedPipe) {
				return nil
			}
			return err
		}
		r.config = watching(r.config, r.interval)
	}
}

// replay looks at each dump of a recording, or at those that are the interval apart,
// and writes what changed from one to the next.
func (w *doctorWatch) replay(ctx context.Context, r *doctorRequest) error {
	recording, err := line.Recording(w.inv)
	if err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	defer recording.Close()
	looked := false
	for at, report := range looks(ctx, recording, r) {
		if report.err != nil {
			return report.err
		}
		if err := w.show(at, &report.Report); err != nil {
			return err
		}
		looked = true
	}
	if !looked {
		return errors.New("doctor: the recording has no complete dump")
	}
	return verdictStatus(w.last.Verdict)
}

// watching returns the request for the further looks. They go on where the one before
// ended: a cause that an event proved stays for as long as its connection shows the effect.
func watching(c *gather.Config, interval time.Duration) *gather.Config {
	next := *c
	next.Window, next.Keep = interval, true
	return &next
}

// doctorWatch is what was shown last.
type doctorWatch struct {
	inv      *grammar.Invocation
	text     *present.DoctorText
	progress bool
	looked   bool
	last     doctor.Report
}

func (w *doctorWatch) show(now time.Time, r *doctor.Report) error {
	first := !w.looked
	came, went := changes(&w.last, r)
	verdict := w.last.Verdict
	w.last, w.looked = *r, true
	w.clear()
	switch {
	case first:
		if err := writeReport(w.inv, r); err != nil {
			return err
		}
	case len(came)+len(went) == 0 && verdict == r.Verdict:
	case w.inv.Options.JSON:
		return present.JSON(w.inv.Stdout, present.DoctorJSON(r), w.inv.Options.Pretty)
	default:
		if err := w.write(now, verdict, came, went); err != nil {
			return err
		}
	}
	if w.progress {
		fmt.Fprintf(w.inv.Stderr, "%s, looked at %s", r.Verdict, now.Format(time.TimeOnly))
	}
	return nil
}

// clear takes the progress off the terminal.
func (w *doctorWatch) clear() {
	if w.progress {
		fmt.Fprint(w.inv.Stderr, "\r\x1b[K")
	}
}

func (w *doctorWatch) write(now time.Time, verdict doctor.Verdict, came, went []doctor.Finding) error {
	stamp := now.UTC().Format(time.RFC3339)
	var b []byte
	for i := range came {
		if came[i].Severity > doctor.Info || w.text.All {
			b = append(b, "\n"+stamp+" found: "...)
			b = w.text.AppendFinding(b, &came[i])
		}
	}
	for i := range went {
		if went[i].Severity > doctor.Info || w.text.All {
			b = append(b, "\n"+stamp+" gone: "...)
			b = w.text.AppendHead(b, &went[i])
		}
	}
	if verdict != w.last.Verdict {
		b = append(b, fmt.Sprintf("%s %s, was %s\n", stamp, w.last.Verdict, verdict)...)
	}
	_, err := w.inv.Stdout.Write(b)
	return err
}

// changes returns the findings that are new, and those that are gone.
func changes(before, after *doctor.Report) (came, went []doctor.Finding) {
	return lacking(after.Findings, before.Findings), lacking(before.Findings, after.Findings)
}

// lacking returns those of list that other lacks.
func lacking(list, other []doctor.Finding) []doctor.Finding {
	known := make(map[findingKey]bool, len(other))
	for i := range other {
		known[keyOf(&other[i])] = true
	}
	var lacking []doctor.Finding
	for i := range list {
		if !known[keyOf(&list[i])] {
			lacking = append(lacking, list[i])
		}
	}
	return lacking
}
