package live

import (
	"context"
	"time"

	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// Listing dumps the connections, their subflows, and what is needed to show them.
// The listeners are dumped only where a connection cannot do without: the kernel
// takes a lock for each place of its table of them, which may be as dear as all
// else that a host with few connections is asked.
func (h *Host) Listing(ctx context.Context, brief bool) (*track.Listing, error) {
	l := &track.Listing{
		Brief: brief,
		Facts: track.Snapshot{Time: time.Now(), Netns: h.netns, PathManager: h.pathManager()},
	}
	if err := h.listConnections(ctx, l); err != nil {
		return nil, err
	}
	if l.Len() == 0 {
		return l, nil
	}
	flows := h.routedFlows()
	if err := h.listSubflows(ctx, l, flows); err != nil {
		return nil, err
	}
	if err := h.readNetwork(ctx, &l.Facts); err != nil {
		return nil, err
	}
	if err := h.readRoutes(ctx, &l.Facts, flows); err != nil {
		return nil, err
	}
	if l.NeedsListeners() {
		return l, h.readListeners(ctx, &l.Facts)
	}
	return l, nil
}

// CheckSubflows is that of the namespace's socket diagnostics.
func (h *Host) CheckSubflows(ctx context.Context) error { return h.diag.CheckSubflows(ctx) }

func (h *Host) listConnections(ctx context.Context, l *track.Listing) error {
	var row mptcp.Connection
	pairs := pairing{host: h}
	for c, err := range h.diag.EachConnection(ctx, nil) {
		if err != nil {
			return err
		}
		source.FillConnection(&row, c)
		if !l.Brief {
			pairs.fill(ctx, &row, c)
		}
		l.AddConnection(&row)
	}
	return nil
}

func (h *Host) listSubflows(ctx context.Context, l *track.Listing, flows *routed) error {
	var row track.SubflowRow
	request := &sockdiag.Request{Brief: l.Brief, Expected: l.Len()}
	for s, err := range h.diag.EachSubflow(ctx, request) {
		if err != nil {
			return err
		}
		if s.State != mptcp.StateListen {
			source.FillSubflowRow(&row, s)
			l.AddSubflow(&row)
			flows.note(s)
		}
	}
	return nil
}
