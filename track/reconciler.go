package track

import (
	"time"

	"mptcpctl/mptcp"
)

// reconciler knows when the state is compared with everything that the kernel has, and
// which events may be older than the last such dump.
type reconciler struct {
	every    time.Duration // Config.Reconcile
	recorded bool          // a recording says itself when it has a dump

	missed uint64    // events lost since the last resync
	older  time.Time // events before it may be older than the last dump
	blind  time.Time // events before it may be about what was missed
	next   time.Time // when everything is dumped next; zero: not by the clock
	resync time.Time // when it is, if events are lost
}

// overlapTime is how long after a dump events may come in that are older than it.
const overlapTime = time.Second

// dumpPause bounds the processor time spent on dumps: after each the tracker lets
// pass so many times what it took.
const dumpPause = 50

// lose notes that events were lost.
func (r *reconciler) lose(events uint64) { r.missed += events }

// hurry has everything dumped as soon as possible.
func (r *reconciler) hurry(now time.Time) { r.next = now }

// due returns when everything is dumped next, zero where nothing says so.
func (r *reconciler) due() time.Time {
	if r.missed == 0 || r.resync.IsZero() {
		return r.next
	}
	if !r.next.IsZero() && r.next.Before(r.resync) {
		return r.next
	}
	return r.resync
}

// why returns why everything is dumped.
func (r *reconciler) why() reason {
	if r.missed > 0 {
		return afterLoss
	}
	return periodic
}

// dumped notes when the source answered with everything it has, or could not: the
// answer cost so much of a processor. In a recording the next dump is its next
// snapshot, also after a loss: only a snapshot says what the lost events would have.
func (r *reconciler) dumped(now time.Time, cost time.Duration) {
	r.next, r.resync = time.Time{}, time.Time{}
	if r.recorded {
		return
	}
	r.resync = now.Add(time.Second)
	if r.every > 0 {
		r.next = now.Add(max(r.every, dumpPause*cost))
	}
}

// compare notes that the state is compared with a dump.
func (r *reconciler) compare(why reason, now time.Time) {
	r.older = now.Add(overlapTime)
	if why != periodic {
		r.blind = r.older
	}
}

// compared notes that the state was compared with a dump that took so long.
func (r *reconciler) compared(now time.Time, took time.Duration) {
	if !r.recorded {
		r.resync = now.Add(4 * took)
	}
}

// mayBeOlder reports whether the event may be older than the last dump.
func (r *reconciler) mayBeOlder(e *mptcp.Event) bool { return e.Time.Before(r.older) }

// mayBeBlind reports whether the event may follow one that was missed, before the first
// dump or by a loss.
func (r *reconciler) mayBeBlind(e *mptcp.Event) bool { return e.Time.Before(r.blind) }

// sampler knows when figures and counters are read again.
type sampler struct {
	next  time.Time // zero: not by the clock
	looks int       // samples that events may still ask for in this period
}

// looksPerPeriod is how many samples events may ask for in a period of sampling.
const looksPerPeriod = 64

// begin begins a period.
func (s *sampler) begin() { s.looks = looksPerPeriod }

// look takes one of the samples that events may ask for, and reports whether there is
// one left.
func (s *sampler) look() bool {
	if s.looks <= 0 {
		return false
	}
	s.looks--
	return true
}

// isDue reports whether it is time for what is due then; zero is never due.
func isDue(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
