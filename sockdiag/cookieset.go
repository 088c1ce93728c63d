package sockdiag

// cookieSet is the set of the cookies, or other keys, that a dump has shown. The kernel finds its
// place again by counting: a socket that is added before that place meanwhile
// shows an old one twice. It is a table with open addressing that keeps its
// memory from dump to dump: a map would cost a tenth of the dump.
type cookieSet struct {
	slots []uint64 // length a power of two; 0 is free: the kernel gives no socket that cookie
	used  int
}

// reset empties the set.
func (s *cookieSet) reset() {
	clear(s.slots)
	s.used = 0
}

// add adds the cookie and reports whether it is new. 0 always is.
func (s *cookieSet) add(cookie uint64) bool {
	if cookie == 0 {
		return true
	}
	if 2*s.used >= len(s.slots) {
		s.grow()
	}
	mask := uint64(len(s.slots) - 1)
	for i := spread(cookie) & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case cookie:
			return false
		case 0:
			s.slots[i] = cookie
			s.used++
			return true
		}
	}
}

// grow doubles the table.
func (s *cookieSet) grow() {
	old := s.slots
	s.slots = make([]uint64, max(256, 2*len(old)))
	s.used = 0
	for _, cookie := range old {
		if cookie != 0 {
			s.add(cookie)
		}
	}
}

// spread makes the low bits of consecutive cookies, and of those that differ in the
// high bits alone, differ.
func spread(cookie uint64) uint64 {
	cookie *= 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	return cookie ^ cookie>>32
}
