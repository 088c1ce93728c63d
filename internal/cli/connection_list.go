package cli

import (
	"context"
	"fmt"
	"iter"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/owners"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// connectionList is the connections that the options ask for, as they were when it
// was made.
type connectionList struct {
	listings []*track.Listing // of the namespaces
	options  *grammar.Options
	sockets  *owners.Sockets // with the processes that hold them; nil: not asked for
}

// openConnections reads the connections that the options ask for, with their
// processes. What brief leaves out, tells [track.Listing].
func openConnections(ctx context.Context, inv *grammar.Invocation, brief bool) (*connectionList, error) {
	facts, err := line.Open(ctx, inv)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", inv.Path, err)
	}
	defer facts.Close()
	list := &connectionList{options: &inv.Options}
	views, total := facts.Views(), 0
	for _, view := range views {
		listing, err := view.Listing(ctx, brief)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", inv.Path, err)
		}
		list.listings = append(list.listings, listing)
		total += listing.Len()
		if listing.NoSubflows() {
			if err := view.CheckSubflows(ctx); err != nil {
				line.LeftOut(inv, err)
			}
		}
	}
	if inv.Has("no-processes") || total == 0 {
		return list, nil
	}
	// One walk finds the processes of all namespaces.
	list.sockets = owners.NewSockets(total)
	for _, listing := range list.listings {
		for inode := range listing.Inodes() {
			list.sockets.Add(inode)
		}
	}
	return list, views[0].Holders(ctx, list.sockets)
}

// all yields the connections of the families that -4 and -6 ask for. A v4-mapped
// connection is IPv4. One is valid until the next.
func (l *connectionList) all() iter.Seq[*mptcp.Connection] {
	return func(yield func(*mptcp.Connection) bool) {
		for _, listing := range l.listings {
			for c := range listing.All() {
				if !l.options.Wants(c.Local.Addr()) {
					continue
				}
				c.Processes = l.sockets.Holders(c.Inode)
				if !yield(c) {
					return
				}
			}
		}
	}
}

// readConnections is openConnections for those who need them all at once.
func readConnections(ctx context.Context, inv *grammar.Invocation) ([]mptcp.Connection, error) {
	list, err := openConnections(ctx, inv, false)
	if err != nil {
		return nil, err
	}
	var connections []mptcp.Connection
	for c := range list.all() {
		kept := *c
		kept.Subflows = append([]mptcp.Subflow(nil), c.Subflows...)
		connections = append(connections, kept)
	}
	return connections, nil
}

// addProcesses adds the processes that hold the connections' sockets.
func addProcesses(ctx context.Context, view source.Sockets, connections []mptcp.Connection) error {
	sockets := owners.NewSockets(len(connections))
	for i := range connections {
		sockets.Add(connections[i].Inode)
	}
	err := view.Holders(ctx, sockets)
	for i := range connections {
		connections[i].Processes = sockets.Holders(connections[i].Inode)
	}
	return err
}

// newConnectionWriter returns what writes connections as the options ask for.
func newConnectionWriter(inv *grammar.Invocation) *present.ConnectionWriter {
	return &present.ConnectionWriter{
		Out: inv.Stdout, JSON: inv.Options.JSON, Pretty: inv.Options.Pretty,
		Text: present.ConnectionText{
			Colors: line.Palette(
				inv,
			), ASCII: line.ASCIIOnly(), OneLine: inv.Options.OneLine, Details: inv.Options.Details,
		},
	}
}

// writeConnections writes the connections as the options ask for.
func writeConnections(inv *grammar.Invocation, connections []mptcp.Connection) error {
	out := newConnectionWriter(inv)
	for i := range connections {
		if err := out.Write(&connections[i]); err != nil {
			return err
		}
	}
	return out.Close()
}
