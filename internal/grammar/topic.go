package grammar

import (
	"fmt"
	"io"
	"strings"
)

// Topic is a help text that is of no command alone: `help NAME` shows it, and the
// program's manual page holds it.
type Topic struct {
	Name     string
	Summary  string // one line, without a full stop
	Help     string // in paragraphs separated by empty lines
	Title    string // of Rows
	Rows     [][2]string
	Examples []Example
}

// WriteHelp writes all of the topic.
func (t *Topic) WriteHelp(w io.Writer, program string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", t.Name, t.Summary)
	writeParagraphs(&b, t.Help)
	fmt.Fprintf(&b, "\n%s:\n", t.Title)
	for _, row := range t.Rows {
		fmt.Fprintf(&b, "  %-32s %s\n", row[0], row[1])
	}
	b.WriteString("\nExamples:\n")
	for _, e := range t.Examples {
		fmt.Fprintf(&b, "  %s %s\n      %s\n", program, e.Line, e.Meaning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (b *roff) topic(m *Manual, t *Topic) {
	b.macro("Sh", strings.ToUpper(t.Name))
	b.text(sentence(t.Summary))
	b.raw(".Pp")
	b.paragraphs(t.Help)
	b.list(t.Rows)
	for _, e := range t.Examples {
		b.macro("Pp", "")
		b.text(sentence(e.Meaning))
		b.macro("Dl", m.Program+" "+e.Line)
	}
}

// takesFilter reports whether words of the filter language may follow the command,
// or its default verb.
func (c *Command) takesFilter() bool {
	verb := c.defaultVerb()
	return c.Operand == Filter || verb != nil && verb.Operand == Filter
}
