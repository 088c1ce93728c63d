package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

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
	program := tea.NewProgram(safe{m}, tea.WithInput(in), tea.WithOutput(out),
		tea.WithFPS(framesPerSecond), tea.WithColorProfile(profile), tea.WithoutSignalHandler())
	defer endWith(ctx, program)()
	var pumping sync.WaitGroup
	pumping.Go(func() { p.run(ctx, func(f frame) { program.Send(f) }) })
	_, err := program.Run()
	cancel()
	pumping.Wait()
	if failure, ok := errors.AsType[*panicError](m.err); ok {
		return fmt.Errorf("%w\n%s", failure, failure.stack)
	}
	if m.err != nil {
		return m.err
	}
	return err
}

// endWith ends the program when ctx does: in good order, and by force where that
// takes long, as with a terminal that takes nothing and blocks. The function that
// it returns is to be called when the program has ended.
func endWith(ctx context.Context, program *tea.Program) (over func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		go program.Quit()
		select {
		case <-ended:
		case <-time.After(4 * parting):
			program.Kill()
		}
	})
	return func() { stop(); close(ended) }
}
