package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"mptcpctl/internal/source/gather"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Snapshots dumps all namespaces. Where nobody reads Batches it looks for those that
// came and went. One that cannot be read is told, once, and left out; the error is a
// [*track.Unread] then. Where none can be read there is no answer.
func (h *Hosts) Snapshots(ctx context.Context) ([]track.Snapshot, error) {
	if err := h.refresh(ctx); err != nil {
		return nil, err
	}
	members := h.list()
	read := make([]track.Snapshot, len(members))
	failed := make([]error, len(members))
	gather.Pool(ctx, len(members), func(i int) { read[i], failed[i] = members[i].Snapshot(ctx) })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var snapshots []track.Snapshot
	var unread track.Unread
	for i, m := range members {
		switch err := failed[i]; {
		case err != nil && h.member(m.inode) != m: // it has gone meanwhile
		case err != nil:
			if unread.Netns = append(unread.Netns, m.netns); unread.Err == nil {
				unread.Err = err
			}
			h.warn("dump "+m.netns, fmt.Errorf(
				"network namespace %s is left out until it can be read again: %w", m.netns, err))
		default:
			h.forget("dump " + m.netns)
			snapshots = append(snapshots, read[i])
		}
	}
	switch {
	case unread.Err == nil:
		return snapshots, nil
	case len(snapshots) == 0:
		return nil, fmt.Errorf("network namespace %s: %w", unread.Netns[0], unread.Err)
	}
	return snapshots, &unread
}

// Lookup asks the namespace for single connections.
func (h *Hosts) Lookup(ctx context.Context, netns string, tokens []mptcp.Token) ([]mptcp.Connection, error) {
	m := h.named(netns)
	if m == nil {
		return nil, nil
	}
	found, err := m.Lookup(ctx, netns, tokens)
	if gone(err) {
		return nil, nil
	}
	return found, err
}

// Sample returns the subflows of these connections.
func (h *Hosts) Sample(ctx context.Context, netns string, tokens []mptcp.Token) ([]track.SubflowRow, error) {
	m := h.named(netns)
	if m == nil {
		return nil, nil
	}
	rows, err := m.Sample(ctx, netns, tokens)
	if gone(err) {
		return nil, nil
	}
	return rows, err
}

// Namespace returns what a snapshot of the namespace says beside the sockets.
func (h *Hosts) Namespace(ctx context.Context, netns string) (*track.Snapshot, error) {
	m := h.named(netns)
	if m == nil {
		return nil, nil
	}
	s, err := m.Namespace(ctx, netns)
	if gone(err) {
		return nil, nil
	}
	return s, err
}

// Counters returns the counters of the namespace.
func (h *Hosts) Counters(ctx context.Context, netns string) (track.Counters, error) {
	m := h.named(netns)
	if m == nil {
		return nil, nil
	}
	return m.Counters(ctx, netns)
}

// gone reports whether the error only says that the namespace was left meanwhile.
func gone(err error) bool { return errors.Is(err, fs.ErrClosed) }
