package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"mptcpctl/counters"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/process"
)

func (a *app) countersCommand() grammar.Command {
	all := grammar.Flag{Name: "all", Summary: "also show counters that are zero"}
	return grammar.Command{
		Name:      "counters",
		Summary:   "show the kernel's MPTCP counters and what each means",
		Synopsis:  []string{"[ show ] [ NAME ... ]", "watch [ interval TIME ] [ NAME ... ]"},
		Help:      countersHelp,
		Privilege: "none",
		Flags:     []grammar.Flag{all},
		Default:   "show",
		Lenient:   true,
		Examples: []grammar.Example{
			{Line: "counters", Meaning: "the counters so far"},
			{Line: "-d counters show fallback", Meaning: "the fallback counters, with advice"},
			{Line: "counters watch interval 5s", Meaning: "the changes every five seconds"},
		},
		Verbs: []grammar.Command{{
			Name: "show", Summary: "show the counters that are not zero", Synopsis: []string{"[ NAME ... ]"},
			Operand: grammar.Name, Quick: true, Run: a.countersShow,
		}, {
			Name:     "watch",
			Summary:  "show the changes in each interval",
			Synopsis: []string{"[ interval TIME ] [ NAME ... ]"},
			Keywords: []grammar.Keyword{
				{Name: "interval", Value: grammar.Duration, Summary: "length of an interval (default 1s)"},
			},
			Operand: grammar.Name, Run: a.countersWatch,
		}},
	}
}

func (a *app) countersShow(ctx context.Context, inv *grammar.Invocation) error {
	facts, err := openCounters(ctx, inv)
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	defer facts.close()
	all := inv.Has("all") || len(inv.Args) > 0
	objects := []present.Counter{}
	for _, place := range facts.places {
		values, err := selectCounters(inv, place.read, inv.Args)
		if err != nil {
			return fmt.Errorf("%s: %w", inv.Path, err)
		}
		if inv.Options.JSON {
			if !all {
				values = values.Moved()
			}
			objects = append(objects, present.CounterObjectsOf(place.netns, values)...)
			continue
		}
		text := present.CounterText{
			Colors:  line.Palette(inv),
			All:     all,
			Details: inv.Options.Details,
			Netns:   place.netns,
		}
		if err := text.Write(inv.Stdout, values); err != nil {
			return err
		}
	}
	if inv.Options.JSON {
		return present.JSON(inv.Stdout, objects, inv.Options.Pretty)
	}
	return nil
}

// counterFacts are the counters of one network namespace or of many.
type counterFacts struct {
	places []counterPlace
	close  func() error
}

type counterPlace struct {
	netns string
	read  func() (counters.Values, error)
}

// openCounters opens the counters that the options mean. Those of the own namespace
// need no socket.
func openCounters(ctx context.Context, inv *grammar.Invocation) (*counterFacts, error) {
	if inv.Options.Replay == "" && !inv.Options.AllNetns {
		return &counterFacts{[]counterPlace{{"", counters.New("").MPTCP}}, func() error { return nil }}, nil
	}
	facts, err := line.Open(ctx, inv)
	if err != nil {
		return nil, err
	}
	f := &counterFacts{close: facts.Close}
	for _, view := range facts.Views() {
		f.places = append(f.places, counterPlace{view.Netns(), view.MPTCPCounters})
	}
	return f, nil
}

// selectCounters reads the counters whose names contain one of the words. Each word has to
// be in one: a mistyped keyword would pass for a name.
func selectCounters(
	inv *grammar.Invocation, read func() (counters.Values, error), words []string,
) (counters.Values, error) {
	values, err := read()
	if err != nil || len(words) == 0 {
		return values, err
	}
	names := values.Names()
	for _, word := range words {
		if !slices.ContainsFunc(names, func(name string) bool { return isLike(name, word) }) {
			return values, fmt.Errorf(
				"this kernel has no counter with a name like %q%s", word, counterProposal(inv, values, word))
		}
	}
	return values.Select(func(name string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return isLike(name, word) })
	}), nil
}

// isLike reports whether a counter's name contains the word.
func isLike(name, word string) bool {
	return strings.Contains(strings.ToLower(name), strings.ToLower(word))
}

func (a *app) countersWatch(ctx context.Context, inv *grammar.Invocation) error {
	words, interval, err := watchArguments(inv)
	if err != nil {
		return err
	}
	if inv.Options.Replay != "" {
		return countersReplayed(inv, words)
	}
	facts, err := openCounters(ctx, inv)
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	defer facts.close()
	before := make([]counters.Values, len(facts.places))
	for i, place := range facts.places {
		if before[i], err = selectCounters(inv, place.read, words); err != nil {
			return fmt.Errorf("%s: %w", inv.Path, err)
		}
	}
	ctx, done := process.WhileRead(ctx, inv.Stdout)
	defer done()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			for i, place := range facts.places {
				after, err := selectCounters(inv, place.read, words)
				if err != nil {
					return fmt.Errorf("%s: %w", inv.Path, err)
				}
				if err := writeMoved(inv, now, place.netns, changed(after, before[i])); err != nil {
					return err
				}
				before[i] = after
			}
		}
	}
}

// countersReplayed prints what was counted between the snapshots of a recording.
func countersReplayed(inv *grammar.Invocation, words []string) error {
	recording, err := line.Recording(inv)
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	before := map[string]counters.Values{} // by network namespace
	for at, view := range recording.States() {
		after, err := selectCounters(inv, view.MPTCPCounters, words)
		if err != nil {
			return fmt.Errorf("%s: %w", inv.Path, err)
		}
		netns := view.Netns()
		if was, again := before[netns]; again {
			if err := writeMoved(inv, at, netns, changed(after, was)); err != nil {
				return err
			}
		}
		before[netns] = after
	}
	return nil
}

// watchArguments returns the names and the interval to watch.
func watchArguments(inv *grammar.Invocation) (words []string, interval time.Duration, err error) {
	interval = time.Second
	args := inv.Args
	for len(args) > 0 {
		if args[0] != "interval" {
			words, args = append(words, args[0]), args[1:]
			continue
		}
		if len(args) < 2 {
			return nil, 0, inv.Usage("interval: a time such as 5s is missing")
		}
		interval, err = line.Span(args[1])
		if err != nil || interval < 10*time.Millisecond {
			return nil, 0, inv.Usage(fmt.Sprintf("interval %q: want a time such as 5s, at least 10ms", args[1]))
		}
		args = args[2:]
	}
	return words, interval, nil
}

// changed returns what was counted between two readings, and the gauges that
// changed.
func changed(after, before counters.Values) counters.Values {
	delta := after.Since(before).Moved()
	return delta.Select(func(name string) bool {
		if !counters.IsGauge(name) {
			return true
		}
		was, _ := before.Get(name)
		is, _ := after.Get(name)
		return was != is
	})
}

// countersMoved is what was counted in one interval, for JSON.
type countersMoved struct {
	Time     time.Time         `json:"time"`
	Netns    string            `json:"netns,omitempty"`
	Counters []present.Counter `json:"counters"`
}

func writeMoved(inv *grammar.Invocation, now time.Time, netns string, delta counters.Values) error {
	if delta.Len() == 0 {
		return nil
	}
	if inv.Options.JSON {
		return present.JSON(
			inv.Stdout, countersMoved{now.UTC(), netns, present.CounterObjects(delta)}, inv.Options.Pretty,
		)
	}
	text := present.CounterText{Colors: line.Palette(inv), Details: inv.Options.Details, Sign: true, Netns: netns}
	_, err := io.WriteString(inv.Stdout, now.Local().Format("15:04:05\n"))
	return errors.Join(err, text.Write(inv.Stdout, delta))
}
