package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/process"
	"mptcpctl/internal/tui"
	"mptcpctl/pathmanager"
)

func (a *app) topCommand() grammar.Command {
	return grammar.Command{
		Name:      "top",
		Summary:   "show a live terminal view of connections, events, endpoints and findings",
		Synopsis:  []string{"[ --screen NAME ] [ --plain [ --interval TIME ] [ --count NUMBER ] ] [ --allow-changes ] [ FILTER ]"},
		Help:      topHelp,
		Privilege: "none; CAP_NET_ADMIN in the network namespace for events and changes; only root sees the processes of other users",
		Operand:   grammar.Filter,
		Flags: []grammar.Flag{
			{Name: "screen", Value: grammar.Word, Metavar: "NAME", Choices: []string{"overview", "connections", "connection", "events", "endpoints", "doctor"}, Summary: "begin with overview, connections, connection, events, endpoints or doctor"},
			{Name: "plain", Summary: "print lines, without moving the cursor"},
			{Name: "interval", Value: grammar.Duration, Metavar: "TIME", Summary: "the time between two outputs of --plain in a pipe (default 1s)"},
			{Name: "count", Value: grammar.Number, Metavar: "NUMBER", Summary: "how many times --plain prints (default: until interrupted)"},
			{Name: "allow-changes", Summary: "allow changing endpoints and limits from the view"},
		},
		Examples: []grammar.Example{
			{Line: "top", Meaning: "all connections of this network namespace"},
			{Line: "top --screen connections dst :443", Meaning: "connections to port 443"},
			{Line: "top --plain --count 1", Meaning: "the overview once, as lines"},
			{Line: "--replay night.mptcp top", Meaning: "a recording"},
		},
		Run: a.top,
	}
}

func (a *app) top(ctx context.Context, inv *grammar.Invocation) error {
	if err := noJSON(inv, "-j connection, -j endpoint, -j limits, -j doctor and -j monitor have what it shows"); err != nil {
		return err
	}
	config, err := a.topConfig(inv)
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
func (a *app) topConfig(inv *grammar.Invocation) (*tui.Config, error) {
	expr, err := parseFilter(inv)
	if err != nil {
		return nil, err
	}
	c := &tui.Config{
		Filter: expr, Output: inv.Stdout, Input: inv.Stdin,
		Color: palette(inv).Reset != "", ASCII: asciiOnly(), Plain: inv.Has("plain"),
	}
	if value, ok := inv.Value("screen"); ok {
		screen, ok := tui.ParseScreen(value)
		if !ok {
			return nil, inv.Usage(fmt.Sprintf("--screen %q: want overview, connections, connection, events, endpoints or doctor", value))
		}
		c.Screen = screen
	}
	if value, ok := inv.Value("interval"); ok {
		span, err := parseSpan(value)
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
			return nil, inv.Usage("--allow-changes works in one network namespace of this host: it excludes --replay and -a")
		}
		c.Changes = a.topChange
	}
	return c, nil
}

// isTerminalInput reports whether somebody may type.
func isTerminalInput(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && isTerminal(f)
}

// topChange reads a change of endpoints or limits in the grammar of the commands
// that make it.
func (a *app) topChange(words []string) (tui.Change, error) {
	pm, err := a.pathManager()
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
