package grammar

import (
	"fmt"
	"io"
	"strings"
)

// WriteOverview writes the usage text of the whole program.
func WriteOverview(w io.Writer, program string, entries []Entry) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s [ OPTIONS ] COMMAND { VERB | help } [ ARGUMENTS ]\n", program)
	fmt.Fprintf(&b, "       %s [ -force ] -batch FILE\n\nCommands:\n", program)
	for _, e := range entries {
		if c := e.Build(); !c.Hidden {
			fmt.Fprintf(&b, "  %-12s %s\n", c.Name, c.Summary)
		}
	}
	b.WriteString("\nOptions:\n")
	writeGlobals(&b)
	fmt.Fprintf(&b, "\nCommands, verbs and options may be shortened. More: %s help COMMAND\n", program)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeGlobals(b *strings.Builder) {
	for _, g := range Globals() {
		fmt.Fprintf(b, "  %-26s %s\n", g.Form(), g.Summary)
	}
}

// Form returns how the option is written: its letter, its word, its value.
func (g *Global) Form() string {
	short, long := "-"+g.Letter, "-"+g.Name
	form := short + ", " + long
	if short == long || short == "-"+long {
		form = short
	}
	switch {
	case g.attached():
		return form + "[=" + g.Metavar + "]"
	case g.Metavar != "":
		return form + " " + g.Metavar
	}
	return form
}

// Form returns how the flag is written.
func (f *Flag) Form() string {
	form := "--" + f.Name
	if f.Letter != 0 {
		form = "-" + string(f.Letter) + ", " + form
	}
	switch {
	case f.Optional:
		form += "[=" + f.Metavar + "]"
	case f.Value != None:
		form += " " + f.Metavar
	}
	return form
}

// Lines returns the synopsis: the command's full name and what may follow, a line
// each.
func (c *Command) Lines(path string) []string {
	var lines []string
	for _, s := range c.Synopsis {
		lines = append(lines, strings.TrimSpace(path+" "+s))
	}
	if lines != nil {
		return lines
	}
	for i := range c.Verbs {
		if v := &c.Verbs[i]; !v.Hidden {
			lines = append(lines, v.Lines(path+" "+v.Name)...)
		}
	}
	if lines == nil {
		lines = []string{path}
	}
	return lines
}

// WriteUsage writes the synopsis of a command: the short answer to a usage error.
func (c *Command) WriteUsage(w io.Writer, program, path string) error {
	lead := "Usage: "
	for _, line := range c.Lines(path) {
		if _, err := fmt.Fprintf(w, "%s%s %s\n", lead, program, line); err != nil {
			return err
		}
		lead = "       "
	}
	return nil
}

// WriteHelp writes all that is known about a command.
func (c *Command) WriteHelp(w io.Writer, program, path string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", path, c.Summary)
	_ = c.WriteUsage(&b, program, path) // a strings.Builder takes all
	writeParagraphs(&b, c.Help)
	if len(c.Verbs) > 0 {
		b.WriteString("\nVerbs:\n")
		for i := range c.Verbs {
			if v := &c.Verbs[i]; !v.Hidden {
				fmt.Fprintf(&b, "  %-18s %s\n", v.Name, v.Summary)
			}
		}
	}
	writeRows(&b, "Arguments", keywordRows(c))
	writeRows(&b, "Options", flagRows(c))
	if c.takesFilter() {
		fmt.Fprintf(&b, "\nFILTER: see %s help filter\n", program)
	}
	if c.Privilege != "" {
		fmt.Fprintf(&b, "\nPrivilege: %s\n", c.Privilege)
	}
	if examples := c.examples(); len(examples) > 0 {
		b.WriteString("\nExamples:\n")
		for _, e := range examples {
			fmt.Fprintf(&b, "  %s %s\n      %s\n", program, e.Line, e.Meaning)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// examples returns the command's, or those of its verbs.
func (c *Command) examples() []Example {
	if c.Examples != nil {
		return c.Examples
	}
	var all []Example
	for i := range c.Verbs {
		if !c.Verbs[i].Hidden {
			all = append(all, c.Verbs[i].Examples...)
		}
	}
	return all
}

func writeParagraphs(b *strings.Builder, text string) {
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if paragraph != "" {
			b.WriteByte('\n')
			wrap(b, paragraph, 78)
		}
	}
}

// wrap writes the words of a paragraph in lines of at most width characters. A
// paragraph that starts with a blank is kept as it is.
func wrap(b *strings.Builder, paragraph string, width int) {
	if strings.HasPrefix(paragraph, " ") {
		b.WriteString(paragraph + "\n")
		return
	}
	column := 0
	for word := range strings.FieldsSeq(paragraph) {
		switch {
		case column == 0:
		case column+1+len(word) > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	b.WriteByte('\n')
}

func writeRows(b *strings.Builder, title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, row := range rows {
		fmt.Fprintf(b, "  %-22s %s\n", row[0], row[1])
	}
}

func keywordRows(c *Command) [][2]string {
	var rows [][2]string
	for i := range c.Keywords {
		if k := &c.Keywords[i]; k.Summary != "" {
			rows = append(rows, [2]string{k.Form(), k.Summary})
		}
	}
	return rows
}

func flagRows(c *Command) [][2]string {
	rows := make([][2]string, len(c.Flags))
	for i := range c.Flags {
		rows[i] = [2]string{c.Flags[i].Form(), c.Flags[i].Summary}
	}
	return rows
}

// Form returns how the keyword is written.
func (k *Keyword) Form() string {
	switch {
	case k.Value == None:
		return k.Name
	case len(k.Choices) > 0:
		return k.Name + " " + strings.Join(k.Choices, "|")
	}
	return k.Name + " " + k.Value.String()
}

// String returns the kind's name in usage texts, such as ADDRESS.
func (k Kind) String() string {
	names := [...]string{
		"", "WORD", "ADDRESS", "HOST", "DEV", "ID", "NUMBER", "PORT", "TOKEN", "FILE", "NETNS", "DURATION", "NAME",
		"COMMAND", "FILTER", "PROGRAM",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return "VALUE"
}
