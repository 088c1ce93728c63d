package sockdiag

// cookieSet holds the last cookies, or other keys, of a dump. Between two datagrams the
// kernel finds its place again by counting within one chain of its hash table. If a socket
// is added to the chain meanwhile, an old socket comes twice, one right after the other. So
// it is enough to know the last few, which stay in the processor's cache; a set of all
// would cost a tenth of the dump.
//
// It is two tables with open addressing. When the first is full it becomes the second, and
// the keys of the former second are forgotten.
type cookieSet struct {
	young, old [setSize]uint64 // 0 is free: the kernel gives no socket that cookie
	used       int             // of young
}

const (
	setSize = 1 << 11
	setFull = setSize / 2 // at least so many sockets are remembered: 25 datagrams of the kernel
)

// reset empties the set.
func (s *cookieSet) reset() {
	clear(s.young[:])
	clear(s.old[:])
	s.used = 0
}

// add adds the cookie and reports whether it is new. 0 always is.
func (s *cookieSet) add(cookie uint64) bool {
	if cookie == 0 {
		return true
	}
	if place := find(&s.old, cookie); *place == cookie {
		return false
	}
	place := find(&s.young, cookie)
	if *place == cookie {
		return false
	}
	*place = cookie
	if s.used++; s.used == setFull {
		s.old = s.young
		clear(s.young[:])
		s.used = 0
	}
	return true
}

// find returns the place of the cookie, or the free one for it.
func find(table *[setSize]uint64, cookie uint64) *uint64 {
	for i := spread(cookie) % setSize; ; i = (i + 1) % setSize {
		if table[i] == cookie || table[i] == 0 {
			return &table[i]
		}
	}
}

// spread makes the low bits of consecutive cookies, and of those that differ in the
// high bits alone, differ.
func spread(cookie uint64) uint64 {
	cookie *= 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	return cookie ^ cookie>>32
}
