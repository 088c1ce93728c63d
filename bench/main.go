// Bench measures mptcpctl beside its peers in one run: ip mptcp monitor, ss, and
// bare drain loops in C. All loads are events and sockets of the real kernel, in a
// network namespace of the run's own.
//
// Processor time is what the kernel accounts to a process, never wall time. In each
// round every program has its turn, in random order; ratios are taken within a
// round, and their median over the rounds is what the tables show and the goals are
// held against.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"mptcpctl/internal/lab"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == holderWord {
		exit(holdForParent(os.Args[2:]))
	}
	s := &settings{}
	flag.StringVar(&s.tools, "tools", ".", "folder with the programs under test, as bench/run builds them")
	flag.Var(
		&s.ips, "ip",
		"iproute2's ip; ratios are to the first, more of them are shown at start-up (may be repeated)",
	)
	flag.StringVar(&s.ss, "ss", "ss", "iproute2's ss")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds of each measurement")
	flag.StringVar(&s.only, "only", "", "only the sections whose names contain one of these words, separated by commas")
	flag.StringVar(&s.out, "out", "", "also write the tables to this file: between its markers, where it has them")
	flag.DurationVar(&s.soaking.time, "soak", 0, "instead of measuring, soak for this time: see soak.go")
	flag.IntVar(&s.soaking.connections, "soak-connections", 50_000, "how many connections a soak holds")
	flag.Usage = usage
	flag.Parse()
	if len(s.ips) == 0 {
		s.ips = list{"ip"}
	}
	code, ran, err := lab.Enter()
	if ran {
		os.Exit(code)
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		if s.soaking.time > 0 {
			err = s.soak(ctx)
		} else {
			err = s.run(ctx)
		}
	}
	exit(err)
}

// exit ends the program; err is why it failed, if it did.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func usage() {
	w := flag.CommandLine.Output()
	fmt.Fprintln(w, "Usage: bash bench/run [OPTIONS]\n\nOptions:")
	flag.PrintDefaults()
	fmt.Fprintln(w, "\nSections:")
	for _, section := range sections() {
		fmt.Fprintf(w, "  %-9s %s\n", section.name, section.title)
	}
}

// list is an option that may be repeated.
type list []string

func (l *list) String() string         { return strings.Join(*l, ",") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

// settings are the command line's.
type settings struct {
	tools  string
	ips    list
	ss     string
	rounds int
	only   string
	out    string
	ring   bool // may the ring engine be used here

	soaking soaking
}

// section measures one thing.
type section struct {
	name, title string
	measure     func(context.Context, *settings, *report) error
}

func sections() []section {
	return []section{
		{"startup", "Start: a one-shot command, and the first line of a monitor", startup},
		{"backlog", "A backlog of 2,400 events with all attributes, read at once", backlog},
		{"churn", "Connections at full speed, 3,000 of them", churn},
		{"paced", "One event at a time, 4,000 a second", paced},
		{"latency", "From the event to the line in the reader's pipe", latency},
		{"loss", "Bursts and rising rates", loss}, {"stopped", "A reader that is stopped for a while", stopped},
		{"filtered", "Events that a filter leaves out", filtered}, {"memory", "Memory of a monitor", memory},
		{"lists", "Lists of connections, both ends on this host", lists},
		{"tracker", "A million tracked connections", tracker},
		{"metrics", "Metrics of 60,000 connections with two subflows", metrics},
	}
}

// chosen returns the sections that -only names, all without it.
func (s *settings) chosen() []section {
	var some []section
	for _, section := range sections() {
		if slices.ContainsFunc(
			strings.Split(s.only, ","), func(word string) bool { return strings.Contains(section.name, word) },
		) {
			some = append(some, section)
		}
	}
	return some
}

// run measures the chosen sections and prints them as they are done. A section
// that fails says so in its place, and the others go on.
func (s *settings) run(ctx context.Context) error {
	some := s.chosen()
	if len(some) == 0 {
		return errors.New("no such section; see -h")
	}
	if s.out != "" {
		if err := checkDocument(s.out, s.only == ""); err != nil {
			return err
		}
	}
	if err := prepare(); err != nil {
		return err
	}
	if err := s.cachePrograms(); err != nil {
		return err
	}
	s.ring = ringAllowed()
	d, began := document{head: s.head()}, time.Now()
	fmt.Println(d.head)
	var failed error
	for _, section := range some {
		fmt.Fprintf(os.Stderr, "bench: %s …\n", section.name)
		r := newReport(section.title)
		watch := watchNoise()
		err := section.measure(ctx, s, r)
		if ctx.Err() != nil {
			return fmt.Errorf("%s: interrupted", section.name)
		}
		r.end(watch.end(), err)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", section.name, err))
		}
		fmt.Printf("\n%s", r)
		d.reports = append(d.reports, r)
	}
	d.took = time.Since(began)
	fmt.Printf("\n%s", d.goals())
	if s.out != "" {
		failed = errors.Join(failed, d.write(s.out))
	}
	return failed
}
