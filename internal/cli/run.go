package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"mptcpctl/internal/exit"
	"mptcpctl/internal/force"
	"mptcpctl/internal/grammar"
	"mptcpctl/sockdiag"
)

func (a *app) runCommand() grammar.Command {
	return grammar.Command{
		Name:    "run",
		Summary: "run any program with MPTCP sockets instead of TCP sockets",
		Synopsis: []string{
			"[ -v ] [ -- ] PROGRAM [ ARGUMENT... ]", "--service UNIT [ -y ] [ --undo ] [ --directory DIR ]",
		},
		Help:      runHelp + "\n" + strings.ReplaceAll(force.Limits, "\n  - ", "\n\n- "),
		Privilege: "none; --service: write access to the units",
		Flags: []grammar.Flag{
			{Name: "verbose", Letter: 'v', Summary: "report at the end what happened to each socket"},
			{
				Name:    "service",
				Value:   grammar.Name,
				Metavar: "UNIT",
				Summary: "change a systemd unit instead: NAME.service or NAME.socket",
			},
			{Name: "undo", Summary: "with --service: undo the change"},
			yesFlag("with --service: do not ask for confirmation"),
			{
				Name:    "directory",
				Value:   grammar.File,
				Metavar: "DIR",
				Summary: "with --service: the folder of the units (" + force.SystemdRoot + ")",
			},
		},
		Operand:  grammar.Program,
		Verbatim: true,
		Trouble:  exit.RunFailed,
		Examples: []grammar.Example{
			{Line: "run curl https://example.org/", Meaning: "curl over MPTCP"},
			{Line: "run -v -- python3 client.py -v", Meaning: "with a report about its sockets"},
			{Line: "run --service nginx.service", Meaning: "a service that does not support MPTCP itself"},
		},
		Run: a.run,
	}
}

func (a *app) run(ctx context.Context, inv *grammar.Invocation) error {
	unit, service := inv.Value("service")
	switch {
	case service:
		return ofService(a.runService(ctx, inv, unit))
	case inv.Has("undo") || inv.Has("yes") || inv.Has("directory"):
		return inv.Usage("--undo, --yes and --directory need --service")
	case len(inv.Args) == 0:
		return inv.Usage("the program is missing")
	}
	return a.runProgram(ctx, inv)
}

// runProgram becomes the program, or with -v stays in front of it.
func (a *app) runProgram(ctx context.Context, inv *grammar.Invocation) error {
	// The program gets its signals as we got ours. They are its own: a Ctrl-C ends
	// it if it likes, and then us.
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	if a.interruptIgnored {
		signal.Ignore(os.Interrupt)
	}
	c := &force.Config{Argv: inv.Args, Name: a.program + ": run", Verbose: inv.Has("verbose"), Report: inv.Stderr}
	c.Stdin, _ = inv.Stdin.(*os.File)
	c.Stdout, _ = inv.Stdout.(*os.File)
	c.Stderr, _ = inv.Stderr.(*os.File)
	if c.Verbose {
		diag, err := sockdiag.Dial(nil)
		if err == nil {
			defer diag.Close()
			c.Lookup = force.NewFates(diag).Look
		} else {
			a.warn("the report cannot say what happened to the sockets: %v", err)
		}
	}
	code, err := force.Run(context.WithoutCancel(ctx), c)
	if err != nil {
		return exit.With(code, fmt.Errorf("run: %w", err))
	}
	return exit.Status(code)
}
