package live

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// mostSampled bounds for how many connections sockets are remembered.
const mostSampled = 4096

// sampled holds the sockets of the connections that were sampled last, so that they
// can be looked up one by one, and what that and a dump of all TCP sockets cost.
type sampled struct {
	mu      sync.Mutex
	sockets map[mptcp.Token][]sockdiag.Socket
	cost    cost
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
	return sockets, s.cost.prefersLookups(len(sockets) + len(tokens))
}

// lookedUp takes in what n lookups took.
func (s *sampled) lookedUp(n int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cost.lookedUp(n, took)
}

// dumped takes in what a dump of all TCP sockets took.
func (s *sampled) dumped(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cost.dumped(took)
}

// remember takes in what a dump showed of these connections.
func (s *sampled) remember(wanted map[mptcp.Token]bool, sockets map[mptcp.Token][]sockdiag.Socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
// TCP sockets of the host, as measured on both ways, and all are still there: the
// kernel says how many subflows a connection has (Linux 6.8).
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
func (h *Host) lookupSubflows(
	ctx context.Context, tokens []mptcp.Token, sockets []sockdiag.Socket,
) (rows []track.SubflowRow, complete bool, err error) {
	began := time.Now()
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
		rows = append(rows, source.SubflowRow(&s))
		if !s.State.Closing() {
			alive[s.MPTCP.TokenLocal]++
		}
	}
	// After the subflows: one that came meanwhile counts here.
	complete = true
	for c, err := range h.diag.ConnectionsByToken(ctx, tokens) {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			complete = false // a dump tells what is left of it
		case err != nil:
			return nil, false, err
		default:
			total := int(c.Info.SubflowsTotal)
			complete = complete && total != 0 && total == alive[c.Info.Token]
		}
	}
	h.sampled.lookedUp(len(sockets)+len(tokens), time.Since(began))
	return rows, complete, nil
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
			rows = append(rows, source.SubflowRow(&sub))
			sockets[token] = append(sockets[token], sub.Socket)
		}
	}
	h.sampled.dumped(time.Since(began))
	h.sampled.remember(wanted, sockets)
	return rows, nil
}
