// Bench measures mptcpctl beside its peers in one run: ip mptcp monitor, ss, and a
// bare drain loop in C. All loads are events and sockets of the real kernel, in a
// network namespace of the run's own.
//
// Processor time is what the kernel accounts to a process, never wall time. In each
// round every program has its turn, in random order; ratios are taken within a
// round, and their median over the rounds is what the table shows.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"mptcpctl/internal/lab"
	"mptcpctl/pathmanager"
)

type settings struct {
	tools  string
	ip, ss string
	rounds int
	big    bool
	only   string
	ring   bool // may the ring engine be used here
}

func main() {
	var s settings
	flag.StringVar(&s.tools, "tools", ".", "folder with the programs mptcpctl and drain")
	flag.StringVar(&s.ip, "ip", "ip", "iproute2's ip")
	flag.StringVar(&s.ss, "ss", "ss", "iproute2's ss")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds of each measurement")
	flag.BoolVar(&s.big, "big", false, "also 9,000 connections and a burst of 1,000,000 events: minutes")
	flag.StringVar(&s.only, "only", "", "only the sections whose name contains this")
	flag.Parse()
	code, ran, err := lab.Enter()
	if err == nil && !ran {
		err = s.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		code = 1
	}
	os.Exit(code)
}

// section measures one thing and returns its table.
type section struct {
	name string
	run  func(*settings) (*table, error)
}

func sections() []section {
	return []section{
		{"start-up", startUp},
		{"burst", burst},
		{"churn", churn},
		{"one at a time", paced},
		{"latency", latency},
		{"loss", loss},
		{"dump", dump},
	}
}

func (s *settings) run() error {
	raiseFileLimit()
	s.ring = ringAllowed()
	fmt.Printf("Linux %s, %d processors, %s; %s; %d rounds\n", release(), runtime.NumCPU(), runtime.Version(), s.version(s.ip), s.rounds)
	ran := false
	for _, section := range sections() {
		if !strings.Contains(section.name, s.only) {
			continue
		}
		ran = true
		t, err := section.run(s)
		if err != nil {
			return fmt.Errorf("%s: %w", section.name, err)
		}
		fmt.Printf("\n### %s\n\n%s", t.title, t)
	}
	if !ran {
		return errors.New("no such section")
	}
	return nil
}

// ringAllowed reports whether the ring engine can run here: it needs root, and not
// that of a user namespace.
func ringAllowed() bool {
	return within(func() error {
		l, err := pathmanager.Listen(&pathmanager.ListenConfig{Engine: pathmanager.EngineRing, Buffer: 1})
		if err != nil {
			return err
		}
		return l.Close()
	}) == nil
}

func (s *settings) tool(name string) string { return filepath.Join(s.tools, name) }

// table collects figures by program and round.
type table struct {
	title   string
	unit    string
	base    string // whose figures the ratios are to
	order   []string
	figures map[string][]float64
	notes   []string
}

func newTable(title, unit, base string) *table {
	return &table{title: title, unit: unit, base: base, figures: map[string][]float64{}}
}

// add takes a figure of the program in this round.
func (t *table) add(name string, figure float64) {
	if _, ok := t.figures[name]; !ok {
		t.order = append(t.order, name)
	}
	t.figures[name] = append(t.figures[name], figure)
}

// String returns the table in Markdown.
func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| | %s: median (min … max) | to %s |\n|---|---|---|\n", t.unit, t.base)
	names := slices.Clone(t.order)
	slices.Sort(names)
	for _, name := range names {
		f := t.figures[name]
		fmt.Fprintf(&b, "| %s | %s (%s … %s) | %s |\n", name, short(median(f)), short(slices.Min(f)), short(slices.Max(f)), t.ratio(name))
	}
	for _, note := range t.notes {
		fmt.Fprintf(&b, "\n%s\n", note)
	}
	return b.String()
}

// ratio returns the median of the rounds' ratios to the base.
func (t *table) ratio(name string) string {
	base := t.figures[t.base]
	var ratios []float64
	for i, f := range t.figures[name] {
		if i < len(base) && base[i] > 0 {
			ratios = append(ratios, f/base[i])
		}
	}
	if len(ratios) == 0 {
		return "—"
	}
	return fmt.Sprintf("%.2f (%.2f … %.2f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
}

func median(f []float64) float64 {
	if len(f) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(f))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func short(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}
