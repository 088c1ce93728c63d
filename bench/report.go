package main

import (
	"fmt"
	"strings"
)

// report is what a section measured.
type report struct {
	title  string
	tables []*table
	notes  []string
	goals  []goal
	noise  noise
	failed error
}

func newReport(title string) *report { return &report{title: title} }

// table adds a table, to be filled.
func (r *report) table(unit, base string) *table {
	t := newTable(unit, base)
	r.tables = append(r.tables, t)
	return t
}

// note adds a sentence.
func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// goal adds a goal with what was measured of it.
func (r *report) goal(g goal) { r.goals = append(r.goals, g) }

// end notes in what surroundings the section ran and whether it failed.
func (r *report) end(n noise, err error) { r.noise, r.failed = n, err }

// String returns the section in Markdown.
func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n", r.title)
	if r.failed != nil {
		fmt.Fprintf(&b, "\n**This section failed:** %v\n", r.failed)
	}
	for _, t := range r.tables {
		if text := t.String(); text != "" {
			fmt.Fprintf(&b, "\n%s", text)
		}
	}
	for _, note := range r.notes {
		fmt.Fprintf(&b, "\n%s\n", note)
	}
	fmt.Fprintf(&b, "\n%s\n", r.noise)
	return b.String()
}
