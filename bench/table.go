package main

import (
	"fmt"
	"slices"
	"strings"
)

// table collects figures of programs, round by round.
type table struct {
	unit string
	base string // the program that the ratios are to; "" without ratios
	rows []*row
}

// row is one program's figures under one load.
type row struct {
	load, program string
	figures       []float64
}

func newTable(unit, base string) *table { return &table{unit: unit, base: base} }

// add takes the figure of a program in this round; load is "" where all programs
// have the same one. Each program adds one figure a round.
func (t *table) add(load, program string, figure float64) {
	r := t.row(load, program)
	if r == nil {
		r = &row{load: load, program: program}
		t.rows = append(t.rows, r)
	}
	r.figures = append(r.figures, figure)
}

func (t *table) row(load, program string) *row {
	for _, r := range t.rows {
		if r.load == load && r.program == program {
			return r
		}
	}
	return nil
}

// figures returns what was added of the program under the load.
func (t *table) figures(load, program string) spread {
	if r := t.row(load, program); r != nil {
		return spreadOf(r.figures)
	}
	return spread{}
}

// ratio returns the program's figures as parts of the base's of the same round.
func (t *table) ratio(load, program, base string) spread {
	r, b := t.row(load, program), t.row(load, base)
	if r == nil || b == nil {
		return spread{}
	}
	var ratios []float64
	for i := range min(len(r.figures), len(b.figures)) {
		if b.figures[i] > 0 {
			ratios = append(ratios, r.figures[i]/b.figures[i])
		}
	}
	return spreadOf(ratios)
}

// String returns the table in Markdown: loads in the order in which they were
// added, the programs of each by name.
func (t *table) String() string {
	if len(t.rows) == 0 {
		return ""
	}
	var loads []string
	for _, r := range t.rows {
		loads = append(loads, r.load)
	}
	rows := slices.Clone(t.rows)
	slices.SortStableFunc(rows, func(a, b *row) int {
		if d := slices.Index(loads, a.load) - slices.Index(loads, b.load); d != 0 {
			return d
		}
		return strings.Compare(a.program, b.program)
	})
	headings := []string{"program", t.unit + ": median (least … most)"}
	named := slices.ContainsFunc(loads, func(l string) bool { return l != "" })
	if named {
		headings = slices.Insert(headings, 0, "")
	}
	if t.base != "" {
		headings = append(headings, "of "+t.base)
	}
	var out strings.Builder
	line(&out, headings)
	out.WriteString(strings.Repeat("|---", len(headings)) + "|\n")
	for _, r := range rows {
		cells := []string{r.program, spreadOf(r.figures).String()}
		if named {
			cells = slices.Insert(cells, 0, r.load)
		}
		if t.base != "" {
			cells = append(cells, t.ratio(r.load, r.program, t.base).String())
		}
		line(&out, cells)
	}
	return out.String()
}

// line writes one line of a table.
func line(out *strings.Builder, cells []string) {
	fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
}

// spread is the median of some figures, with the least and the most of them.
type spread struct {
	median, least, most float64
	n                   int // of how many figures
}

func spreadOf(figures []float64) spread {
	if len(figures) == 0 {
		return spread{}
	}
	return spread{median(figures), slices.Min(figures), slices.Max(figures), len(figures)}
}

// String returns the median, behind it the range where there is one.
func (s spread) String() string {
	switch {
	case s.n == 0:
		return "—"
	case s.least == s.most:
		return short(s.median)
	}
	return fmt.Sprintf("%s (%s … %s)", short(s.median), short(s.least), short(s.most))
}

func median(f []float64) float64 {
	if len(f) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(f))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// short returns a figure with as many digits as say something.
func short(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	case f >= 0.01:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.2g", f)
}
