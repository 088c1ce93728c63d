package whole

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mptcpctl/internal/chronicle"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/history"
	"mptcpctl/internal/present"
	"mptcpctl/internal/process"
	"mptcpctl/mptcp"
)

// HistoryList prints events and ends of connections, a line each.
func HistoryList(ctx context.Context, inv *grammar.Invocation) error {
	span, err := spanOf(inv)
	if err != nil {
		return err
	}
	inv.Options.AllNetns = inv.Options.Netns == "" // what was kept names its namespaces
	expr, err := line.Filter(inv)
	if err != nil {
		return err
	}
	r, err := openPast(inv)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer r.Close()
	ctx, done := process.WhileRead(ctx, inv.Stdout)
	defer done()
	p := newPrinter(inv, expr)
	lines := r.Lines(ctx, span)
	if inv.Has("follow") {
		lines = r.Follow(ctx, span)
	}
	for l, err := range lines {
		switch {
		case err != nil && tellDamage(inv, err):
			continue
		case err != nil:
			return fmt.Errorf("history: %w", err)
		}
		if err := p.line(&l, span.Holds(l.Time)); err != nil {
			return err
		}
	}
	return p.flush()
}

// spanOf takes since and until, with their times, out of the arguments.
func spanOf(inv *grammar.Invocation) (span history.Span, err error) {
	var rest []string
	for i := 0; i < len(inv.Args); i++ {
		word := inv.Args[i]
		if word != "since" && word != "until" {
			rest = append(rest, word)
			continue
		}
		if i++; i == len(inv.Args) {
			return span, inv.Usage(word + " needs a time, such as 03:00 or 10m-ago")
		}
		at, err := when(inv, word, inv.Args[i])
		if err != nil {
			return span, err
		}
		if word == "since" {
			span.From = at
		} else {
			span.To = at
		}
	}
	if !span.From.IsZero() && !span.To.IsZero() && span.To.Before(span.From) {
		return span, inv.Usage("until is before since")
	}
	inv.Args = rest
	return span, nil
}

// printer prints lines of a history.
type printer struct {
	inv    *grammar.Invocation
	expr   *filter.Expr
	events present.EventText
	device string // of the event that is being printed
	run    string
	known  map[mptcp.Key]*mptcp.Connection // what the filter asks beside the line itself
	hosts  map[string]*chronicle.Host      // what was set, by network namespace
	text   []byte
}

func newPrinter(inv *grammar.Invocation, expr *filter.Expr) *printer {
	p := &printer{inv: inv, expr: expr, known: map[mptcp.Key]*mptcp.Connection{}, hosts: map[string]*chronicle.Host{}}
	p.events = present.EventText{
		Time: present.ShortTime, Colors: line.Palette(inv), Device: func(int32) string { return p.device },
	}
	return p
}

// line prints a line if it is one to show: one of the span that matches.
func (p *printer) line(l *chronicle.Line, wanted bool) error {
	shown := false
	var err error
	switch l.Kind {
	case chronicle.KindEvent:
		shown, err = p.event(l, wanted)
	case chronicle.KindState, chronicle.KindConnection:
		shown, err = p.connection(l, wanted)
	case chronicle.KindFinding, chronicle.KindBegin, chronicle.KindStop:
		shown = wanted && p.expr == nil && p.note(l)
	case chronicle.KindLost:
		shown = wanted && p.note(l)
	case chronicle.KindHost:
		shown, err = p.host(l, wanted && p.expr == nil)
	}
	if err != nil && !errors.Is(err, chronicle.ErrFormat) {
		return err
	}
	if shown && p.inv.Options.JSON {
		p.text = appendRaw(p.text, l)
	}
	if len(p.text) > 1<<15 || p.inv.Has("follow") {
		return p.flush()
	}
	return nil
}

// appendRaw appends a line as it was kept. The file may be foreign: what a terminal would act
// on is escaped, or left out between values.
func appendRaw(b []byte, l *chronicle.Line) []byte {
	var text bytes.Buffer
	if json.Compact(&text, l.Append(nil)) != nil {
		return b // the walk over the line was more tolerant than JSON is
	}
	return append(append(b, present.EscapeJSON(text.Bytes())...), '\n')
}

func (p *printer) flush() error {
	_, err := p.inv.Stdout.Write(p.text)
	p.text = p.text[:0]
	return err
}

func (p *printer) event(l *chronicle.Line, wanted bool) (bool, error) {
	if !wanted {
		return false, nil
	}
	told, err := chronicle.ParseEvent(l.Object)
	if err != nil || !p.expr.Delta(&told.Delta, p.known[told.Key]) {
		return false, err
	}
	if !p.inv.Options.JSON {
		p.device = told.Device
		p.text = p.events.AppendDelta(p.text, &told.Delta)
	}
	return true, nil
}

func (p *printer) connection(l *chronicle.Line, wanted bool) (bool, error) {
	if p.expr == nil && !wanted {
		return false, nil
	}
	c, err := chronicle.ParseConnection(l)
	if err != nil {
		return false, err
	}
	if c.Change != chronicle.Ended {
		if p.expr != nil {
			p.known[c.Key()] = &c.Connection
		}
		return false, nil
	}
	delete(p.known, c.Key())
	if !wanted || p.expr.NeedsEvents() || !p.expr.Connection(&c.Connection) {
		return false, nil
	}
	if !p.inv.Options.JSON {
		p.text = appendEnded(p.text, &p.events.Colors, l, c)
	}
	return true, nil
}

// host prints what was set anew in a network namespace, a line for each change.
func (p *printer) host(l *chronicle.Line, wanted bool) (bool, error) {
	h, err := chronicle.ParseHost(l.Object)
	if err != nil {
		return false, err
	}
	before := p.hosts[h.Netns]
	p.hosts[h.Netns] = h
	if before == nil || !wanted {
		return false, nil
	}
	changes := hostChanges(before, h)
	if !p.inv.Options.JSON {
		for i := range changes {
			p.text = append(appendHead(p.text, l.Time, "SET"), ' ')
			p.text = changes[i].append(p.text)
		}
	}
	return len(changes) > 0, nil
}

// note prints what is not about one connection.
func (p *printer) note(l *chronicle.Line) bool {
	name, text := "", ""
	switch l.Kind {
	case chronicle.KindBegin:
		b, err := chronicle.ParseBegin(l.Object)
		if err != nil || b.Run == p.run {
			return false // another file of the same run
		}
		p.run = b.Run
		name, text = "BEGIN", fmt.Sprintf("host=%s kernel=%s program=%s", b.Host, b.Kernel, b.Program)
		if b.Events != "" {
			text += " no events: " + b.Events
		}
	case chronicle.KindStop:
		name, text = "STOP", "the observer ended"
	case chronicle.KindLost:
		g, err := chronicle.ParseGap(l.Object)
		if err != nil {
			return false
		}
		name, text = "MISSING", fmt.Sprintf("lines=%d where=%s", g.Lines, g.Where)
	case chronicle.KindFinding:
		f, err := chronicle.ParseFinding(l.Object)
		if err != nil || f.Change == "holds" {
			return false
		}
		name = "FINDING"
		text = fmt.Sprintf("%s %s %s confidence=%s: %s", f.Change, f.Rule, f.Severity, f.Confidence, f.Title)
	}
	if !p.inv.Options.JSON {
		p.text = appendHead(p.text, l.Time, name)
		p.text = append(p.text, ' ')
		p.text = append(p.text, present.Escape(text)...)
		p.text = append(p.text, '\n')
	}
	return true
}

// nameColumn is how wide names of events are, as in `monitor`.
const nameColumn = 16

func appendHead(b []byte, at time.Time, name string) []byte {
	b = append(at.Local().AppendFormat(append(b, '['), "2006-01-02T15:04:05.000000"), "] ["...)
	return fmt.Appendf(b, "%*s]", nameColumn, name)
}

// appendEnded appends the line of a connection that ended: who, with whom, how long, how it
// ended, how many bytes (sent/received) by which path, and what went wrong.
func appendEnded(b []byte, colors *present.Palette, l *chronicle.Line, c *chronicle.Connected) []byte {
	conn := &c.Connection
	b = appendHead(b, l.Time, "ENDED")
	b = conn.Token.Append(append(b, " token="...))
	if name := conn.Pair.String(); name != "" {
		b = fmt.Appendf(b, " pair=%s", name[:8])
	}
	if conn.Side != mptcp.SideUnknown {
		b = fmt.Appendf(b, " side=%v", conn.Side)
	}
	b = fmt.Appendf(b, " local=%s remote=%s", present.Escape(conn.Local.String()), present.Escape(conn.Remote.String()))
	for _, p := range conn.Processes {
		b = fmt.Appendf(b, " process=%s/%d", present.Escape(p.Name), p.PID)
	}
	if conn.Netns != "" {
		b = fmt.Appendf(b, " netns=%s", present.Escape(conn.Netns))
	}
	if !conn.Since.IsZero() {
		b = fmt.Appendf(b, " lasted=%s", l.Time.Sub(conn.Since).Round(time.Millisecond))
	}
	b = fmt.Appendf(b, " how=%s bytes=%d/%d", present.Escape(c.How), conn.BytesSent, conn.BytesReceived)
	if conn.BytesRetransmitted > 0 {
		b = fmt.Appendf(b, " retransmitted=%d", conn.BytesRetransmitted)
	}
	for _, s := range slices.Concat(c.Closed, conn.Subflows) {
		b = appendVia(b, &s)
	}
	if len(c.Trouble) > 0 {
		b = append(append(b, ' '), colors.Warn...)
		b = fmt.Appendf(b, "trouble=%s", present.Escape(strings.Join(c.Trouble, ",")))
		b = append(b, colors.Reset...)
	}
	return append(b, '\n')
}

// appendVia appends a path, with what it carried.
func appendVia(b []byte, s *mptcp.Subflow) []byte {
	b = append(b, " via="...)
	if s.Device != "" {
		b = append(append(b, present.Escape(s.Device)...), ':')
	}
	local, remote := present.Escape(s.Local.Addr().String()), present.Escape(s.Remote.Addr().String())
	b = fmt.Appendf(b, "%s->%s:%d/%d", local, remote, s.BytesSent, s.BytesReceived)
	if s.BackupLocal || s.BackupRemote {
		b = append(b, ":backup"...)
	}
	return b
}

// HistoryVerify reads everything and says whether all is there.
func HistoryVerify(ctx context.Context, inv *grammar.Invocation) error {
	if len(inv.Args) > 0 {
		return inv.Usage("takes no arguments")
	}
	r, err := openPast(inv)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer r.Close()
	report, err := r.Verify(ctx)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	b := &report.Books
	for i := range report.Damaged {
		tellDamage(inv, &report.Damaged[i])
	}
	if inv.Options.JSON {
		err = present.JSON(inv.Stdout, report, inv.Options.Pretty)
	} else {
		_, err = fmt.Fprintf(
			inv.Stdout, "lines %d to %d in %s of %d bytes: %d there, %d lost and accounted for, %d missing\n",
			b.First, b.Last, present.Count(report.Files, "file"), report.Bytes, b.Lines, b.Lost, b.Missing,
		)
	}
	if err != nil {
		return err
	}
	if b.Missing > 0 || b.Backward > 0 || len(report.Damaged) > 0 {
		return exit.Status(exit.Failed)
	}
	return nil
}
