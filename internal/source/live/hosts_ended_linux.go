package live

import (
	"context"
	"iter"

	"mptcpctl/track"
)

var _ track.EndedSource = (*Hosts)(nil)

// Ended yields the subflows that end in all namespaces, as [Host.Ended] does for
// one: subscribed to when it returns, and in namespaces that come later from the
// moment they are found. One in which that fails goes without.
func (h *Hosts) Ended(ctx context.Context) iter.Seq2[track.EndedSubflow, error] {
	ctx, cancel := context.WithCancel(ctx)
	feed := make(chan track.EndedSubflow)
	h.mu.Lock()
	h.watch = func(m *member) { m.readEnded(ctx, feed) }
	for _, m := range h.members {
		h.watch(m)
	}
	h.mu.Unlock()
	return func(yield func(track.EndedSubflow, error) bool) {
		defer h.endWatch()
		defer cancel()
		for {
			select {
			case e := <-feed:
				if !yield(e, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// endWatch has nobody watch the namespaces that come from now on.
func (h *Hosts) endWatch() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watch = nil
}

// readEnded passes on what ends in the namespace until it is left. The caller holds
// the lock of the members.
func (m *member) readEnded(ctx context.Context, feed chan<- track.EndedSubflow) {
	ctx, m.unwatch = context.WithCancel(ctx)
	ended := m.Host.Ended(ctx)
	go func() {
		for e, err := range ended {
			if err != nil {
				return // the namespace was left
			}
			select {
			case feed <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
}
