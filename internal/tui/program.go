package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// framesPerSecond is how often the screen is drawn at most.
const framesPerSecond = 10

// Run shows the view until the user quits or ctx ends, and returns nil then. On a
// terminal it leaves everything as it was, however it ends: the screen, the
// cursor, and the settings of the line. It returns [ErrNotTerminal] where there is
// none and Config.Plain is not set, and the error of the tracker where the kernel
// cannot be read.
func Run(ctx context.Context, c *Config) error {
	if c.Plain {
		return runPlain(ctx, c)
	}
	in, ok := c.Input.(*os.File)
	out, ok2 := c.Output.(*os.File)
	if !ok || !ok2 || !isTerminal(in) || !isTerminal(out) {
		return ErrNotTerminal
	}
	// A terminal that goes away, and the key for a core dump, end the view as any
	// other signal does.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGQUIT)
	defer stop()
	restore, err := saveTerminal(in)
	if err != nil {
		return err
	}
	defer restore()
	screen := newLine(ctx, out)
	defer screen.close()
	return show(ctx, c, in, screen)
}

// show runs the model on the terminal.
func show(ctx context.Context, c *Config, in *os.File, out *line) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := newPump(c)
	m := newModel(ctx, c, p.tracker.Look)
	profile := colorprofile.ANSI
	if !c.Color {
		profile = colorprofile.NoTTY
	}
	program := tea.NewProgram(safe{m}, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out),
		tea.WithFPS(framesPerSecond), tea.WithColorProfile(profile), tea.WithoutSignalHandler())
	var pumping sync.WaitGroup
	pumping.Go(func() { p.run(ctx, func(f frame) { program.Send(f) }) })
	_, err := program.Run()
	stopped := ctx.Err() != nil
	cancel()
	pumping.Wait()
	if failure, ok := errors.AsType[*panicError](m.err); ok {
		return fmt.Errorf("%w\n%s", failure, failure.stack)
	}
	switch {
	case m.err != nil:
		return m.err
	case stopped && errors.Is(err, tea.ErrProgramKilled):
		return nil
	}
	return err
}
