package pages

import "math/bits"

// Len is the number of records in a page.
const Len = 256

// Table is a table of pages. A page that is nil holds no record.
type Table[T any] []*[Len]T

// At returns the record for reading.
func (t Table[T]) At(i uint32) *T { return &t[i/Len][i%Len] }

// Has reports whether there is a page for the record.
func (t Table[T]) Has(i uint32) bool { return i/Len < uint32(len(t)) && t[i/Len] != nil }

// Writer writes to a table whose pages may be shared with frozen copies. A page
// is copied before its first change after a freeze:
//
//	table          ──► [ A' | B | C ]      ages   [ 1 | 0 | 0 ], count 1
//	frozen before  ──► [ A  | B | C ]      A was copied to A' and changed, B and C are shared
type Writer[T any] struct {
	Table *Table[T]
	ages  []uint32 // freeze count at which each page became the writer's own
	count uint32   // of freezes
}

// At returns the record for writing, which is valid until the next call.
func (c *Writer[T]) At(i uint32) *T {
	p := i / Len
	for uint32(len(*c.Table)) <= p {
		*c.Table = append(*c.Table, nil)
		c.ages = append(c.ages, 0)
	}
	page := (*c.Table)[p]
	switch {
	case page == nil:
		page = new([Len]T)
	case c.ages[p] != c.count:
		own := *page
		page = &own
	default:
		return &page[i%Len]
	}
	(*c.Table)[p], c.ages[p] = page, c.count
	return &page[i%Len]
}

// Drop forgets a page.
func (c *Writer[T]) Drop(page uint32) {
	if page < uint32(len(*c.Table)) {
		(*c.Table)[page] = nil
	}
}

// Freeze returns the table as it is now, for reading.
func (c *Writer[T]) Freeze() Table[T] {
	c.count++
	return append(Table[T](nil), *c.Table...)
}

// Slots hands out record numbers, lowest first, so that a table that shrinks gives whole
// pages back.
type Slots struct {
	pages []slotPage
	first uint32 // no page before this one has a free slot
	used  int
}

type slotPage struct {
	used  uint16
	taken [Len / 64]uint64
}

// Used returns how many numbers are taken.
func (s *Slots) Used() int { return s.used }

// Take returns a free number.
func (s *Slots) Take() uint32 {
	for ; s.first < uint32(len(s.pages)); s.first++ {
		if s.pages[s.first].used < Len {
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
			return s.first*Len + uint32(w*64+free)
		}
	}
	panic("pages: a page counts a free slot that it does not have")
}

// Give takes the number back, and reports whether its page is empty now.
func (s *Slots) Give(i uint32) (empty bool) {
	p := &s.pages[i/Len]
	p.taken[i%Len/64] &^= 1 << (i % 64)
	p.used--
	s.used--
	s.first = min(s.first, i/Len)
	return p.used == 0
}

// Store is a table of records with its free Slots.
type Store[T any] struct {
	Writer[T]
	Slots
}

// Add puts a record in and returns its number.
func (s *Store[T]) Add(v T) uint32 {
	i := s.Take()
	*s.At(i) = v
	return i
}

// Remove frees the record.
func (s *Store[T]) Remove(i uint32) {
	if s.Give(i) {
		s.Drop(i / Len)
	}
}
