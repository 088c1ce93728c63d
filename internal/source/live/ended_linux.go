package live

import (
	"context"
	"iter"
	"net/netip"
	"sync"

	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// mostKnown bounds what a host remembers of subflows to recognise their ends.
const mostKnown = 1 << 16

// flow is a subflow by its addresses.
type flow struct{ local, remote netip.AddrPort }

// knownSubflows recognises subflows among all TCP sockets that end: the kernel does
// not say there which were some. It knows those that a dump showed by their cookie,
// and those that events told of since by their addresses.
type knownSubflows struct {
	mu      sync.Mutex
	cookies map[uint64]struct{}
	flows   map[flow]struct{}
	all     bool // there are more than are remembered: every socket passes
}

// know takes the subflows of a dump in place of those of the last one.
func (k *knownSubflows) know(rows []track.SubflowRow) {
	cookies := make(map[uint64]struct{}, min(len(rows), mostKnown))
	for i := range rows[:min(len(rows), mostKnown)] {
		cookies[rows[i].Cookie] = struct{}{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all, k.cookies = len(rows) > mostKnown, cookies
}

// hear takes in the subflows that events told of, for Ended.
func (h *Host) hear(batch []mptcp.Event) {
	if h.watching.Load() {
		h.known.hear(batch)
	}
}

// hear takes in the subflows that events told of.
func (k *knownSubflows) hear(batch []mptcp.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range batch {
		e := &batch[i]
		if e.Type != mptcp.EventCreated && e.Type != mptcp.EventSubflowEstablished {
			continue
		}
		local, _ := e.Local()
		remote, _ := e.Remote()
		if len(k.flows) >= mostKnown {
			clear(k.flows) // so many since a dump: the next one knows those that are left
		}
		k.flows[flow{local, remote}] = struct{}{}
	}
}

// take reports whether the socket was a subflow, and forgets it.
func (k *knownSubflows) take(s *sockdiag.Subflow) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := flow{s.Local, s.Remote}
	_, byCookie := k.cookies[s.Cookie]
	_, byFlow := k.flows[f]
	delete(k.cookies, s.Cookie)
	delete(k.flows, f)
	return byCookie || byFlow || k.all
}

// Ended yields the subflows that end, with their last figures: sockets that a dump
// or an event showed before. Those whose remote port the kernel wiped are left out.
// Ends that came faster than they were read are missing.
func (h *Host) Ended(ctx context.Context) iter.Seq2[track.EndedSubflow, error] {
	h.known.mu.Lock()
	if h.known.flows == nil {
		h.known.flows, h.known.cookies = map[flow]struct{}{}, map[uint64]struct{}{}
		h.watching.Store(true)
	}
	h.known.mu.Unlock()
	destroyed := h.diag.Destroyed(ctx)
	return func(yield func(track.EndedSubflow, error) bool) {
		for s, err := range destroyed {
			switch {
			case ctx.Err() != nil:
				return
			case isOverrun(err):
				continue
			case err != nil:
				yield(track.EndedSubflow{}, err)
				return
			}
			if s.Remote.Port() == 0 || !h.known.take(&s) {
				continue
			}
			if !yield(track.EndedSubflow{Netns: h.netns, Subflow: source.Subflow(&s)}, nil) {
				return
			}
		}
	}
}
