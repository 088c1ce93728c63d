package whole

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/process"
	"mptcpctl/internal/tui"
	"mptcpctl/pathmanager"
)

// Top shows the terminal view. Changes are made through the path manager that dial opens;
// who does so closes it.
func Top(ctx context.Context, inv *grammar.Invocation, dial func() (line.PathManager, error)) error {
	const instead = "-j connection, -j endpoint, -j limits, -j doctor and -j monitor have what it shows"
	if err := line.NoJSON(inv, instead); err != nil {
		return err
	}
	config, err := topConfig(inv, dial)
	if err != nil {
		return err
	}
	from, err := topSource(ctx, inv, config)
	if err != nil {
		return fmt.Errorf("top: %w", err)
	}
	defer from.Close()
	ctx, done := process.WhileRead(ctx, inv.Stdout)
	defer done()
	err = tui.Run(ctx, config)
	switch {
	case errors.Is(err, tui.ErrNotTerminal):
		return errors.New("top: input and output must be a terminal; --plain prints lines instead")
	case err != nil:
		return fmt.Errorf("top: %w", err)
	}
	return nil
}

// topConfig returns what the command line asks for.
func topConfig(inv *grammar.Invocation, dial func() (line.PathManager, error)) (*tui.Config, error) {
	expr, err := line.Filter(inv)
	if err != nil {
		return nil, err
	}
	c := &tui.Config{
		Filter: expr, Output: inv.Stdout, Input: inv.Stdin,
		Color: line.Palette(inv).Reset != "", ASCII: line.ASCIIOnly(), Plain: inv.Has("plain"),
	}
	if value, ok := inv.Value("screen"); ok {
		screen, ok := tui.ParseScreen(value)
		if !ok {
			return nil, inv.Usage(
				fmt.Sprintf("--screen %q: want overview, connections, connection, events, endpoints or doctor", value),
			)
		}
		c.Screen = screen
	}
	if value, ok := inv.Value("interval"); ok {
		span, err := line.Span(value)
		if err != nil || span < 100*time.Millisecond {
			return nil, inv.Usage(fmt.Sprintf("--interval %q: want a time such as 5s, at least 100ms", value))
		}
		c.Interval = span
	}
	if c.Count, err = inv.Int("count", 1, 1<<30, 0); err != nil {
		return nil, err
	}
	if c.Plain && (c.Count > 0 || c.Interval > 0 || !isTerminalInput(inv.Stdin)) {
		c.Input = nil
	}
	if inv.Has("allow-changes") {
		if inv.Options.Replay != "" || inv.Options.AllNetns {
			return nil, inv.Usage(
				"--allow-changes works in one network namespace of this host: it excludes --replay and -a",
			)
		}
		c.Changes = func(words []string) (tui.Change, error) { return topChange(words, dial) }
	}
	return c, nil
}

// isTerminalInput reports whether somebody may type.
func isTerminalInput(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && line.IsTerminal(f)
}

// topChange reads a change of endpoints or limits in the grammar of the commands
// that make it.
func topChange(words []string, dial func() (line.PathManager, error)) (tui.Change, error) {
	pm, err := dial()
	if err != nil {
		return tui.Change{}, err
	}
	change := tui.Change{Text: strings.Join(words, " ")}
	if len(words) < 2 {
		return tui.Change{}, errors.New("want a change: endpoint add, endpoint delete or limits set")
	}
	switch words[0] + " " + words[1] {
	case "endpoint add":
		request, err := iproute.ParseEndpoint(iproute.Add, words[2:])
		if err != nil {
			return tui.Change{}, err
		}
		change.Make = func(ctx context.Context) error { return pm.AddEndpoint(ctx, request.Endpoint()) }
	case "endpoint delete":
		request, err := iproute.ParseEndpoint(iproute.Delete, words[2:])
		if err != nil {
			return tui.Change{}, err
		}
		change.Make = func(ctx context.Context) error { return pm.RemoveEndpoint(ctx, request.ID) }
	case "limits set":
		update, err := iproute.ParseLimits(words[2:])
		if err != nil {
			return tui.Change{}, err
		}
		if update == (pathmanager.LimitsUpdate{}) {
			return tui.Change{}, errors.New("a limit is missing: subflows NUMBER, add_addr_accepted NUMBER")
		}
		change.Make = func(ctx context.Context) error { return pm.SetLimits(ctx, update) }
	default:
		return tui.Change{}, fmt.Errorf("%s is not available here", change.Text)
	}
	return change, nil
}
