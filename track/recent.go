package track

import (
	"net/netip"
	"slices"
	"time"
)

// tuple names a subflow on this host.
type tuple struct {
	netns         string
	local, remote netip.AddrPort
}

// recent holds the newest values put into it, by subflow.
type recent[V any] struct {
	by    map[tuple]dated[V]
	order []tuple
	head  int // of order: what is before it was dropped
}

type dated[V any] struct {
	value V
	at    time.Time
}

// How many values are held, and for how long: the news that a subflow ended and its last
// figures come from two sockets, in any order, at most this far apart.
const (
	recentKept = 1 << 10
	recentTime = 5 * time.Second
)

// put adds a value, or replaces the one that is there.
func (r *recent[V]) put(k tuple, v V, now time.Time) {
	if r.by == nil {
		r.by = make(map[tuple]dated[V])
	}
	if _, there := r.by[k]; !there {
		r.order = append(r.order, k)
	}
	r.by[k] = dated[V]{v, now}
	for len(r.order)-r.head > recentKept {
		delete(r.by, r.order[r.head])
		r.head++
	}
	if r.head > recentKept {
		r.order, r.head = append(r.order[:0], r.order[r.head:]...), 0
	}
}

// take returns the value, and forgets it.
func (r *recent[V]) take(k tuple, now time.Time) (v V, ok bool) {
	d, ok := r.by[k]
	if !ok {
		return v, false
	}
	delete(r.by, k)
	at := len(r.order) - 1 // from the end: what is taken was put shortly before
	for r.order[at] != k {
		at--
	}
	r.order = slices.Delete(r.order, at, at+1)
	return d.value, now.Sub(d.at) < recentTime
}
