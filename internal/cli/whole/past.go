package whole

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"mptcpctl/internal/chronicle"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/history"
	"mptcpctl/internal/present"
)

// openPast opens the history that the command line means.
func openPast(inv *grammar.Invocation) (*history.Reader, error) {
	folder, ok := inv.Value("dir")
	if !ok {
		folder = os.Getenv("MPTCPCTL_HISTORY")
	}
	if folder == "" {
		folder = historyFolder()
	}
	r, err := history.NewReader(folder)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf(
			"%s: there is no history: `mptcpctl serve --history` keeps one, as the packaged service does", folder,
		)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%s: the history is the server's alone: be root, or the server's user", folder)
	}
	return r, err
}

// when reads a time of the command line.
func when(inv *grammar.Invocation, what, text string) (time.Time, error) {
	at, err := line.When(text, time.Now())
	if err != nil {
		return at, inv.Usage(what + " " + err.Error())
	}
	return at, nil
}

// tellDamage tells of a part of the history that cannot be read, and reports whether that
// is what the error is about.
func tellDamage(inv *grammar.Invocation, err error) bool {
	var damage *history.Damage
	if !errors.As(err, &damage) {
		return false
	}
	line.LeftOut(inv, fmt.Errorf("the history is damaged: %w", damage))
	return true
}

// momentAt returns what was known at a time, of the file of that time.
func momentAt(
	ctx context.Context, inv *grammar.Invocation, r *history.Reader, at time.Time,
) (*chronicle.Moment, error) {
	list, err := r.Files()
	if err != nil {
		return nil, err
	}
	var file *history.File
	for i := range list {
		if !list[i].Begin.After(at.Add(time.Second)) {
			file = &list[i]
		}
	}
	if file == nil {
		if len(list) == 0 {
			return nil, errors.New("the history is empty yet")
		}
		return nil, fmt.Errorf("the history begins later, at %s", stamp(list[0].Begin))
	}
	m := chronicle.NewMoment()
	for l, err := range r.FileLines(ctx, file) {
		if err == nil && l.Time.After(at) && l.Kind != chronicle.KindBegin {
			continue
		}
		if err == nil {
			err = m.Apply(&l)
		}
		if err != nil && !tellDamage(inv, err) && !errors.Is(err, chronicle.ErrFormat) {
			return nil, err
		}
	}
	if m.Run == "" {
		return nil, fmt.Errorf("the history of %s cannot be read", stamp(at))
	}
	return m, ctx.Err()
}

// stamp writes a moment for people.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 -0700") }

// tellMoment says on standard error of which moment the answer is.
func tellMoment(inv *grammar.Invocation, m *chronicle.Moment, at time.Time) {
	text := fmt.Sprintf("as of %s on %s", stamp(at), present.Escape(m.Host))
	switch {
	case m.Over:
		text += fmt.Sprintf("; the observer had ended at %s", stamp(m.Time))
	default:
		text += fmt.Sprintf(" (whole state %s before, last line %s before)",
			at.Sub(m.Whole).Truncate(time.Second), at.Sub(m.Time).Truncate(time.Second))
	}
	fmt.Fprintln(inv.Stderr, text)
}
