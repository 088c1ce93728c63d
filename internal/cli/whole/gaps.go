package whole

import (
	"fmt"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/chronicle"
	"mptcpctl/internal/history"
)

const (
	// leastGap is the shortest span without an observer that is worth a word: to start a
	// server anew takes less.
	leastGap = 10 * time.Second
	// mostSilent is for how long a living observer may write nothing: it begins a file each
	// hour.
	mostSilent = time.Hour + time.Minute
)

// gaps finds the parts of a span in which nobody kept the history.
type gaps struct {
	span  history.Span
	last  time.Time // of the last line
	run   string    // of the observer
	over  bool      // it ended in order
	empty []history.Span
}

// take takes the next line. An error is [chronicle.ErrFormat].
func (g *gaps) take(l *chronicle.Line) error {
	switch {
	case l.Kind == chronicle.KindBegin:
		b, err := chronicle.ParseBegin(l.Object)
		if err != nil {
			return err
		}
		if b.Run != g.run {
			g.note(g.last, l.Time)
		}
		g.run, g.over = b.Run, false
	case l.Kind == chronicle.KindStop:
		g.over = true
	}
	if l.Time.After(g.last) {
		g.last = l.Time
	}
	return nil
}

// note takes note that nobody was there from one time to another.
func (g *gaps) note(from, to time.Time) {
	if from.Before(g.span.From) {
		from = g.span.From
	}
	if to.After(g.span.To) {
		to = g.span.To
	}
	if !from.IsZero() && to.Sub(from) >= leastGap {
		g.empty = append(g.empty, history.Span{From: from, To: to})
	}
}

// end ends the span, and returns what could not be seen. Of many gaps the first ones are told
// one by one.
func (g *gaps) end() []doctor.Gap {
	if g.over || g.span.To.Sub(g.last) > mostSilent {
		g.note(g.last, g.span.To)
	}
	const mostNamed = 5
	var unseen []doctor.Gap
	for i, s := range g.empty {
		if i == mostNamed {
			all := time.Duration(0)
			for _, s := range g.empty[i:] {
				all += s.To.Sub(s.From)
			}
			return append(unseen, doctor.Gap{
				What: fmt.Sprintf("%d further spans, %s in all", len(g.empty)-i, all.Round(time.Second)),
				Why:  "nobody kept the history then",
			})
		}
		what := "from " + stamp(s.From) + " to " + stamp(s.To)
		unseen = append(unseen, doctor.Gap{What: what, Why: "nobody kept the history then"})
	}
	return unseen
}
