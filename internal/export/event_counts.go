package export

import (
	"maps"
	"sync"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// book counts events. It is written by one goroutine; a scrape takes it as it is by
// marking its maps as shared, and the next event copies them before it writes: neither
// waits for the other.
type book struct {
	mu     sync.Mutex // held for an addition, never for a rendering
	counts counts
	shared bool // frozen has given the maps out
}

// counts are the metrics that are counted over events.
type counts struct {
	events      *family
	lost        *family
	closes      *family
	fallbacks   *family
	overflowing float64
}

func newBook() *book {
	return &book{counts: counts{
		events: newFamily(counter, "mptcp_events_total",
			"Events of the kernel's path manager, and what was derived beside them.", "netns", "event"),
		lost: newFamily(counter, "mptcp_events_lost_total",
			"Events that the kernel dropped because they were not read in time.", "netns"),
		closes: newFamily(counter, "mptcp_subflow_closes_total",
			"Subflows that ended while their connection went on, by reset reason and error.",
			"netns", "device", "reason", "errno"),
		fallbacks: newFamily(counter, "mptcp_fallbacks_total",
			"Connections that were seen to fall back to plain TCP, by the counter that tells why.", "netns", "cause"),
	}}
}

// families returns the metrics in the order in which they are written.
func (c *counts) families() []*family { return []*family{c.events, c.lost, c.closes, c.fallbacks} }

// copied returns counts that may be changed without changing c.
func (c *counts) copied() counts {
	own := func(f *family) *family {
		twin := *f
		twin.series = maps.Clone(f.series)
		return &twin
	}
	return counts{own(c.events), own(c.lost), own(c.closes), own(c.fallbacks), c.overflowing}
}

// known gives the network namespace a series of losses before the first loss.
func (c *counts) known(netns string) { c.lost.add(0, netns) }

// frozen returns the counts as they are now, for the caller alone: the book's own maps,
// which the book leaves alone from now on, but for that of losses, which is a copy
// because known adds to it.
func (b *book) frozen() counts {
	b.mu.Lock()
	b.shared = true
	c := b.counts
	b.mu.Unlock()
	lost := *c.lost
	lost.series = maps.Clone(lost.series)
	c.lost = &lost
	return c
}

// writable returns the counts for a change. The mutex is held.
func (b *book) writable() *counts {
	if b.shared {
		b.counts, b.shared = b.counts.copied(), false
	}
	return &b.counts
}

// count takes one delta into account; device is that of the subflow, where one closed.
func (b *book) count(d *track.Delta, device string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, e := b.writable(), &d.Event
	switch {
	case d.Kind == track.KindOverflow:
		c.overflowing += float64(e.Lost)
		return
	case e.Type == mptcp.EventLost:
		c.lost.add(float64(e.Lost), e.Netns)
		return
	case d.Kind == track.KindFallback:
		cause := d.Cause
		if cause == "" {
			cause = "unknown"
		}
		c.fallbacks.add(1, e.Netns, cause)
	case e.Type == mptcp.EventSubflowClosed:
		reason, errno := "none", "none"
		if e.Has(mptcp.FieldResetReason) {
			reason = e.ResetReason.String()
		}
		if e.Has(mptcp.FieldError) && e.Error != 0 {
			errno = e.Error.Name()
		}
		c.closes.add(1, e.Netns, device, reason, errno)
	}
	c.events.add(1, e.Netns, d.Name)
}

// forget drops the series of a network namespace.
func (b *book) forget(netns string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.writable().families() {
		f.forget(netns)
	}
}
