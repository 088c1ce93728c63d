package live

import (
	"testing"
	"time"
)

// load is a host where lookups and dumps always take the same time.
type load struct{ lookup, dump time.Duration }

// sample lets the costs choose once for n sockets, and says what that took.
func (l load) sample(c *cost, n int) (byLookup bool, took time.Duration) {
	if c.prefersLookups(n) {
		took = time.Duration(n) * l.lookup
		c.lookedUp(n, took)
		return true, took
	}
	c.dumped(l.dump)
	return false, l.dump
}

// settle chooses many times, and returns how many of the last ones were lookups.
func (l load) settle(c *cost, n int) (lookups int) {
	for i := range 400 {
		if byLookup, _ := l.sample(c, n); byLookup && i >= 300 {
			lookups++
		}
	}
	return lookups
}

func TestCheaperWayIsTaken(t *testing.T) {
	for _, test := range []struct {
		name    string
		load    load
		n       int
		lookups bool
	}{
		{"few of many", load{5 * time.Microsecond, 3 * time.Millisecond}, 15, true},
		{"many of few", load{5 * time.Microsecond, 300 * time.Microsecond}, 150, false},
		{"slow lookups", load{200 * time.Microsecond, time.Millisecond}, 15, false},
		{"fast lookups", load{100 * time.Nanosecond, 50 * time.Microsecond}, 150, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c cost
			if c.prefersLookups(test.n) {
				t.Error("lookups before a dump showed what there is")
			}
			if got := test.load.settle(&c, test.n); got > 50 != test.lookups {
				t.Errorf("%d of 100 by lookup", got)
			}
		})
	}
}

// TestChoiceFollowsTheHost: what was true once is measured again.
func TestChoiceFollowsTheHost(t *testing.T) {
	const n = 15
	busy, idle := load{5 * time.Microsecond, 3 * time.Millisecond}, load{5 * time.Microsecond, 20 * time.Microsecond}
	slow := load{500 * time.Microsecond, 3 * time.Millisecond}
	for _, test := range []struct {
		name         string
		before, then load
		lookups      bool
	}{
		{"sockets come", idle, busy, true},
		{"sockets go", load{5 * time.Microsecond, 100 * time.Microsecond}, idle, false},
		{"lookups get slow", busy, slow, false},
		{"lookups get fast", slow, busy, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c cost
			if before := test.before.settle(&c, n) > 50; before == test.lookups {
				t.Fatalf("by lookup from the start: %v", before)
			}
			if got := test.then.settle(&c, n); got > 50 != test.lookups {
				t.Errorf("%d of 100 by lookup", got)
			}
		})
	}
}

// TestMeasuringCostsLittle: all samples together take a tenth more than by the
// cheaper way alone, at most.
func TestMeasuringCostsLittle(t *testing.T) {
	for _, l := range []load{
		{5 * time.Microsecond, 100 * time.Millisecond},
		{5 * time.Microsecond, 3 * time.Millisecond},
		{5 * time.Millisecond, 3 * time.Millisecond},
		{100 * time.Millisecond, 100 * time.Microsecond},
	} {
		const n, samples = 15, 200_000
		var c cost
		var took time.Duration
		others := 0
		best := min(n*l.lookup, l.dump)
		for range samples {
			_, once := l.sample(&c, n)
			took += once
			if once > best {
				others++
			}
		}
		if took > best*samples*11/10+n*l.lookup+l.dump {
			t.Errorf("%+v: %v instead of %v", l, took, best*samples)
		}
		if others < 1 {
			t.Errorf("%+v: the other way was never measured", l)
		}
	}
}

func TestOneMeasurementDoesNotDecide(t *testing.T) {
	const n = 15
	l := load{5 * time.Microsecond, 3 * time.Millisecond}
	var c cost
	l.settle(&c, n)
	c.lookedUp(n, 5*l.dump) // the machine did something else meanwhile
	if !c.prefersLookups(n) {
		t.Errorf("one slow lookup decides: %+v", c)
	}
}
