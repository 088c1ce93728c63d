package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"mptcpctl/internal/exit"
	"mptcpctl/internal/force"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/shell"
)

// runService writes the drop-in that gives a unit MPTCP, or removes it.
func (a *app) runService(ctx context.Context, inv *grammar.Invocation, unit string) error {
	if len(inv.Args) > 0 || inv.Has("verbose") {
		return inv.Usage("--service takes no program: the unit defines what it starts")
	}
	root, ok := inv.Value("directory")
	if !ok {
		root = force.SystemdRoot
	}
	if inv.Has("undo") {
		return a.undoService(ctx, inv, root, unit)
	}
	dropIn, err := force.DropInOf(ctx, root, unit)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	path := filepath.Join(root, dropIn.Path)
	fmt.Fprintf(inv.Stdout, "%s:\n\n%s\n", path, indented(dropIn.Text))
	if err := confirm(ctx, inv, "Write this file?"); err != nil {
		return err
	}
	if err := dropIn.Apply(root); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	back := fmt.Sprintf("%s run --service %s --undo", a.program, unit)
	if ok {
		back += " --directory " + shell.Word(root)
	}
	fmt.Fprintf(inv.Stdout, "Written. It takes effect after: %s\nTo undo: %s\n", restart(root, unit), back)
	return nil
}

// ofService gives what fails without a program the exit codes of other commands.
func ofService(err error) error {
	if _, usage := errors.AsType[*grammar.UsageError](err); usage {
		return exit.With(exit.Usage, err)
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return exit.With(exit.Failed, err)
}

// undoService removes the drop-in.
func (a *app) undoService(ctx context.Context, inv *grammar.Invocation, root, unit string) error {
	if err := confirm(ctx, inv, "Remove what gives "+unit+" MPTCP?"); err != nil {
		return err
	}
	err := force.UndoDropIn(root, unit)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("run: %s has no drop-in of %s: %w", unit, a.program, fs.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	fmt.Fprintf(inv.Stdout, "Removed. It takes effect after: %s\n", restart(root, unit))
	return nil
}

// restart is the command line after which a change of the unit holds.
func restart(root, unit string) string {
	manager := strings.Join(force.Systemctl(root), " ")
	return fmt.Sprintf("%s daemon-reload && %s restart %s", manager, manager, shell.Word(unit))
}

// indented sets a file's text off from what is said about it.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + line)
	}
	return b.String()
}
