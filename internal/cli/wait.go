package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/gather"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"
)

func (a *app) waitCommand() grammar.Command {
	return grammar.Command{
		Name:      "wait",
		Summary:   "return when a connection matches a filter",
		Synopsis:  []string{"FILTER [ timeout TIME ]"},
		Help:      waitHelp,
		Privilege: "none; with CAP_NET_ADMIN it checks at each event, without it every 50 ms",
		Keywords:  []grammar.Keyword{{Name: "timeout", Value: grammar.Duration, Summary: "how long to wait"}},
		Operand:   grammar.Filter,
		Examples: []grammar.Example{
			{Line: "wait 'dst :443 and subflows >= 2' timeout 5s", Meaning: "wait for a second subflow"},
			{
				Line:    "wait 'event SF_CLOSED,SF_FAILED and dst 192.0.2.1' timeout 5s",
				Meaning: "wait until a subflow to that peer ends or does not come up",
			},
			{
				Line:    "-a wait 'netns blue and subflows >= 2' timeout 5s",
				Meaning: "in another network namespace, which may not exist yet",
			},
			{Line: "wait fallback timeout 1m", Meaning: "wait for a connection that falls back to TCP"},
		},
		Run: a.wait,
	}
}

// waitPause is how long wait leaves the kernel alone when events do not wake it.
const waitPause = 50 * time.Millisecond

func (a *app) wait(ctx context.Context, inv *grammar.Invocation) error {
	expr, timeout, err := waitArguments(inv)
	if err != nil {
		return err
	}
	if expr.NeedsEvents() {
		return waitEvent(ctx, inv, expr, timeout)
	}
	if inv.Options.Replay != "" {
		return waitRecorded(ctx, inv, expr)
	}
	from, err := line.Open(ctx, inv)
	if err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	defer from.Close()
	parent := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	woken := wakeups(ctx, inv.Options.AllNetns)
	for {
		snapshots, err := from.Snapshots(parent)
		if _, some := errors.AsType[*track.Unread](err); err != nil && !some { // what is left out was told
			return fmt.Errorf("wait: %w", err)
		}
		connections, err := lookIn(parent, inv, from.Views()[0], expr, snapshots...)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(connections, matching(expr)); i >= 0 {
			return writeFound(parent, inv, from.Views()[0], connections[i])
		}
		if ctx.Err() != nil {
			if parent.Err() != nil {
				return parent.Err()
			}
			return fmt.Errorf(
				"wait: no connection matched %q within %v: %s%s%s", expr.String(), timeout, nearest(connections),
				doctorReason(parent, from, connections), hiddenSubflows(parent, from, connections),
			)
		}
		select {
		case <-ctx.Done():
		case <-woken:
		case <-time.After(waitPause):
		}
	}
}

// waitRecorded looks for a matching connection in the snapshots of a recording, from
// the first to the last: it waits for nothing.
func waitRecorded(ctx context.Context, inv *grammar.Invocation, expr *filter.Expr) error {
	recording, err := line.Recording(inv)
	if err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	var connections []mptcp.Connection
	for _, view := range recording.States() {
		snapshot, err := view.Snapshot(ctx)
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		if connections, err = lookIn(ctx, inv, view, expr, snapshot); err != nil {
			return err
		}
		if i := slices.IndexFunc(connections, matching(expr)); i >= 0 {
			return writeFound(ctx, inv, view, connections[i])
		}
	}
	return fmt.Errorf(
		"wait: no connection matched %q in the recording; at its end: %s", expr.String(), nearest(connections),
	)
}

// waitArguments returns the filter and the timeout, 0 for none.
func waitArguments(inv *grammar.Invocation) (*filter.Expr, time.Duration, error) {
	var timeout time.Duration
	if n := len(inv.Args); n >= 2 && inv.Args[n-2] == "timeout" {
		var err error
		timeout, err = line.Span(inv.Args[n-1])
		if err != nil || timeout <= 0 {
			return nil, 0, inv.Usage("timeout " + strconv.Quote(inv.Args[n-1]) + ": want a time such as 5s")
		}
		inv.Args = inv.Args[:n-2]
	} else if n > 0 && inv.Args[n-1] == "timeout" {
		return nil, 0, inv.Usage("timeout: a time such as 5s is missing")
	}
	if len(inv.Args) == 0 {
		return nil, 0, inv.Usage("what to wait for is missing: a filter such as 'dst :443 and subflows >= 2'")
	}
	expr, err := line.Filter(inv)
	return expr, timeout, err
}

// wakeups returns a channel on which something arrives when the kernel announced
// something, of this network namespace or of all that have a number. Where events
// are not allowed nothing ever does.
func wakeups(ctx context.Context, all bool) <-chan struct{} {
	woken := make(chan struct{}, 1)
	listener, err := pathmanager.Listen(&pathmanager.ListenConfig{AllNamespaces: all})
	if err != nil {
		return woken
	}
	go func() {
		defer listener.Close()
		for range listener.Batches(ctx) {
			select {
			case woken <- struct{}{}:
			default:
			}
		}
	}()
	return woken
}

// lookIn returns the connections of the snapshots that -4 and -6 ask for, with their
// processes where the filter asks for those.
func lookIn(
	ctx context.Context, inv *grammar.Invocation, view source.Sockets, expr *filter.Expr,
	snapshots ...track.Snapshot,
) ([]mptcp.Connection, error) {
	var connections []mptcp.Connection
	for _, s := range snapshots {
		for _, c := range track.Join(s) {
			if inv.Options.Wants(c.Local.Addr()) {
				connections = append(connections, c)
			}
		}
	}
	if expr.NeedsProcesses() {
		return connections, addProcesses(ctx, view, connections)
	}
	return connections, nil
}

func matching(expr *filter.Expr) func(mptcp.Connection) bool {
	return func(c mptcp.Connection) bool { return expr.Connection(&c) }
}

// writeFound writes the connection that was waited for, with its processes.
func writeFound(ctx context.Context, inv *grammar.Invocation, view source.Sockets, c mptcp.Connection) error {
	found := []mptcp.Connection{c}
	if c.Processes == nil {
		if err := addProcesses(ctx, view, found); err != nil {
			return fmt.Errorf("wait: %w", err)
		}
	}
	return writeConnections(inv, found)
}

// doctorReason is the title of what doctor would mend first of these connections, as
// a continuation of a message; "" where nothing is wrong with them.
func doctorReason(ctx context.Context, from source.Source, connections []mptcp.Connection) string {
	facts, err := gatherViews(ctx, from.Views(), &gather.Config{Alone: true, Window: gather.DefaultWindow})
	if err != nil {
		return ""
	}
	tokens := map[mptcp.Token]bool{}
	for _, c := range connections {
		tokens[c.Token] = true
	}
	for _, f := range doctor.DiagnoseAll(facts).Findings {
		if t := f.Subject.Token; f.Severity > doctor.Info && (t == 0 || tokens[t]) {
			return fmt.Sprintf("; %s: %s", f.Rule, present.Escape(f.Title))
		}
	}
	return ""
}

// hiddenSubflows says that connections may have subflows where none was seen.
func hiddenSubflows(ctx context.Context, from source.Source, connections []mptcp.Connection) string {
	if len(connections) == 0 ||
		slices.ContainsFunc(connections, func(c mptcp.Connection) bool { return len(c.Subflows) > 0 }) {
		return ""
	}
	for _, view := range from.Views() {
		if err := view.CheckSubflows(ctx); err != nil {
			return "; " + err.Error()
		}
	}
	return ""
}

// inNetns names a network namespace that is not the own one.
func inNetns(name string) string {
	if name == "" {
		return ""
	}
	return " in " + present.Escape(name)
}

// nearest says in one line what there was instead of what was waited for.
func nearest(connections []mptcp.Connection) string {
	if len(connections) == 0 {
		return "there is no MPTCP connection (plain TCP sockets do not count: see `mptcpctl run` and `mptcpctl doctor`)"
	}
	var parts []string
	for i, c := range connections {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("and %d more", len(connections)-i))
			break
		}
		part := fmt.Sprintf(
			"%s to %v%s has %s", c.Token, c.Remote, inNetns(c.Netns), present.Count(c.SubflowsUp(), "subflow"),
		)
		if more := len(c.Subflows) - c.SubflowsUp(); more > 0 {
			part += fmt.Sprintf(" (and %d not up)", more)
		}
		if c.Fallback {
			part += ", fallback"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ") + " (why: mptcpctl doctor)"
}
