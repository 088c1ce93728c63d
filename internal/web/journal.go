package web

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// journal keeps the last deltas, rendered, for all streams together. Each has a
// number, from 1 on.
type journal struct {
	epoch string // tells the numbers of this run from those of another

	mu     sync.Mutex
	format present.EventJSON
	netns  string // of the delta that is being rendered
	ring   []entry
	next   uint64        // number of the next delta
	woken  chan struct{} // closed at the next delta; nil: nobody waits
	second int           // deltas of the running second
	rates  [60]int       // deltas of the last full seconds, a ring
	minute int           // the oldest of them
}

// entry is a delta as clients get it.
type entry struct {
	id    uint64
	delta track.Delta
	json  []byte
}

func newJournal(size int, started time.Time, c *Config) *journal {
	j := &journal{
		epoch: strconv.FormatInt(started.UnixMilli(), 36), next: 1,
		ring: make([]entry, size),
	}
	if c.Device != nil {
		j.format.Device = func(index int32) string { return c.Device(j.netns, index) }
	}
	return j
}

func (j *journal) add(d *track.Delta) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.netns = d.Event.Netns
	e := &j.ring[j.next%uint64(len(j.ring))]
	*e = entry{id: j.next, delta: *d}
	e.json = appendDelta(nil, &j.format, &e.delta)
	j.next++
	j.second++
	if j.woken != nil {
		close(j.woken)
		j.woken = nil
	}
}

// tick ends a second.
func (j *journal) tick() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rates[j.minute] = j.second
	j.minute = (j.minute + 1) % len(j.rates)
	j.second = 0
}

// rate returns how many deltas the last seconds had, oldest first.
func (j *journal) rate() []int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append(append([]int(nil), j.rates[j.minute:]...), j.rates[:j.minute]...)
}

// changed returns a channel that is closed at the next delta.
func (j *journal) changed() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.woken == nil {
		j.woken = make(chan struct{})
	}
	return j.woken
}

// since appends the deltas behind the one with that number to buffer, up to its
// capacity, and says how many between are kept no more.
func (j *journal) since(id uint64, buffer []entry) (entries []entry, missed uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first := id + 1
	if oldest := j.oldest(); first < oldest {
		missed, first = oldest-first, oldest
	}
	for n := first; n < j.next && len(buffer) < cap(buffer); n++ {
		buffer = append(buffer, j.ring[n%uint64(len(j.ring))])
	}
	return buffer, missed
}

// oldest returns the number of the oldest delta that is kept. The caller holds mu.
func (j *journal) oldest() uint64 {
	if j.next <= uint64(len(j.ring)) {
		return 1
	}
	return j.next - uint64(len(j.ring))
}

// last returns the number of the newest delta, 0 if there is none.
func (j *journal) last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next - 1
}

// place returns the number behind which a stream goes on that has seen the delta
// with this id. An id of another run of the server means all that is kept.
func (j *journal) place(id string) (after uint64, ok bool) {
	epoch, number, found := strings.Cut(id, "-")
	n, err := strconv.ParseUint(number, 10, 63)
	if !found || err != nil {
		return 0, false
	}
	if epoch != j.epoch {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.oldest() - 1, true
	}
	return min(n, j.last()), true
}

// appendDelta appends a delta as `monitor -d -j` prints it, with its instance.
func appendDelta(b []byte, f *present.EventJSON, d *track.Delta) []byte {
	return appendInstance(f.AppendDelta(b, d), d.Key)
}

// appendInstance puts the instance of a connection whose token was used before
// into the object at the end of b.
func appendInstance(b []byte, k mptcp.Key) []byte {
	if k.Instance == 0 {
		return b
	}
	b = append(b[:len(b)-1], `,"instance":`...)
	b = strconv.AppendUint(b, uint64(k.Instance), 10)
	return append(b, '}')
}
