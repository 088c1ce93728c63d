package track

import (
	"context"
	"sync/atomic"
	"time"
)

// clock gives the time that a tracker goes by: the wall's, or that of a recording.
type clock struct {
	recording Recording                 // nil: the source is live
	at        atomic.Pointer[time.Time] // where the recording is played; nil before it begins
}

// now returns the time. Any goroutine may ask.
func (c *clock) now() time.Time {
	if c.recording == nil {
		return time.Now()
	}
	if at := c.at.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// seek puts the clock of a recording forward. It does nothing to a live source.
func (c *clock) seek(to time.Time) {
	if c.recording == nil {
		return
	}
	if at := c.at.Load(); at == nil || to.After(*at) {
		c.at.Store(&to)
		c.recording.Seek(to)
	}
}

// nextSnapshot returns when the recording has its next snapshot, if that is not
// later than the given time.
func (c *clock) nextSnapshot(upTo time.Time) (at time.Time, ok bool) {
	at = c.recording.NextSnapshot()
	return at, !at.IsZero() && at.After(c.now()) && !at.After(upTo)
}

// idleSteps is how many deadlines are met in a pause of a recording. In a longer
// pause nothing changes after them.
const idleSteps = 100

// play does what falls due in a recording up to the given time, in the order in
// which it falls due, and compares the state with each snapshot on the way.
func (t *Tracker) play(ctx context.Context, to time.Time) {
	for ctx.Err() == nil {
		next, ok := t.clock.nextSnapshot(to)
		if !ok {
			break
		}
		t.meetDeadlines(ctx, next)
		t.clock.seek(next)
		t.compareRecorded(ctx)
	}
	t.meetDeadlines(ctx, to)
	t.clock.seek(to)
}

// playOut plays the snapshots that a recording has after its last event.
func (t *Tracker) playOut(ctx context.Context) {
	for ctx.Err() == nil {
		next := t.clock.recording.NextSnapshot()
		if !next.After(t.clock.now()) {
			return
		}
		t.play(ctx, next)
	}
}

// meetDeadlines does what falls due before the given time.
func (t *Tracker) meetDeadlines(ctx context.Context, to time.Time) {
	for range idleSteps {
		due := t.deadline()
		if due.IsZero() || due.After(to) {
			return
		}
		t.clock.seek(due)
		t.attend(ctx, due)
	}
}

// compareRecorded compares the state with a snapshot of a recording, which is also
// where its counters and figures are news.
func (t *Tracker) compareRecorded(ctx context.Context) {
	t.keep(t.reconcile(ctx, t.reconciler.why()))
	if t.config.Sample > 0 {
		t.sampler.begin()
		t.sample(ctx)
		t.lookAtWanted(t.clock.now())
	}
	t.attend(ctx, t.clock.now())
}
