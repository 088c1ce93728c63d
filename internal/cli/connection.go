package cli

import (
	"context"
	"errors"
	"fmt"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
)

func (a *app) connectionCommand() grammar.Command {
	return grammar.Command{
		Name:    "connection",
		Summary: "list connections with their subflows, as trees",
		Synopsis: []string{
			"[ show ] [ FILTER ]", "[ show ] listen [ FILTER ]", "close-subflow CONNECTION ...",
			"close CONNECTION ...",
		},
		Help: connectionHelp,
		Privilege: "none; only root (CAP_SYS_PTRACE) sees the processes of other users, and long lists are cheaper " +
			"with CAP_BPF and CAP_PERFMON; close and close-subflow: CAP_NET_ADMIN",
		Default: "show",
		Lenient: true,
		Examples: []grammar.Example{
			{Line: "connection", Meaning: "all connections"},
			{
				Line:    "connection show dst :443 and subflows '<' 2",
				Meaning: "connections to port 443 without a second subflow",
			},
			{Line: "-j connection show token 63c070d2", Meaning: "one connection, as JSON"},
			{Line: "connection show listen", Meaning: "the MPTCP listeners"},
		},
		Verbs: []grammar.Command{{
			Name:     "show",
			Summary:  "list connections with their subflows, as trees",
			Synopsis: []string{"[ FILTER ]", "listen [ FILTER ]"},
			Flags: []grammar.Flag{
				{Name: "no-processes", Summary: "do not show processes: cheaper on a host with many processes"},
				line.LookFlag(),
			},
			Keywords: []grammar.Keyword{{Name: "listen", Summary: "the MPTCP listeners"}},
			Operand:  grammar.Filter,
			Quick:    true,
			Run:      a.connectionShow,
		}, a.connectionCloseSubflowCommand(), a.connectionCloseCommand()},
	}
}

func (a *app) connectionShow(ctx context.Context, inv *grammar.Invocation) error {
	listen := len(inv.Args) > 0 && inv.Args[0] == "listen"
	if listen {
		inv.Args = inv.Args[1:]
	}
	expr, err := line.Filter(inv)
	if err != nil {
		return err
	}
	if listen {
		return a.showListeners(ctx, inv, expr)
	}
	if expr.NeedsEvents() {
		return inv.Usage("this command lists connections, so words about events do not apply")
	}
	// Of a list without filter only this is shown; a filter may ask for anything.
	brief := expr == nil && !inv.Options.JSON && !inv.Options.Details && !inv.Has("look")
	list, err := openConnections(ctx, inv, brief)
	if err != nil {
		return err
	}
	labels, err := line.ReadLabels(ctx, inv, list.all(), expr.Connection)
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	shown := newConnectionWriter(inv)
	for c := range list.all() {
		if expr.Connection(c) {
			labels.Put(c)
			if err := shown.Write(c); err != nil {
				return err
			}
		}
	}
	if shown.Count() == 0 && expr.NamesListeners() {
		line.LeftOut(inv, errors.New("`connection show listen` shows listeners"))
	}
	if shown.Count() == 0 && !inv.Options.JSON && line.IsTerminal(inv.Stdout) {
		fmt.Fprintf(
			inv.Stderr,
			"no MPTCP connection%s (plain TCP is not listed; mptcpctl doctor explains why a program does not use "+
				"MPTCP)\n",
			ofFilter(expr),
		)
	}
	return shown.Close()
}

// ofFilter says which connections were asked for, where not all were.
func ofFilter(expr *filter.Expr) string {
	if expr == nil {
		return ""
	}
	return " matches " + present.Escape(expr.String())
}

// showListeners shows the MPTCP listeners.
func (a *app) showListeners(ctx context.Context, inv *grammar.Invocation, expr *filter.Expr) error {
	facts, err := line.Open(ctx, inv)
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	defer facts.Close()
	var listeners []source.Listener
	views := facts.Views()
	for _, view := range views {
		some, err := view.Listeners(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", inv.Path, err)
		}
		listeners = append(listeners, some...)
	}
	connections := make([]mptcp.Connection, len(listeners))
	for i := range listeners {
		connections[i] = listeners[i].Connection
	}
	if len(connections) > 0 {
		if err := addProcesses(ctx, views[0], connections); err != nil {
			return err
		}
	}
	kept := []present.Listener{}
	for i := range listeners {
		if expr.Listener(&connections[i]) {
			c := &connections[i]
			kept = append(kept, present.Listener{
				Local: c.Local, Waiting: listeners[i].Waiting, Backlog: listeners[i].Backlog,
				Inode: c.Inode, UID: c.UID, Processes: c.Processes, Netns: c.Netns,
			})
		}
	}
	if inv.Options.JSON {
		return present.JSON(inv.Stdout, kept, inv.Options.Pretty)
	}
	return present.Listeners(inv.Stdout, kept, line.Palette(inv))
}
