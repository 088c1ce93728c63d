package live

import "time"

const (
	// lookupEstimate is what the lookup of one socket is taken to cost before the
	// first was measured.
	lookupEstimate = 5 * time.Microsecond
	// measureWeight is how much a new measurement counts beside the earlier ones.
	measureWeight = 0.25
	// mostAbove bounds how many times the mean a new measurement counts as.
	mostAbove = 4
	// measureAgain is how many times what the other way would cost may be spent on
	// one way, before the other is measured again: measuring takes a twentieth of
	// the time at most.
	measureAgain = 20
)

// cost knows what the two ways to read subflows took lately: to look their sockets
// up one by one, or to dump all TCP sockets of the host. The zero value is ready.
type cost struct {
	lookup   time.Duration // of one socket; 0: not measured yet
	dump     time.Duration // of all sockets; 0: not measured yet
	spent    time.Duration // on one way since the other was measured
	byLookup bool          // which way spent is of
}

// prefersLookups reports whether n lookups are the way to go: they are cheaper than
// a dump, or what they cost is to be measured again.
func (c *cost) prefersLookups(n int) bool {
	if c.dump == 0 {
		return false
	}
	each := c.lookup
	if each == 0 {
		each = lookupEstimate
	}
	lookups := time.Duration(n) * each
	cheaper, other := lookups < c.dump, c.dump
	if !cheaper {
		other = lookups
	}
	if c.byLookup == cheaper && c.spent >= measureAgain*other {
		return !cheaper
	}
	return cheaper
}

// lookedUp takes in what n lookups took.
func (c *cost) lookedUp(n int, took time.Duration) {
	if n > 0 {
		c.lookup = mean(c.lookup, took/time.Duration(n))
		c.spend(true, took)
	}
}

// dumped takes in what a dump took.
func (c *cost) dumped(took time.Duration) {
	c.dump = mean(c.dump, took)
	c.spend(false, took)
}

func (c *cost) spend(byLookup bool, took time.Duration) {
	if c.byLookup != byLookup {
		c.byLookup, c.spent = byLookup, 0
	}
	c.spent += took
}

// mean adds a measurement to a mean in which each counts less than the next. One
// that is far above, because the processor did something else meanwhile, does not
// carry it away.
func mean(before, took time.Duration) time.Duration {
	took = max(took, 1) // 0 stands for nothing measured
	if before == 0 {
		return took
	}
	took = min(took, mostAbove*before)
	return max(before+time.Duration(measureWeight*float64(took-before)), 1)
}
