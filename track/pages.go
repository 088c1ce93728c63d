package track

import "math/bits"

// pageLen is the number of records in a page.
const pageLen = 256

// tab is a table of pages. A page that is nil holds no record.
type tab[T any] []*[pageLen]T

// at returns the record for reading.
func (t tab[T]) at(i uint32) *T { return &t[i/pageLen][i%pageLen] }

// has reports whether there is a page for the record.
func (t tab[T]) has(i uint32) bool { return i/pageLen < uint32(len(t)) && t[i/pageLen] != nil }

// cow (copy on write) writes to a tab whose pages may be shared with frozen copies. A page
// is copied before its first change after a freeze:
//
//	tab            ──► [ A' | B | C ]      ages   [ 1 | 0 | 0 ], count 1
//	frozen before  ──► [ A  | B | C ]      A was copied to A' and changed, B and C are shared
type cow[T any] struct {
	tab   *tab[T]
	ages  []uint32 // freeze count at which each page became the writer's own
	count uint32   // of freezes
}

// at returns the record for writing, which is valid until the next call.
func (c *cow[T]) at(i uint32) *T {
	p := i / pageLen
	for uint32(len(*c.tab)) <= p {
		*c.tab = append(*c.tab, nil)
		c.ages = append(c.ages, 0)
	}
	page := (*c.tab)[p]
	switch {
	case page == nil:
		page = new([pageLen]T)
	case c.ages[p] != c.count:
		own := *page
		page = &own
	default:
		return &page[i%pageLen]
	}
	(*c.tab)[p], c.ages[p] = page, c.count
	return &page[i%pageLen]
}

// drop forgets a page.
func (c *cow[T]) drop(page uint32) {
	if page < uint32(len(*c.tab)) {
		(*c.tab)[page] = nil
	}
}

// freeze returns the table as it is now, for reading.
func (c *cow[T]) freeze() tab[T] {
	c.count++
	return append(tab[T](nil), *c.tab...)
}

// slots hands out record numbers, lowest first, so that a table that shrinks gives whole
// pages back.
type slots struct {
	pages []slotPage
	first uint32 // no page before this one has a free slot
	used  int
}

type slotPage struct {
	used  uint16
	taken [pageLen / 64]uint64
}

// take returns a free number.
func (s *slots) take() uint32 {
	for ; s.first < uint32(len(s.pages)); s.first++ {
		if s.pages[s.first].used < pageLen {
			break
		}
	}
	if s.first == uint32(len(s.pages)) {
		s.pages = append(s.pages, slotPage{})
	}
	p := &s.pages[s.first]
	for w := range p.taken {
		if free := bits.TrailingZeros64(^p.taken[w]); free < 64 {
			p.taken[w] |= 1 << free
			p.used++
			s.used++
			return s.first*pageLen + uint32(w*64+free)
		}
	}
	panic("track: a page counts a free slot that it does not have")
}

// give takes the number back, and reports whether its page is empty now.
func (s *slots) give(i uint32) (empty bool) {
	p := &s.pages[i/pageLen]
	p.taken[i%pageLen/64] &^= 1 << (i % 64)
	p.used--
	s.used--
	s.first = min(s.first, i/pageLen)
	return p.used == 0
}

// store is a table of records with its free slots.
type store[T any] struct {
	cow[T]
	slots
}

// add puts a record in and returns its number.
func (s *store[T]) add(v T) uint32 {
	i := s.take()
	*s.at(i) = v
	return i
}

// remove frees the record.
func (s *store[T]) remove(i uint32) {
	if s.give(i) {
		s.drop(i / pageLen)
	}
}
