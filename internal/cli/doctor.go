package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/bundle"
	"mptcpctl/internal/cli/across"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/gather"
	"mptcpctl/mptcp"
)

func (a *app) doctorCommand() grammar.Command {
	return grammar.Command{
		Name:    "doctor",
		Summary: "explain why there is no second subflow, or why a connection fell back to TCP",
		Synopsis: []string{
			"[ FILTER ]", "--watch [ TIME ] [ FILTER ]", "--from FILE [ FILTER ]", "--peer PEER [ FILTER ]",
			"since TIME [ until TIME ] [ FILTER ]", "RULE", "explain [ RULE ]",
		},
		Help:      doctorHelp,
		Privilege: "none; with CAP_NET_ADMIN events count as evidence, and root sees the processes of other users",
		Flags: append([]grammar.Flag{
			{Name: "watch", Letter: 'w', Summary: "continue, and print what changes"},
			{
				Name:    "window",
				Value:   grammar.Duration,
				Metavar: "TIME",
				Summary: "how long to watch counters and events (default 250ms)",
			},
			{
				Name:    "bundle",
				Value:   grammar.File,
				Metavar: "FILE",
				Summary: "also write facts, findings and a recording into one file (tar.gz) that you can send to " +
					"others",
			},
			line.LookFlag(),
			{Name: "force", Letter: 'f', Summary: "overwrite a file of --bundle that exists"},
			{
				Name:    "from",
				Value:   grammar.File,
				Metavar: "FILE",
				Summary: "judge the facts of a bundle instead of this host",
			},
			{
				Name: "anonymise",
				Summary: "replace addresses and the names of processes, devices and namespaces, each always by the " +
					"same substitute",
			},
		}, across.Flags()...),
		Keywords: []grammar.Keyword{
			{Name: "since", Value: grammar.Word, Summary: "what was found since then (history): 03:00, 10m-ago"},
			{Name: "until", Value: grammar.Word, Summary: "up to then"},
		},
		Operand: grammar.Filter,
		Trouble: exit.NoVerdict,
		Examples: []grammar.Example{
			{Line: "doctor", Meaning: "what is wrong on this host"},
			{Line: "-d doctor dst 192.0.2.1", Meaning: "everything about the connections to one peer"},
			{Line: "doctor --watch 10s", Meaning: "check every ten seconds, and print changes"},
			{Line: "doctor --bundle report.tgz --anonymise", Meaning: "a file that you can send to others"},
			{Line: "doctor --peer ssh:server.example", Meaning: "both ends: what one host alone cannot tell"},
			{Line: "doctor --look 3s dst 192.0.2.1", Meaning: "also what limits the rate of these connections"},
			{Line: "doctor D17", Meaning: "explain a rule"},
		},
		Run: a.doctor,
	}
}

func (a *app) doctor(ctx context.Context, inv *grammar.Invocation) error {
	if done, err := explained(inv); done {
		return err
	}
	request, err := doctorArguments(inv)
	if err != nil {
		return err
	}
	if inv.Has("from") && (inv.Options.Replay != "" || inv.Options.AllNetns) {
		return inv.Usage("--from reads everything from the bundle: it excludes -a and --replay")
	}
	if err := across.Check(inv); err != nil {
		return err
	}
	if inv.Has("facts") {
		return across.Facts(ctx, inv, request.config)
	}
	if inv.Has("watch") && (inv.Has("from") || inv.Has("bundle") || inv.Has("look")) {
		return inv.Usage("--watch goes with none of --from, --bundle and --look")
	}
	if _, err := line.LookTime(inv); err != nil {
		return err // before the work, not behind it
	}
	if inv.Has("watch") {
		return watchDoctor(ctx, inv, request)
	}
	if name, given := inv.Value("bundle"); given && !inv.Has("force") {
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("doctor: %w", existsAlready(name)) // before the work, not behind it
		}
	}
	peers, err := across.Ask(ctx, inv, request.config)
	if err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	stop := recordMeanwhile(ctx, inv)
	facts, replayed, err := line.Facts(ctx, inv, request.config)
	recording := stop()
	if err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	if request.config.Match != nil && !slices.ContainsFunc(facts, hasFocus) {
		line.LeftOut(
			inv,
			errors.New(
				"no connection and no plain TCP socket matches the filter: only facts that concern the whole host "+
					"were judged",
			),
		)
	}
	if peers != nil {
		verdict, err := peers.Judge(inv, doctorText(inv), facts)
		if err != nil {
			return fmt.Errorf("doctor: %w", err)
		}
		return verdictStatus(verdict)
	}
	if inv.Has("anonymise") {
		if err := bundle.Hide(facts); err != nil {
			return fmt.Errorf("doctor: %w", err)
		}
	}
	report := doctor.DiagnoseAll(facts)
	if err := addRates(ctx, inv, facts, &report); err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	if replayed != nil && !inv.Has("anonymise") {
		if report.Earlier, err = earlier(ctx, replayed, request, &report); err != nil {
			return fmt.Errorf("doctor: %w", err)
		}
	}
	if name, given := inv.Value("bundle"); given {
		if err := writeBundle(inv, name, facts, &report, recording); err != nil {
			return fmt.Errorf("doctor: %w", err)
		}
	}
	if err := writeReport(inv, &report); err != nil {
		return err
	}
	return verdictStatus(report.Verdict)
}

// writeBundle writes the file of --bundle.
func writeBundle(
	inv *grammar.Invocation, name string, facts []doctor.Facts, report *doctor.Report, recording []byte,
) error {
	err := bundle.Write(name, inv.Has("force"), facts, report, recording)
	if errors.Is(err, fs.ErrExist) {
		return existsAlready(name)
	}
	return err
}

// recordMeanwhile records for the bundle while doctor looks. What it returns ends the
// recording, and is nil where there is none.
func recordMeanwhile(ctx context.Context, inv *grammar.Invocation) (stop func() []byte) {
	// A recording has the kernel's own messages: nothing can be hidden in them.
	live := inv.Options.Replay == "" && !inv.Has("from") && !inv.Options.AllNetns
	if !inv.Has("bundle") || !live || inv.Has("anonymise") {
		return func() []byte { return nil }
	}
	return bundle.RecordMeanwhile(ctx, func(err error) { line.LeftOut(inv, err) })
}

// hasFocus reports whether the facts have anything left that a filter narrows.
func hasFocus(f doctor.Facts) bool {
	return len(f.Connections)+len(f.PlainFlows)+len(f.Blackholed)+len(f.PlainListeners) > 0
}

// verdictStatus is the exit code of a verdict.
func verdictStatus(v doctor.Verdict) error {
	if v == doctor.Healthy {
		return nil
	}
	return exit.Status(int(v))
}

func doctorText(inv *grammar.Invocation) *present.DoctorText {
	return &present.DoctorText{Colors: line.Palette(inv), Width: line.Width(inv.Stdout), All: inv.Options.Details}
}

func writeReport(inv *grammar.Invocation, report *doctor.Report) error {
	if inv.Options.JSON {
		return present.JSON(inv.Stdout, present.DoctorJSON(report), inv.Options.Pretty)
	}
	return doctorText(inv).Write(inv.Stdout, report)
}

// explained answers `doctor explain`, `doctor explain RULE` and `doctor RULE`.
func explained(inv *grammar.Invocation) (bool, error) {
	args := inv.Args
	explain := len(args) > 0 && args[0] == "explain"
	if explain {
		args = args[1:]
	}
	switch {
	case explain && len(args) == 0:
		rules := allRules()
		if inv.Options.JSON {
			return true, present.JSON(inv.Stdout, rules, inv.Options.Pretty)
		}
		return true, doctorText(inv).DoctorRules(inv.Stdout, rules)
	case len(args) != 1 || inv.Has("watch"): // a number behind that is a time
		return explain, nil
	}
	cause, ok := ruleOf(ruleID(args[0]))
	switch {
	case !ok && (explain || likeRule(args[0])):
		return true, inv.Usage(fmt.Sprintf("no rule %s: `doctor explain` lists them", present.Escape(args[0])))
	case !ok:
		return false, nil
	case inv.Options.JSON:
		return true, present.JSON(inv.Stdout, cause, inv.Options.Pretty)
	}
	return true, doctorText(inv).DoctorRule(inv.Stdout, &cause)
}

// ruleID returns the id that a word stands for: d5 is D05, s5 is S05, and 5 is D05, for a
// filter cannot begin with a number.
func ruleID(word string) rule.ID {
	if n, err := strconv.ParseUint(strings.TrimLeft(word, "DdSs"), 10, 8); err == nil && likeRule(word) {
		family := "D"
		if word[0] == 'S' || word[0] == 's' {
			family = "S"
		}
		return rule.ID(fmt.Sprintf("%s%02d", family, n))
	}
	return rule.ID(word)
}

// likeRule reports whether the word is one that only a rule can be meant by: D or S and
// digits, or digits.
func likeRule(word string) bool {
	number := strings.TrimLeft(word, "DdSs")
	return number != "" && len(word)-len(number) <= 1 && strings.Trim(number, "0123456789") == ""
}

// doctorRequest is what the command line asks of doctor.
type doctorRequest struct {
	config   *gather.Config
	interval time.Duration // of --watch
}

// defaultWatch is how often --watch looks.
const defaultWatch = 5 * time.Second

func doctorArguments(inv *grammar.Invocation) (*doctorRequest, error) {
	r := &doctorRequest{config: &gather.Config{Window: gather.DefaultWindow}, interval: defaultWatch}
	if inv.Options.Replay != "" {
		r.config.Window, r.interval = 0, 0 // all of the recording; each of its dumps
	}
	if text, given := inv.Value("window"); given {
		window, err := line.Span(text)
		if err != nil || window < 0 || window > time.Hour {
			return nil, inv.Usage(fmt.Sprintf("--window %q: want a time such as 1s, at most 1h", text))
		}
		r.config.Window = window
	}
	if inv.Has("watch") && len(inv.Args) > 0 {
		if interval, err := line.Span(inv.Args[0]); err == nil {
			if interval < 100*time.Millisecond {
				return nil, inv.Usage(fmt.Sprintf("--watch %s: want at least 100ms", inv.Args[0]))
			}
			r.interval, inv.Args = interval, inv.Args[1:]
		} else if first := inv.Args[0]; first != "" && first[0] >= '0' && first[0] <= '9' {
			return nil, inv.Usage(fmt.Sprintf("--watch %q: want a time such as 10s", first))
		}
	}
	inv.Verbs = []string{"explain"} // which explained has not found
	expr, err := line.Filter(inv)
	if err != nil {
		return nil, err
	}
	if expr.NeedsEvents() {
		return nil, inv.Usage("doctor judges connections, so words about events do not apply")
	}
	focus(r.config, expr, &inv.Options)
	return r, nil
}

// focus narrows the facts to what the filter, -4 and -6 let through.
func focus(c *gather.Config, expr *filter.Expr, o *grammar.Options) {
	c.Focus = expr.String()
	family := func(m *mptcp.Connection) bool { return o.Wants(m.Local.Addr()) }
	if expr != nil || o.IPv4 != o.IPv6 {
		c.Match = func(m *mptcp.Connection) bool { return family(m) && expr.Connection(m) }
		c.Listen = func(m *mptcp.Connection) bool { return family(m) && expr.Listener(m) }
	}
}

// gatherViews gathers the facts of all views.
func gatherViews(ctx context.Context, views []source.View, c *gather.Config) ([]doctor.Facts, error) {
	facts, err := gather.All(ctx, views, c)
	if err != nil {
		return nil, fmt.Errorf("doctor: %w", err)
	}
	return facts, nil
}
