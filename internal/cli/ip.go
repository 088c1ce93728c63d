package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"mptcpctl/internal/compat"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// ipOption is a global option of ip(8). Options without an effect on MPTCP are
// taken and change nothing, as there.
type ipOption struct {
	name  string
	value bool
	set   func(o *grammar.Options, value string)
}

// ipOptions returns ip's options in the order that decides their abbreviations.
func ipOptions() []ipOption {
	ignore := func(*grammar.Options, string) {}
	return []ipOption{
		{"loops", true, ignore}, {"family", true, ignore},
		{"4", false, ignore}, {"6", false, ignore}, {"0", false, ignore}, {"M", false, ignore}, {"B", false, ignore},
		{"human-readable", false, ignore}, {"iec", false, ignore},
		{"statistics", false, ignore}, {"details", false, ignore}, {"resolve", false, ignore},
		{"oneline", false, func(o *grammar.Options, _ string) { o.OneLine = true }},
		{"timestamp", false, func(o *grammar.Options, _ string) { o.Timestamp = true }},
		{"tshort", false, func(o *grammar.Options, _ string) { o.TimestampShort = true }},
		{"Version", false, func(o *grammar.Options, _ string) { o.Version = true }},
		{"force", false, func(o *grammar.Options, _ string) { o.Force = true }},
		{"batch", true, func(o *grammar.Options, v string) { o.Batch = v }},
		{"brief", false, ignore},
		{"json", false, func(o *grammar.Options, _ string) { o.JSON = true }},
		{"rcvbuf", true, ignore},
		{"help", false, func(o *grammar.Options, _ string) { o.Help = true }},
		{"netns", true, func(o *grammar.Options, v string) { o.Netns = v }},
		{"Numeric", false, ignore}, {"all", false, ignore}, {"echo", false, ignore},
		{"pretty", false, func(o *grammar.Options, _ string) { o.Pretty = true }},
	}
}

// ipMPTCP behaves as `ip` does with the same arguments.
func (a *app) ipMPTCP(ctx context.Context, args []string) int {
	a.program, a.asIP = "ip", true
	entered := enteredNetns()
	var o grammar.Options
	args, err := ipFront(&o, args)
	switch {
	case err != nil:
		return a.reportIP(err)
	case o.Version:
		fmt.Fprintf(a.Stdout, "ip utility, iproute2-7.3.0 as spoken by mptcpctl %s\n", moduleVersion())
		return 0
	case o.Netns != entered:
		return a.reportIP(enterNetns(o.Netns))
	case o.Batch != "":
		return a.ipBatch(ctx, &o)
	case len(args) == 0 || o.Help:
		return a.reportIP(ipUsage())
	}
	return a.reportIP(a.ipObject(ctx, o, args))
}

// ipUsage ends ip with its usage text.
func ipUsage() error { return &argumentError{ipUsageText, exit.IPUsage} }

// ipMPTCPUsage ends `ip mptcp` with its usage text.
func ipMPTCPUsage() error { return &argumentError{ipMPTCPUsageText, exit.IPUsage} }

const ipUsageText = `Usage: ip [ OPTIONS ] mptcp { endpoint | limits | monitor | help } ...
       ip [ -force ] -batch FILE
where  OPTIONS := { -V[ersion] | -d[etails] | -j[son] | -p[retty] | -4 | -6 | -o[neline] |
                    -t[imestamp] | -ts[hort] | -b[atch] FILE | -n[etns] NAME | -c[olor] }
This is mptcpctl called as ip-mptcp: of ip's objects it has mptcp.`

const ipMPTCPUsageText = `Usage: ip mptcp endpoint add ADDRESS [ dev NAME ] [ id ID ] [ port NR ] [ FLAG-LIST ]
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

// ipFront reads ip's options.
func ipFront(o *grammar.Options, args []string) ([]string, error) {
	options := ipOptions()
	names := make([]string, len(options))
	for i := range options {
		names[i] = options[i].name
	}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		name := strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-")
		if ok, known := ipColor(o, name); ok {
			continue
		} else if known {
			return nil, ipUnknownOption(word)
		}
		i := grammar.Match(name, names)
		if i < 0 {
			return nil, ipUnknownOption(word)
		}
		value := ""
		if options[i].value {
			if len(args) == 0 {
				return nil, incompleteLine()
			}
			value, args = args[0], args[1:]
		}
		if options[i].name == "netns" && value == "" {
			return nil, exit.With(exit.IPUsage, &enterError{"", compat.CError(syscall.EINVAL)})
		}
		options[i].set(o, value)
	}
	return args, nil
}

func ipUnknownOption(word string) error {
	return &argumentError{fmt.Sprintf("Option %q is unknown, try \"ip -help\".", word), exit.IPUsage}
}

// ipColor takes -c, -color and their values.
func ipColor(o *grammar.Options, name string) (ok, known bool) {
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

// ipObject runs the command behind ip's options.
func (a *app) ipObject(ctx context.Context, o grammar.Options, args []string) error {
	switch {
	case grammar.Matches(args[0], "help"):
		return ipUsage()
	case len(args[0]) < 2 || !grammar.Matches(args[0], "mptcp"):
		return &argumentError{fmt.Sprintf("Object %q is unknown, try \"ip help\".", args[0]), exit.IPUnknownName}
	}
	args = args[1:]
	if len(args) == 0 || grammar.Matches(args[0], "help") {
		return ipMPTCPUsage()
	}
	inv := &grammar.Invocation{Program: a.program, Options: o, Stdin: a.Stdin, Stdout: a.Stdout, Stderr: a.Stderr}
	object, rest := args[0], args[1:]
	switch {
	case grammar.Matches(object, "endpoint"):
		return a.ipVerb(ctx, inv, a.endpointCommand(), rest)
	case grammar.Matches(object, "limits"):
		return a.ipVerb(ctx, inv, a.limitsCommand(), rest)
	case grammar.Matches(object, "monitor"):
		if len(rest) > 0 {
			return ipUnknownCommand(rest[0])
		}
		return a.ipMonitor(ctx, o)
	}
	return ipUnknownCommand(object)
}

func ipUnknownCommand(word string) error {
	return &argumentError{fmt.Sprintf("Command %q is unknown, try \"ip mptcp help\".", word), exit.IPUsage}
}

func (a *app) ipVerb(ctx context.Context, inv *grammar.Invocation, object grammar.Command, args []string) error {
	verb := object.Verb(object.Default)
	if len(args) > 0 {
		if verb = object.Verb(args[0]); verb == nil || verb.Name == "check" { // which is ours
			return ipUnknownCommand(args[0])
		}
		inv.Args = args[1:]
	}
	inv.Command, inv.Path = verb, object.Name+" "+verb.Name
	return verb.Run(ctx, inv)
}

// ipMonitor runs the monitor with ip's one array as its JSON.
func (a *app) ipMonitor(ctx context.Context, o grammar.Options) error {
	line := []string{"monitor"}
	if o.JSON {
		line = append(line, "--json-array")
	}
	if o.Color == grammar.ColorDefault {
		o.Color = grammar.ColorNever
	}
	inv, err := grammar.Parse(a.commands(), o, line)
	if err != nil {
		return err
	}
	inv.Program, inv.Stdin, inv.Stdout, inv.Stderr = a.program, a.Stdin, a.Stdout, a.Stderr
	err = inv.Command.Run(ctx, inv)
	if errors.Is(err, fs.ErrPermission) {
		return &argumentError{"can't subscribe to mptcp events: Operation not permitted", exit.IPUsage}
	}
	return err
}

// ipBatch runs a batch file. As in ip, a wrong argument ends it even with -force.
func (a *app) ipBatch(ctx context.Context, o *grammar.Options) int {
	lines, done, err := a.openBatch(o.Batch)
	if err != nil {
		return a.reportIP(exit.With(exit.Failed, err))
	}
	defer done()
	return a.batchLines(ctx, lines, o, func(words []string) (int, bool) {
		err := a.ipObject(ctx, *o, words)
		wrong, isWrong := errors.AsType[*argumentError](err)
		fatal := isWrong && wrong.code != exit.IPRefused && !strings.HasPrefix(wrong.text, "Object ")
		return a.reportIP(err), fatal
	})
}

// reportIP prints the error as ip does, and returns ip's exit code.
func (a *app) reportIP(err error) int {
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return 0
	}
	if wrong, ok := errors.AsType[*argumentError](err); ok {
		fmt.Fprintln(a.Stderr, wrong.text)
		return wrong.code
	}
	if refusal, ok := errors.AsType[*pathmanager.Error](err); ok {
		fmt.Fprintln(a.Stderr, ipRefusal(refusal))
		return exit.IPRefused
	}
	if errors.Is(err, mptcp.ErrNotSupported) {
		fmt.Fprintf(a.Stderr, "RTNETLINK answers: %s\nError talking to the kernel\n", compat.Strerror(syscall.ENOENT))
		return exit.Failed
	}
	if f, ok := errors.AsType[*exit.Failure](err); ok {
		fmt.Fprintln(a.Stderr, f.Err)
		return f.Code
	}
	fmt.Fprintln(a.Stderr, compat.CError(err))
	return exit.Failed
}

// ipRefusal returns the line that ip prints for the kernel's refusal.
func ipRefusal(e *pathmanager.Error) string {
	if e.Message != "" {
		return "Error: " + strings.TrimSuffix(e.Message, ".") + "."
	}
	return fmt.Sprint("RTNETLINK answers: ", compat.CError(e))
}
