package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"slices"
	"strings"

	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/compat/pmnlctl"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/force"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/process"
)

// Streams are a process' standard streams.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// app is one run of the program.
type app struct {
	Streams
	faces   Faces
	program string // as error messages name it
	asIP    bool   // called as ip-mptcp: exactly iproute2's answers

	batchFile string // of the batch that the command lines are of; "": none

	interruptIgnored bool // SIGINT was ignored when the program started: `run` hands that on

	dial func() (pathManager, error) // opens the path manager
	pm   pathManager                 // once opened
}

// Main runs the command line and returns the exit code. args[0] is the name that
// the program was called by: as ip-mptcp and as pm_nl_ctl it is those. For a face that
// it is not given, the program becomes the whole one.
func Main(args []string, s Streams, faces Faces) int {
	if force.IsStub(args) {
		return force.Stub()
	}
	s.Stdout = process.Output(s.Stdout)
	a := &app{
		Streams:          s,
		faces:            faces,
		program:          "mptcpctl",
		interruptIgnored: signal.Ignored(os.Interrupt),
		dial:             dialPathManager,
	}
	ctx, end := withSignals(context.Background())
	defer end()
	defer a.close()
	name := a.program
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch path.Base(name) {
	case "ip-mptcp":
		a.program, a.asIP = "ip", true
		ip := &iproute.Program{
			Stdin: a.Stdin, Stdout: a.Stdout, Stderr: a.Stderr,
			Version: moduleVersion(), Commands: a.commands, Entered: enteredNetns(), Enter: enterNetns,
		}
		return ip.Run(ctx, args)
	case "pm_nl_ctl":
		helper := &pmnlctl.Program{
			Name: name, Stdout: a.Stdout, Stderr: a.Stderr,
			PathManager: func() (pmnlctl.PathManager, error) { return a.pathManager() },
		}
		if len(args) > 0 && (args[0] == "events" || args[0] == "listen") {
			catchSignals(ctx) // the others end at once
		}
		return helper.Run(ctx, args)
	}
	return a.main(ctx, args)
}

// main runs a command line in mptcpctl's own grammar.
func (a *app) main(ctx context.Context, args []string) int {
	var o grammar.Options
	entered := enteredNetns()
	rest, err := o.Front(args)
	if err != nil {
		return a.report(nil, err)
	}
	switch {
	case o.Version:
		return a.report(nil, writeVersion(a.Stdout, &o))
	case o.Batch != "":
		if o.Netns != entered {
			return a.report(nil, enterNetns(o.Netns))
		}
		return a.batch(ctx, o, len(rest))
	case len(rest) == 0 && o.Help:
		return a.report(nil, grammar.WriteOverview(a.Stdout, a.program, a.commands()))
	case len(rest) == 0:
		_ = grammar.WriteOverview(a.Stderr, a.program, a.commands())
		return exit.Usage
	}
	return a.command(ctx, o, rest, entered)
}

// command runs one command line behind the options in front of it.
func (a *app) command(ctx context.Context, o grammar.Options, args []string, entered string) int {
	inv, err := grammar.Parse(a.commands(), o, args)
	if err != nil {
		return a.report(inv, err)
	}
	inv.Program, inv.Stdin, inv.Stdout, inv.Stderr = a.program, a.Stdin, a.Stdout, a.Stderr
	switch {
	case inv.Options.Help:
		return a.report(inv, inv.Command.WriteHelp(a.Stdout, a.program, inv.Path))
	case inv.Options.Version:
		return a.report(inv, writeVersion(a.Stdout, &inv.Options))
	case inv.Options.Batch != o.Batch:
		return a.report(inv, inv.Usage("-batch stands in front of the commands"))
	}
	if err := checkSource(inv); err != nil {
		return a.report(inv, err)
	}
	past := asksForPast(inv)
	if a.faces.lack(inv.Path) || past && a.faces.At == nil {
		return a.report(inv, a.becomeWhole(inv))
	}
	if past {
		return a.report(inv, a.faces.At(ctx, inv))
	}
	if inv.Options.Netns != entered {
		return a.report(inv, enterNetns(inv.Options.Netns))
	}
	if !inv.Command.IPRoute && !inv.Command.Quick {
		catchSignals(ctx)
	}
	return a.report(inv, inv.Command.Run(ctx, inv))
}

// asksForPast reports whether the command is to be answered from the history.
func asksForPast(inv *grammar.Invocation) bool {
	switch {
	case inv.Options.Replay != "" || strings.HasPrefix(inv.Path, "history"):
		return false
	case inv.Path == "doctor" && (slices.Contains(inv.Args, "since") || slices.Contains(inv.Args, "until")):
		return true
	}
	return inv.Options.At != ""
}

// warn tells of a trap that the command line runs into.
func (a *app) warn(format string, args ...any) {
	fmt.Fprintf(a.Stderr, a.program+": warning: "+format+"\n", args...)
}

// close lets go of what the commands shared.
func (a *app) close() {
	if a.pm != nil {
		a.pm.Close() // a socket without unwritten data: nothing is lost
	}
}
