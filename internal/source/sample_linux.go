package source

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// lookupTime is about what the lookup of one socket costs.
const lookupTime = 5 * time.Microsecond

// mostSampled bounds for how many connections sockets are remembered.
const mostSampled = 4096

// sampled holds the sockets of the connections that were sampled last, so that they
// can be looked up one by one, and what a dump of all TCP sockets costs instead.
type sampled struct {
	mu      sync.Mutex
	sockets map[mptcp.Token][]sockdiag.Socket
	dump    time.Duration // the last one took
}

// of returns the sockets of all these connections, unless one is not known or a
// dump is cheaper.
func (s *sampled) of(tokens []mptcp.Token) (sockets []sockdiag.Socket, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tokens {
		known := s.sockets[t]
		if known == nil {
			return nil, false
		}
		sockets = append(sockets, known...)
	}
	return sockets, time.Duration(len(sockets)+len(tokens))*lookupTime < s.dump
}

// remember takes in what a dump showed of these connections.
func (s *sampled) remember(wanted map[mptcp.Token]bool, sockets map[mptcp.Token][]sockdiag.Socket, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dump = took
	if s.sockets == nil || len(s.sockets)+len(wanted) > mostSampled {
		s.sockets = make(map[mptcp.Token][]sockdiag.Socket)
	}
	for t := range wanted {
		if len(s.sockets) < mostSampled && len(sockets[t]) > 0 {
			s.sockets[t] = sockets[t]
		}
	}
}

// Sample returns the subflows of these connections. Those of connections that were
// sampled before are looked up one by one where that is cheaper than to dump all
// TCP sockets of the host, and all are still there: the kernel says how many
// subflows a connection has (Linux 6.8).
func (h *Host) Sample(ctx context.Context, netns string, tokens []mptcp.Token) ([]track.SubflowRow, error) {
	if netns != h.netns || len(tokens) == 0 {
		return nil, nil
	}
	if sockets, ok := h.sampled.of(tokens); ok {
		rows, complete, err := h.lookupSubflows(ctx, tokens, sockets)
		if err != nil || complete {
			return rows, err
		}
	}
	return h.dumpSubflows(ctx, tokens)
}

// lookupSubflows looks known sockets up. It is not complete where a connection has
// other subflows than these.
func (h *Host) lookupSubflows(ctx context.Context, tokens []mptcp.Token, sockets []sockdiag.Socket) (rows []track.SubflowRow, complete bool, err error) {
	alive := make(map[mptcp.Token]int, len(tokens))
	for s, err := range h.diag.SubflowsBySocket(ctx, sockets) {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, false, err
		}
		if !s.HasMPTCP || s.MPTCP.TokenLocal == 0 {
			continue // what is left of it in TIME-WAIT has its cookie, and no token
		}
		rows = append(rows, subflowRow(&s))
		if !s.State.Closing() {
			alive[s.MPTCP.TokenLocal]++
		}
	}
	// After the subflows: one that came meanwhile counts here.
	for c, err := range h.diag.ConnectionsByToken(ctx, tokens) {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, false, nil // a dump tells what is left of it
		case err != nil:
			return nil, false, err
		}
		if total := int(c.Info.SubflowsTotal); total == 0 || total != alive[c.Info.Token] {
			return nil, false, nil
		}
	}
	return rows, true, nil
}

// dumpSubflows finds the subflows among all TCP sockets.
func (h *Host) dumpSubflows(ctx context.Context, tokens []mptcp.Token) ([]track.SubflowRow, error) {
	wanted := make(map[mptcp.Token]bool, len(tokens))
	for _, t := range tokens {
		wanted[t] = true
	}
	began := time.Now()
	sockets := make(map[mptcp.Token][]sockdiag.Socket)
	var rows []track.SubflowRow
	for sub, err := range h.diag.Subflows(ctx, nil) {
		if err != nil {
			return nil, err
		}
		if token := sub.MPTCP.TokenLocal; sub.HasMPTCP && wanted[token] {
			rows = append(rows, subflowRow(&sub))
			sockets[token] = append(sockets[token], sub.Socket)
		}
	}
	h.sampled.remember(wanted, sockets, time.Since(began))
	return rows, nil
}
