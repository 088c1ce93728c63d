package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mptcpctl/counters"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
)

func (a *app) countersCommand() grammar.Command {
	all := grammar.Flag{Name: "all", Summary: "also the counters that are zero"}
	return grammar.Command{
		Name:     "counters",
		Summary:  "the kernel's MPTCP counters, with what each means",
		Synopsis: []string{"[ show ] [ NAME ... ]", "watch [ interval TIME ] [ NAME ... ]"},
		Help: "Shows the counters of the network namespace (MPTcpExt in /proc/net/netstat) that are not zero. A '!' marks those that tell of trouble when they move; " +
			"-d adds what to do about them. Names may be parts of names, in any case.\n\n" +
			"`counters watch` prints what was counted in each interval in which something was.\n\n" +
			"The kernel starts to count with the first MPTCP socket of the namespace. Which counters there are depends on the kernel.",
		Privilege: "none",
		Default:   "show",
		Lenient:   true,
		Examples: []grammar.Example{
			{Line: "counters", Meaning: "what has been counted so far"},
			{Line: "-d counters show fallback", Meaning: "the counters of fallbacks, with advice"},
			{Line: "counters watch interval 5s", Meaning: "what is counted now"},
		},
		Verbs: []grammar.Command{{
			Name: "show", Summary: "the counters that are not zero", Synopsis: []string{"[ NAME ... ]"},
			Flags: []grammar.Flag{all}, Operand: grammar.Name, Run: a.countersShow,
		}, {
			Name: "watch", Summary: "what is counted, interval by interval", Synopsis: []string{"[ interval TIME ] [ NAME ... ]"},
			Keywords: []grammar.Keyword{{Name: "interval", Value: grammar.Duration, Summary: "how long to count (default 1s)"}},
			Operand:  grammar.Name, Run: a.countersWatch,
		}},
	}
}

func (a *app) countersShow(_ context.Context, inv *grammar.Invocation) error {
	values, err := readCounters(inv.Args)
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	all := inv.Has("all") || len(inv.Args) > 0
	if inv.Options.JSON {
		if !all {
			values = values.Moved()
		}
		return present.JSON(inv.Stdout, present.CounterObjects(values), inv.Options.Pretty)
	}
	text := present.CounterText{Colors: palette(inv), All: all, Details: inv.Options.Details}
	return text.Write(inv.Stdout, values)
}

// readCounters reads the counters whose names contain one of the words.
func readCounters(words []string) (counters.Values, error) {
	values, err := counters.New("").MPTCP()
	if err != nil || len(words) == 0 {
		return values, err
	}
	chosen := values.Select(func(name string) bool {
		for _, word := range words {
			if strings.Contains(strings.ToLower(name), strings.ToLower(word)) {
				return true
			}
		}
		return false
	})
	if chosen.Len() == 0 {
		return chosen, fmt.Errorf("no counter of this kernel has a name like %s", strings.Join(words, " or "))
	}
	return chosen, nil
}

func (a *app) countersWatch(ctx context.Context, inv *grammar.Invocation) error {
	words, interval, err := watchArguments(inv)
	if err != nil {
		return err
	}
	before, err := readCounters(words)
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			after, err := readCounters(words)
			if err != nil {
				return fmt.Errorf("%s: %w", inv.Path, err)
			}
			if err := writeMoved(inv, now, changed(after, before)); err != nil {
				return err
			}
			before = after
		}
	}
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
		interval, err = time.ParseDuration(args[1])
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
	Counters []present.Counter `json:"counters"`
}

func writeMoved(inv *grammar.Invocation, now time.Time, delta counters.Values) error {
	if delta.Len() == 0 {
		return nil
	}
	if inv.Options.JSON {
		return present.JSON(inv.Stdout, countersMoved{now.UTC(), present.CounterObjects(delta)}, inv.Options.Pretty)
	}
	text := present.CounterText{Colors: palette(inv), Details: inv.Options.Details, Sign: true}
	_, err := io.WriteString(inv.Stdout, now.Format("15:04:05\n"))
	return errors.Join(err, text.Write(inv.Stdout, delta))
}
