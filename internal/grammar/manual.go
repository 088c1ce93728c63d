package grammar

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Manual is what manual pages need to know beside the table.
type Manual struct {
	Program     string
	Summary     string // of the program, one line
	Description string // of the program, in paragraphs
	Entries     []Entry
	Topics      []Topic
	Date        time.Time
	ExitCodes   [][2]string // a code, and what it means
	Environment [][2]string
	SeeAlso     []string // "ip-mptcp 8"
}

// WriteProgramManual writes the program's manual page, section 8, as mdoc(7).
func WriteProgramManual(w io.Writer, m *Manual) error {
	var b roff
	b.head(m, m.Program, m.Summary)
	b.macro("Sh", "SYNOPSIS")
	b.synopsis(m.Program, "[OPTIONS] COMMAND [VERB] [ARGUMENTS]")
	b.synopsis(m.Program, "[-force] -batch FILE")
	b.macro("Sh", "DESCRIPTION")
	b.paragraphs(m.Description)
	b.macro("Sh", "OPTIONS")
	b.text("Options stand in front of the command, or behind it, and may be shortened.")
	b.list(globalRows())
	b.macro("Sh", "COMMANDS")
	b.text("Each has a page of its own.")
	var rows, pages [][2]string
	for _, e := range m.Entries {
		if c := e.Build(); !c.Hidden {
			rows = append(rows, [2]string{c.Name, c.Summary})
			pages = append(pages, [2]string{m.Program + "-" + c.Name, "8"})
		}
	}
	b.list(rows)
	for i := range m.Topics {
		b.topic(m, &m.Topics[i])
	}
	b.environment(m)
	b.exitCodes(m)
	b.seeAlso(append(pages, m.seeAlso()...))
	return b.writeTo(w)
}

// WriteManual writes the manual page of one command, section 8, as mdoc(7).
func WriteManual(w io.Writer, m *Manual, c *Command) error {
	var b roff
	page := m.Program + "-" + c.Name
	b.head(m, page, c.Summary)
	b.macro("Sh", "SYNOPSIS")
	for _, line := range c.Lines(c.Name) {
		b.synopsis(m.Program, line)
	}
	b.macro("Sh", "DESCRIPTION")
	if c.Help == "" {
		b.text(sentence(c.Summary))
	}
	b.paragraphs(c.Help)
	b.list(append(keywordRows(c), flagRows(c)...))
	for i := range c.Verbs {
		if v := &c.Verbs[i]; !v.Hidden {
			b.verb(c, v)
		}
	}
	if c.takesFilter() {
		b.macro("Sh", "FILTER")
		b.text("The words of the filter are described in " + m.Program + "(8).")
	}
	if c.Privilege != "" {
		b.macro("Sh", "PRIVILEGE")
		b.text(sentence(c.Privilege))
	}
	b.exitCodes(m)
	b.examples(m, c)
	b.seeAlso(append([][2]string{{m.Program, "8"}}, m.seeAlso()...))
	return b.writeTo(w)
}

func (b *roff) verb(c, v *Command) {
	b.macro("Ss", c.Name+" "+v.Name)
	help := v.Help
	if help == "" {
		help = sentence(v.Summary)
	}
	b.paragraphs(help)
	b.list(append(keywordRows(v), flagRows(v)...))
	if v.Privilege != "" && v.Privilege != c.Privilege {
		b.macro("Pp", "")
		b.text("Privilege: " + sentence(v.Privilege))
	}
}

func (b *roff) examples(m *Manual, c *Command) {
	examples := c.Examples
	for i := range c.Verbs {
		examples = append(examples[:len(examples):len(examples)], c.Verbs[i].Examples...)
	}
	if len(examples) == 0 {
		return
	}
	b.macro("Sh", "EXAMPLES")
	for i, e := range examples {
		if i > 0 {
			b.macro("Pp", "")
		}
		b.text(sentence(strings.ToUpper(e.Meaning[:1]) + e.Meaning[1:]))
		b.macro("Dl", m.Program+" "+e.Line)
	}
}

func (b *roff) exitCodes(m *Manual) {
	if len(m.ExitCodes) > 0 {
		b.macro("Sh", "EXIT STATUS")
		b.list(m.ExitCodes)
	}
}

func (b *roff) environment(m *Manual) {
	if len(m.Environment) > 0 {
		b.macro("Sh", "ENVIRONMENT")
		b.list(m.Environment)
	}
}

func (m *Manual) seeAlso() [][2]string {
	var pages [][2]string
	for _, s := range m.SeeAlso {
		name, section, _ := strings.Cut(s, " ")
		pages = append(pages, [2]string{name, section})
	}
	return pages
}

func (b *roff) seeAlso(pages [][2]string) {
	b.macro("Sh", "SEE ALSO")
	for i, p := range sortedPages(pages) {
		comma := " ,"
		if i == len(pages)-1 {
			comma = ""
		}
		b.raw(".Xr " + p[0] + " " + p[1] + comma)
	}
}

// sortedPages sorts by section, then name, as mdoc(7) asks for.
func sortedPages(pages [][2]string) [][2]string {
	return slices.SortedFunc(slices.Values(pages), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[1], b[1]), cmp.Compare(a[0], b[0]))
	})
}

func globalRows() [][2]string {
	var rows [][2]string
	for _, g := range Globals() {
		rows = append(rows, [2]string{g.Form(), g.Summary})
	}
	return rows
}

// sentence ends a phrase with a full stop and starts it with a capital.
func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// roff builds a page of mdoc(7).
type roff struct{ strings.Builder }

func (b *roff) head(m *Manual, page, summary string) {
	b.raw(".Dd " + m.Date.Format("January 2, 2006"))
	b.raw(".Dt " + strings.ToUpper(page) + " 8")
	b.raw(".Os")
	b.macro("Sh", "NAME")
	b.raw(".Nm " + page)
	b.raw(".Nd " + escape(summary))
}

func (b *roff) raw(line string) { b.WriteString(line + "\n") }

// macro writes a request whose arguments are text: words that are macros too are
// kept from being called.
func (b *roff) macro(name, text string) {
	b.WriteString("." + name)
	for word := range strings.FieldsSeq(text) {
		word = escape(word)
		if len(word) < 4 || strings.Contains(`()[].,:;?!|`, word[:1]) {
			word = `\&` + word
		}
		b.WriteString(" " + strings.ReplaceAll(word, `"`, `\(dq`))
	}
	b.WriteByte('\n')
}

func (b *roff) synopsis(program, rest string) {
	b.raw(".Nm " + program)
	rest = strings.TrimPrefix(rest, program)
	b.text(rest)
}

// text writes a paragraph, each sentence on a line of its own.
func (b *roff) text(paragraph string) {
	paragraph = strings.Join(strings.Fields(paragraph), " ")
	for part := range strings.SplitAfterSeq(paragraph, ". ") {
		for line := range strings.SplitSeq(wrapped(strings.TrimSpace(part)), "\n") {
			if line != "" {
				b.raw(guard(escape(line)))
			}
		}
	}
}

// wrapped breaks a long line at blanks.
func wrapped(line string) string {
	var b strings.Builder
	wrap(&b, line, 76)
	return b.String()
}

func (b *roff) paragraphs(text string) {
	first := true
	for paragraph := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		if paragraph == "" {
			continue
		}
		if strings.HasPrefix(paragraph, " ") {
			b.raw(".Bd -literal -offset indent")
			for line := range strings.SplitSeq(paragraph, "\n") {
				b.raw(guard(escape(strings.TrimPrefix(line, "  "))))
			}
			b.raw(".Ed")
			continue
		}
		if !first {
			b.raw(".Pp")
		}
		first = false
		b.text(paragraph)
	}
}

func (b *roff) list(rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	b.raw(".Bl -tag -width Ds")
	for _, row := range rows {
		b.macro("It", row[0])
		b.text(sentence(row[1]))
	}
	b.raw(".El")
}

// escape keeps characters that roff would read from being read.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "–", "-", "→", "->").Replace(s)
}

// guard keeps a line from being a request.
func guard(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}

func (b *roff) writeTo(w io.Writer) error {
	_, err := fmt.Fprint(w, b.String())
	return err
}
