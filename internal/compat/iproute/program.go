package iproute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
	"syscall"

	"mptcpctl/internal/compat"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// option is a global option of ip(8). Options without an effect on MPTCP are
// taken and change nothing, as there.
type option struct {
	name  string
	value bool
	set   func(o *grammar.Options, value string)
	check func(value string) error // nil: any value will do
}

// options returns ip's options in the order that decides their abbreviations.
func options() []option {
	ignore := func(*grammar.Options, string) {}
	return []option{
		{name: "loops", value: true, set: ignore}, {name: "family", value: true, set: ignore, check: checkFamily},
		{name: "4", set: ignore}, {name: "6", set: ignore}, {name: "0", set: ignore}, {name: "M", set: ignore},
		{name: "B", set: ignore}, {name: "human-readable", set: ignore}, {name: "iec", set: ignore},
		{name: "statistics", set: ignore}, {name: "details", set: ignore}, {name: "resolve", set: ignore},
		{name: "oneline", set: func(o *grammar.Options, _ string) { o.OneLine = true }},
		{name: "timestamp", set: func(o *grammar.Options, _ string) { o.Timestamp = true }},
		{name: "tshort", set: func(o *grammar.Options, _ string) { o.TimestampShort = true }},
		{name: "Version", set: func(o *grammar.Options, _ string) { o.Version = true }},
		{name: "force", set: func(o *grammar.Options, _ string) { o.Force = true }},
		{name: "batch", value: true, set: func(o *grammar.Options, v string) { o.Batch = v }},
		{name: "brief", set: ignore}, {name: "json", set: func(o *grammar.Options, _ string) { o.JSON = true }},
		{name: "rcvbuf", value: true, set: ignore, check: checkBuffer},
		{name: "help", set: func(o *grammar.Options, _ string) { o.Help = true }},
		{name: "netns", value: true, set: func(o *grammar.Options, v string) { o.Netns = v }, check: checkNetns},
		{name: "Numeric", set: ignore}, {name: "all", set: ignore}, {name: "echo", set: ignore},
		{name: "pretty", set: func(o *grammar.Options, _ string) { o.Pretty = true }},
	}
}

// checkFamily refuses what ip does not take behind -family.
func checkFamily(value string) error {
	switch value {
	case "inet", "inet6", "link", "mpls", "bridge":
		return nil
	case "help":
		return usage()
	}
	return wrongArgument("invalid protocol family", value)
}

// checkBuffer refuses what is no size for -rcvbuf.
func checkBuffer(value string) error {
	if _, ok := ParseUint(value, math.MaxUint32); !ok {
		return &ArgumentError{Text: fmt.Sprintf("Invalid rcvbuf size '%s'", value), Code: exit.IPUsage}
	}
	return nil
}

func checkNetns(value string) error {
	if value == "" {
		return exit.With(
			exit.IPUsage,
			fmt.Errorf("setting the network namespace %q failed: %w", "", compat.CError(syscall.EINVAL)),
		)
	}
	return nil
}

// Program is ip, as far as it has the object mptcp.
type Program struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Version        string                   // of this program
	Commands       func() []grammar.Entry   // among them endpoint, limits and monitor, with ip's answers
	Entered        string                   // the network namespace that the process was started again in
	Enter          func(netns string) error // starts it again in another
}

// Run behaves as `ip` does with the same arguments, and returns its exit code.
func (p *Program) Run(ctx context.Context, args []string) int {
	var o grammar.Options
	args, err := front(&o, args)
	switch {
	case err != nil:
		return p.report(err)
	case o.Version:
		fmt.Fprintf(p.Stdout, "ip utility, iproute2-7.3.0 as spoken by mptcpctl %s\n", p.Version)
		return 0
	case o.Netns != p.Entered:
		return p.report(p.Enter(o.Netns))
	case o.Batch != "":
		return p.batch(ctx, &o)
	case len(args) == 0 || o.Help:
		return p.report(usage())
	}
	return p.report(p.object(ctx, o, args))
}

// usage ends ip with its usage text.
func usage() error { return &ArgumentError{Text: usageText, Code: exit.IPUsage} }

// mptcpUsage ends `ip mptcp` with its usage text.
func mptcpUsage() error { return &ArgumentError{Text: mptcpUsageText, Code: exit.IPUsage} }

const usageText = `Usage: ip [ OPTIONS ] mptcp { endpoint | limits | monitor | help } ...
       ip [ -force ] -batch FILE
where  OPTIONS := { -V[ersion] | -d[etails] | -j[son] | -p[retty] | -4 | -6 | -o[neline] |
                    -t[imestamp] | -ts[hort] | -b[atch] FILE | -n[etns] NAME | -c[olor] }
This is mptcpctl called as ip-mptcp: of ip's objects it has mptcp.`

const mptcpUsageText = `Usage: ip mptcp endpoint add ADDRESS [ dev NAME ] [ id ID ] [ port NR ] [ FLAG-LIST ]
       ip mptcp endpoint delete id ID [ ADDRESS ]
       ip mptcp endpoint change [ id ID ] [ ADDRESS ] [ port NR ] CHANGE-OPT
       ip mptcp endpoint show [ id ID ]
       ip mptcp endpoint flush
       ip mptcp limits set [ subflows NR ] [ add_addr_accepted NR ]
       ip mptcp limits show
       ip mptcp monitor
FLAG-LIST := [ FLAG-LIST ] FLAG
FLAG := [ signal | subflow | laminar | backup | fullmesh ]
CHANGE-OPT := [ backup | nobackup | fullmesh | nofullmesh ]`

// front reads ip's options.
func front(o *grammar.Options, args []string) ([]string, error) {
	known := options()
	names := make([]string, len(known))
	for i := range known {
		names[i] = known[i].name
	}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		name := strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-")
		if ok, isColor := color(o, name); ok {
			continue
		} else if isColor {
			return nil, unknownOption(word)
		}
		i := grammar.Match(name, names)
		if i < 0 {
			return nil, unknownOption(word)
		}
		value := ""
		if known[i].value {
			if len(args) == 0 {
				return nil, incompleteLine()
			}
			value, args = args[0], args[1:]
		}
		if check := known[i].check; check != nil {
			if err := check(value); err != nil {
				return nil, err
			}
		}
		known[i].set(o, value)
	}
	return args, nil
}

func unknownOption(word string) error {
	return &ArgumentError{Text: fmt.Sprintf("Option %q is unknown, try \"ip -help\".", word), Code: exit.IPUsage}
}

// color takes -c, -color and their values.
func color(o *grammar.Options, name string) (ok, known bool) {
	name, value, attached := strings.Cut(name, "=")
	if !grammar.Matches(name, "color") {
		return false, false
	}
	switch {
	case !attached || value == "always":
		o.Color = grammar.ColorAlways
	case value == "auto":
		o.Color = grammar.ColorAuto
	case value == "never":
		o.Color = grammar.ColorNever
	default:
		return false, true
	}
	return true, true
}

// object runs the command behind ip's options.
func (p *Program) object(ctx context.Context, o grammar.Options, args []string) error {
	switch {
	case grammar.Matches(args[0], "help"):
		return usage()
	case len(args[0]) < 2 || !grammar.Matches(args[0], "mptcp"):
		return &ArgumentError{
			Text: fmt.Sprintf("Object %q is unknown, try \"ip help\".", args[0]),
			Code: exit.IPUnknownName,
		}
	}
	args = args[1:]
	if len(args) == 0 || grammar.Matches(args[0], "help") {
		return mptcpUsage()
	}
	inv := &grammar.Invocation{Program: "ip", Options: o, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr}
	object, rest := args[0], args[1:]
	switch {
	case grammar.Matches(object, "endpoint"):
		return p.verb(ctx, inv, "endpoint", rest)
	case grammar.Matches(object, "limits"):
		return p.verb(ctx, inv, "limits", rest)
	case grammar.Matches(object, "monitor"):
		if len(rest) > 0 {
			return unknownCommand(rest[0])
		}
		return p.monitor(ctx, o)
	}
	return unknownCommand(object)
}

func unknownCommand(word string) error {
	return &ArgumentError{Text: fmt.Sprintf("Command %q is unknown, try \"ip mptcp help\".", word), Code: exit.IPUsage}
}

// verb runs a verb of an object.
func (p *Program) verb(ctx context.Context, inv *grammar.Invocation, name string, args []string) error {
	entry, _ := grammar.Find(p.Commands(), name)
	object := entry.Build()
	verb := object.Verb(object.Default)
	if len(args) > 0 {
		if verb = object.Verb(args[0]); verb == nil || verb.Name == "check" { // which is ours
			return unknownCommand(args[0])
		}
		inv.Args = args[1:]
	}
	inv.Command, inv.Path = verb, object.Name+" "+verb.Name
	return verb.Run(ctx, inv)
}

// monitor runs the monitor with ip's one array as its JSON.
func (p *Program) monitor(ctx context.Context, o grammar.Options) error {
	line := []string{"monitor"}
	if o.JSON {
		line = append(line, "--json-array")
	}
	if o.Color == grammar.ColorDefault {
		o.Color = grammar.ColorNever
	}
	inv, err := grammar.Parse(p.Commands(), o, line)
	if err != nil {
		return err
	}
	inv.Program, inv.Stdin, inv.Stdout, inv.Stderr = "ip", p.Stdin, p.Stdout, p.Stderr
	err = inv.Command.Run(ctx, inv)
	if errors.Is(err, fs.ErrPermission) {
		return &ArgumentError{Text: "can't subscribe to mptcp events: Operation not permitted", Code: exit.IPUsage}
	}
	return err
}

// batch runs a batch file. As in ip, a wrong argument ends it even with -force.
func (p *Program) batch(ctx context.Context, o *grammar.Options) int {
	batch := &Batch{Name: o.Batch, Force: o.Force, Stdin: p.Stdin, Stderr: p.Stderr, Report: func(err error) int {
		fmt.Fprintf(p.Stderr, "ip: %v\n", err)
		return exit.Failed
	}}
	lines, done, err := batch.Open()
	if err != nil {
		return p.report(exit.With(exit.Failed, err))
	}
	defer done()
	return batch.Run(ctx, lines, func(words []string) (int, bool) {
		err := p.object(ctx, *o, words)
		wrong, isWrong := errors.AsType[*ArgumentError](err)
		fatal := isWrong && wrong.Code != exit.IPRefused && !strings.HasPrefix(wrong.Text, "Object ")
		return p.report(err), fatal
	})
}

// report prints the error as ip does, and returns ip's exit code.
func (p *Program) report(err error) int {
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return 0
	}
	if wrong, ok := errors.AsType[*ArgumentError](err); ok {
		fmt.Fprintln(p.Stderr, wrong.Text)
		return wrong.Code
	}
	if refusal, ok := errors.AsType[*pathmanager.Error](err); ok {
		fmt.Fprintln(p.Stderr, refusalLine(refusal))
		return exit.IPRefused
	}
	if errors.Is(err, mptcp.ErrNotSupported) {
		fmt.Fprintf(p.Stderr, "RTNETLINK answers: %s\nError talking to the kernel\n", compat.Strerror(syscall.ENOENT))
		return exit.Failed
	}
	if f, ok := errors.AsType[*exit.Failure](err); ok {
		fmt.Fprintln(p.Stderr, f.Err)
		return f.Code
	}
	fmt.Fprintln(p.Stderr, compat.CError(err))
	return exit.Failed
}

// refusalLine returns the line that ip prints for the kernel's refusal.
func refusalLine(e *pathmanager.Error) string {
	if e.Message != "" {
		return "Error: " + strings.TrimSuffix(e.Message, ".") + "."
	}
	return fmt.Sprint("RTNETLINK answers: ", compat.CError(e))
}
