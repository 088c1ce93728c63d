package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"mptcpctl/internal/exit"
	"mptcpctl/internal/force"
	"mptcpctl/internal/grammar"
)

// runService writes the drop-in that gives a unit MPTCP, or removes it.
func (a *app) runService(ctx context.Context, inv *grammar.Invocation, unit string) error {
	if len(inv.Args) > 0 || inv.Has("verbose") {
		return inv.Usage("--service takes no program: the unit says what it starts")
	}
	root, ok := inv.Value("directory")
	if !ok {
		root = force.SystemdRoot
	}
	if inv.Has("undo") {
		return a.undoService(ctx, inv, root, unit)
	}
	dropIn, err := serviceDropIn(ctx, root, unit)
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
		back += " --directory " + shellWord(root)
	}
	fmt.Fprintf(inv.Stdout, "Written. It holds after: %s\nBack: %s\n", restart(root, unit), back)
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
	fmt.Fprintf(inv.Stdout, "Removed. It holds after: %s\n", restart(root, unit))
	return nil
}

// systemctl returns the command that speaks to the manager of the units in a
// directory: those below systemd/user, as ~/.config/systemd/user, are users' own.
func systemctl(root string) []string {
	if path := filepath.Clean(root); strings.HasSuffix(path, "systemd/user") {
		return []string{"systemctl", "--user"}
	}
	return []string{"systemctl"}
}

// restart is the command line after which a change of the unit holds.
func restart(root, unit string) string {
	manager := strings.Join(systemctl(root), " ")
	return fmt.Sprintf("%s daemon-reload && %s restart %s", manager, manager, shellWord(unit))
}

// serviceDropIn works the drop-in out, from what systemd says of the unit.
func serviceDropIn(ctx context.Context, root, unit string) (force.DropIn, error) {
	self, err := os.Executable()
	if err != nil {
		return force.DropIn{}, err
	}
	if !strings.HasSuffix(unit, ".service") {
		return force.ServiceDropIn(unit, self, "") // a socket, or what can have none
	}
	cat := append(systemctl(root), "cat", "--no-pager", "--", unit)
	cmd := exec.CommandContext(ctx, cat[0], cat[1:]...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	definition, err := cmd.Output()
	if err != nil {
		return force.DropIn{}, fmt.Errorf("unit %q: systemctl cat: %w: %s", unit, err, strings.TrimSpace(stderr.String()))
	}
	return force.ServiceDropIn(unit, self, string(definition))
}

// indented sets a file's text off from what is said about it.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("    " + line)
	}
	return b.String()
}
