package runner

import (
	"context"
	"errors"
	"fmt"
	"io"

	"mptcpctl/internal/exit"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/present"
)

// Runner runs networks and scenarios of the lab with the commands of a program, and shows
// what happens as the terminals would.
type Runner struct {
	Program     []string // the command that starts mptcpctl
	Stdin       io.Reader
	Out, Stderr io.Writer
	Colors      present.Palette
}

func (r *Runner) narrator() *narrator { return &narrator{out: r.Out, colors: r.Colors} }

// enter makes sure that namespaces can be made and that the kernel has MPTCP.
// Where the program had to start again as root of a user namespace, that run has
// done everything, and its exit code is the error.
func enter() error {
	code, ran, err := lab.Enter()
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if ran {
		return exit.Status(code)
	}
	ns, err := lab.NewNamespace()
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	defer ns.Close()
	if err := ns.Do(lab.CheckMPTCP); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

// Demo runs Red Hat's procedure, step by step, and shows what it promises beside what was
// seen.
func (r *Runner) Demo(ctx context.Context) error {
	if err := enter(); err != nil {
		return err
	}
	tell := r.narrator()
	tell.title("MPTCP on this machine's kernel: Red Hat's procedure for monitoring subflows")
	report, err := procedure.Run(ctx, tell, r.Program)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return fmt.Errorf("lab: %w", err)
	}
	tell.title("What the procedure promises, and what happened")
	if err := report.WriteTable(r.Out); err != nil {
		return err
	}
	if !report.OK() {
		return errors.New("lab: the procedure did not keep all promises")
	}
	_, err = fmt.Fprintf(r.Out, "\nAll as promised, in %.1f s.\n", report.Took.Seconds())
	return err
}
