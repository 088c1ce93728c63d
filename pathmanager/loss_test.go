package pathmanager

import (
	"testing"
	"time"
)

// step is one call of observe.
type step struct {
	read          int
	drops, queued uint32
	want          uint64
}

func TestLossFindsItsPlace(t *testing.T) {
	full := uint32(256 * 832)
	for name, steps := range map[string][]step{
		"none": {{10, 0, 0, 0}, {10, 0, 832, 0}},
		"after what was queued, by the empty queue": {
			{128, 744, 128 * 832, 0}, {128, 744, 0, 744}, {1, 744, 0, 0},
		},
		"after what was queued, by their number": {
			{128, 7, full, 0}, {128, 7, full, 0}, {128, 7, full, 0}, {128, 7, full, 7}, {128, 7, full, 0},
		},
		"two at their own places": {
			{1, 3, 4 * 832, 0}, {3, 5, 4 * 832, 0}, {2, 5, 4 * 832, 3}, {2, 5, 4 * 832, 0}, {2, 5, 832, 2},
		},
		"losses without end are shown all the same": {
			{4, 1, 4 * 832, 0}, {4, 2, 4 * 832, 0}, {4, 3, 4 * 832, 1}, {4, 4, 4 * 832, 0}, {4, 5, 4 * 832, 2},
		},
		"seen with the queue empty": {{5, 9, 0, 9}},
	} {
		var b lossBook
		for i, s := range steps {
			if got := b.observe(s.read, s.drops, s.queued); got != s.want {
				t.Errorf("%s, step %d: %d, want %d (%+v)", name, i, got, s.want, b)
			}
		}
	}
}

// The kernel's counter has 32 bits.
func TestLossCounterWrapsAround(t *testing.T) {
	b := lossBook{seen: 1<<32 - 3}
	if got := b.observe(1, 4, 0); got != 7 {
		t.Errorf("%d lost, want 7", got)
	}
	w := socket{base: 1<<32 - 3}
	for _, s := range []struct {
		drops uint32
		want  uint64
	}{{1<<32 - 3, 0}, {4, 7}, {1<<32 - 4, 1<<32 - 1}, {1<<32 - 3, 1 << 32}, {0, 1<<32 + 3}} {
		if w.drops = w.widen(s.drops); w.drops != s.want {
			t.Errorf("counter %d: %d since the start, want %d", s.drops, w.drops, s.want)
		}
	}
}

// Events wait for others only when many come, and without being asked only in a
// storm.
func TestMeter(t *testing.T) {
	for _, tt := range []struct {
		perSecond   int
		busy, storm bool
	}{{200, false, false}, {1000, false, false}, {2000, true, false}, {10_000, true, false}, {25_000, true, true}} {
		var m meter
		now := time.Unix(0, 0)
		for range 1000 {
			now = now.Add(time.Second / time.Duration(tt.perSecond))
			m.add(1, now, false)
		}
		if m.above(busyEvents, now) != tt.busy || m.above(stormEvents, now) != tt.storm {
			t.Errorf("%d/s: recent %.1f", tt.perSecond, m.recent)
		}
	}
}

// A backlog that gathered while nobody read says little about the present rate, also if it
// is read in several parts.
func TestMeterOfBacklog(t *testing.T) {
	var m meter
	start := time.Unix(1, 0)
	m.add(1, start, false)
	for range 18 {
		m.add(128, start.Add(3*time.Second), true)
	}
	m.add(96, start.Add(3*time.Second), false)
	if m.above(busyEvents, start.Add(3*time.Second)) {
		t.Errorf("2,400 events of 3 s are a rate of %.1f in a window", m.recent)
	}
	m = meter{}
	m.add(1, start, false)
	m.add(128, start.Add(2*time.Millisecond), true)
	m.add(72, start.Add(2*time.Millisecond), false)
	if !m.above(stormEvents, start.Add(2*time.Millisecond)) {
		t.Errorf("200 events of 2 ms are a rate of %.1f in a window", m.recent)
	}
	if m.add(1, start.Add(time.Second), false); m.above(busyEvents, start.Add(time.Second)) {
		t.Error("busy a second after the storm")
	}
}

// A reader that never empties the queue recognizes a storm all the same. One that was
// stopped for long does not take the backlog for a storm.
func TestMeterOfEndlessQueue(t *testing.T) {
	start := time.Unix(1, 0)
	for _, tt := range []struct {
		before time.Duration // since the queue was last empty
		storm  bool
	}{{0, true}, {10 * time.Second, false}} {
		m := meter{last: start.Add(-tt.before)}
		now := start
		for range 1000 {
			now = now.Add(time.Millisecond)
			m.add(128, now, true)
		}
		if m.above(stormEvents, now) != tt.storm {
			t.Errorf("128 events in each of 1,000 ms, and %v before them: %.1f in a window", tt.before, m.count(now))
		}
	}
}

// The runtime's signals interrupt a short wait, and must not draw it out.
func TestShortWaitEnds(t *testing.T) {
	for _, dedicated := range []bool{false, true} {
		w := waiter{dedicated: dedicated, began: time.Now().Add(time.Hour)}
		if w.over() {
			t.Errorf("dedicated %t: a wait that goes on is over", dedicated)
		}
		if w.began = time.Now().Add(-w.longest()); !w.over() {
			t.Errorf("dedicated %t: a wait is drawn out", dedicated)
		}
	}
}

// A dedicated process waits that way whatever the number of processors, and where
// a message comes some fifty times a second.
func TestShortWaitsOfDedicated(t *testing.T) {
	w := waiter{dedicated: true}
	for range 10 {
		w.note(15 * time.Millisecond)
	}
	if !w.short(1) || !w.short(2) {
		t.Errorf("usual %v: no short wait", w.usual)
	}
	if w.note(time.Hour); w.short(1) || w.short(2) {
		t.Errorf("usual %v: a short wait after an hour", w.usual)
	}
}

// With several processors a wait is short where messages come about regularly. One long
// wait ends that, some short ones bring it back. With one processor none is.
func TestShortWaits(t *testing.T) {
	w := waiter{}
	for i, tt := range []struct {
		took  time.Duration
		short bool
	}{
		{0, true}, {time.Second, false}, {time.Millisecond, false},
		{time.Millisecond, true}, {time.Millisecond, true}, {8 * time.Millisecond, true},
	} {
		w.note(tt.took)
		if w.short(2) != tt.short || w.short(1) {
			t.Errorf("wait %d: usual %v, short %v and %v", i, w.usual, w.short(2), w.short(1))
		}
	}
}
