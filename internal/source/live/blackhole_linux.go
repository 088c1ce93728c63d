package live

import (
	"sync"
	"time"
)

// blackholes remembers when the counter Blackhole was seen to have moved: since then
// MPTCP is left out for a time that the kernel does not tell.
type blackholes struct {
	mu    sync.Mutex
	read  bool
	total uint64
	seen  time.Time
}

// note takes in a reading of the counters, and returns when the counter moved, at the
// latest. The zero time says that it was not seen to move.
func (b *blackholes) note(r reading) time.Time {
	total, known := r.mptcp.Get("Blackhole")
	b.mu.Lock()
	defer b.mu.Unlock()
	if known && (!b.read || total > b.total) {
		if b.read {
			b.seen = r.time
		}
		b.read, b.total = true, total
	}
	return b.seen
}
