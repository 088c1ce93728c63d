package whole

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/chronicle"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/history"
)

// doctorSince shows what doctor found in a span of the history: what holds at its end, and
// what had been found before that and holds no longer.
func doctorSince(ctx context.Context, inv *grammar.Invocation) error {
	span, err := spanOf(inv)
	if err != nil {
		return err
	}
	inv.Options.AllNetns = inv.Options.Netns == "" // what was kept names its namespaces
	expr, err := line.Filter(inv)
	if err != nil {
		return err
	}
	if span.To.IsZero() {
		span.To = time.Now()
	}
	r, err := openPast(inv)
	if err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	defer r.Close()
	p := past{inv: inv, expr: expr, span: span, moment: chronicle.NewMoment(), open: map[string]*doctor.Past{}}
	p.gaps.span = span
	for l, err := range r.Lines(ctx, withObserver(span)) {
		if err == nil && l.Time.After(span.To) && l.Kind != chronicle.KindConnection {
			break
		}
		if err == nil {
			err = p.apply(&l)
		}
		if err != nil && !tellDamage(inv, err) && !errors.Is(err, chronicle.ErrFormat) {
			return fmt.Errorf("doctor: %w", err)
		}
	}
	if p.moment.Run == "" {
		return fmt.Errorf("doctor: the history has nothing of the time from %s on", stamp(span.From))
	}
	tellMoment(inv, p.moment, span.To)
	report := reportAt(inv, p.moment, expr)
	report.Earlier, report.Unseen = p.ended(), p.gaps.end()
	if report.Verdict == doctor.Healthy && !inv.Options.Details {
		for _, g := range report.Unseen { // which the text of a healthy host does not show
			line.LeftOut(inv, fmt.Errorf("not seen: %s: %s", g.What, g.Why))
		}
	}
	return writeReport(inv, report, "found since "+stamp(span.From)+", and not there at the end")
}

// past collects findings that came and went.
type past struct {
	inv    *grammar.Invocation
	expr   *filter.Expr
	span   history.Span
	moment *chronicle.Moment
	open   map[string]*doctor.Past // by rule and subject
	list   []*doctor.Past
	gaps   gaps
}

// withObserver returns the span with what is before it, back to where whoever kept the
// history then has written something.
func withObserver(span history.Span) history.Span {
	if !span.From.IsZero() {
		span.From = span.From.Add(-mostSilent)
	}
	return span
}

// apply takes the next line.
func (p *past) apply(l *chronicle.Line) error {
	last, run := p.moment.Time, p.moment.Run
	if err := errors.Join(p.gaps.take(l), p.moment.Apply(l)); err != nil {
		return err
	}
	if p.moment.Run != run { // the observer before held what it had found until its last line
		for _, known := range p.open {
			known.Last = last
		}
	}
	if l.Kind != chronicle.KindFinding {
		return nil
	}
	var f struct {
		doctor.Finding
		Change string `json:"change"`
	}
	if err := json.Unmarshal(l.Object, &f); err != nil {
		return fmt.Errorf("%w: %w", chronicle.ErrFormat, err)
	}
	subject, err := json.Marshal(f.Subject)
	if err != nil {
		return err
	}
	name := string(f.Rule) + " " + string(subject)
	known := p.open[name]
	switch {
	case f.Change == "went" && known != nil:
		known.Last = l.Time
		delete(p.open, name)
	case f.Change == "went":
	case known != nil:
		known.Last = l.Time
	case p.expr == nil || concerns(&f.Finding, p.moment, p.expr.Connection):
		known = &doctor.Past{Finding: f.Finding, First: l.Time, Last: l.Time}
		p.open[name] = known
		p.list = append(p.list, known)
	}
	return nil
}

// ended returns the findings that do not hold at the end: those that went, and those of an
// observer that ended, which its successor did not find again. What was over before the span
// began is none of them.
func (p *past) ended() (list []doctor.Past) {
	holds := map[string]bool{}
	for _, object := range p.moment.Findings() {
		var f doctor.Finding
		if json.Unmarshal(object, &f) != nil {
			continue
		}
		if subject, err := json.Marshal(f.Subject); err == nil {
			holds[string(f.Rule)+" "+string(subject)] = true
		}
	}
	still := map[*doctor.Past]bool{}
	for name, known := range p.open {
		still[known] = holds[name]
	}
	for _, known := range p.list {
		if !still[known] && !known.Last.Before(p.span.From) {
			list = append(list, *known)
		}
	}
	return list
}
