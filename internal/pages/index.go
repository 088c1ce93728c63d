package pages

// Index finds the slot of a live connection by its hash: open addressing with linear
// probing, in pages that are copied on write like the records. A cell holds the slot plus
// one; 0 is free. Here the hash of slot 7 begins at cell 1, and so does that of slot 2,
// which found cell 1 taken; slot 4 begins at cell 2 and had to move on as well:
//
//	cell    0     1     2     3     4  …
//	      [ 0  |  8  |  3  |  5  |  0  ]
//	             └ 7   └ 2   └ 4
//
// A search goes on to the first free cell. So Remove closes the gap it leaves, moving back
// each cell behind it that may stand there.
type Index struct {
	cells Writer[uint32]
	size  uint32 // a power of two, 0 before the first insert
	used  uint32
}

// Probe returns the cells from where the hash begins, for as long as they are in
// use and same rejects their slots.
func Probe(cells Table[uint32], size, hash uint32, same func(slot uint32) bool) (slot uint32, ok bool) {
	if size == 0 {
		return 0, false
	}
	for i := hash & (size - 1); ; i = (i + 1) & (size - 1) {
		cell := *cells.At(i)
		if cell == 0 {
			return 0, false
		}
		if same(cell - 1) {
			return cell - 1, true
		}
	}
}

// On sets the table that the index writes to. It is called once, before all else.
func (x *Index) On(cells *Table[uint32]) { x.cells.Table = cells }

// Freeze returns the cells as they are now, for [Probe].
func (x *Index) Freeze() Table[uint32] { return x.cells.Freeze() }

// Size returns the number of cells, a power of two, 0 before the first insert.
func (x *Index) Size() uint32 { return x.size }

// Used returns how many slots are in the index.
func (x *Index) Used() uint32 { return x.used }

// Insert puts a slot in. Hash returns that of any slot in the index.
func (x *Index) Insert(slot, h uint32, hash func(slot uint32) uint32) {
	if x.used*4 >= x.size*3 {
		x.resize(max(x.size*2, Len), hash)
	}
	x.put(slot, h)
	x.used++
}

func (x *Index) put(slot, h uint32) {
	i := h & (x.size - 1)
	for *x.cells.Table.At(i) != 0 {
		i = (i + 1) & (x.size - 1)
	}
	*x.cells.At(i) = slot + 1
}

// resize makes the table new in another size.
func (x *Index) resize(size uint32, hash func(slot uint32) uint32) {
	old := *x.cells.Table
	*x.cells.Table, x.cells.ages = nil, nil
	x.size = size
	x.cells.At(size - 1)
	for i := uint32(0); i < size; i += Len {
		x.cells.At(i)
	}
	for _, page := range old {
		for _, cell := range page {
			if cell != 0 {
				x.put(cell-1, hash(cell-1))
			}
		}
	}
}

// Remove takes a slot out and closes the gap that it leaves.
func (x *Index) Remove(slot, h uint32, hash func(slot uint32) uint32) {
	mask := x.size - 1
	i := h & mask
	for *x.cells.Table.At(i) != slot+1 {
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; ; j = (j + 1) & mask {
		cell := *x.cells.Table.At(j)
		if cell == 0 {
			break
		}
		// A cell may move back to i only where i is not before its own start.
		if home := hash(cell-1) & mask; (j-home)&mask >= (j-i)&mask {
			*x.cells.At(i) = cell
			i = j
		}
	}
	*x.cells.At(i) = 0
	x.used--
	if x.size > Len && x.used*8 < x.size {
		x.resize(x.size/2, hash)
	}
}
