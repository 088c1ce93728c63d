package bpf

import "encoding/binary"

const (
	// indexed is how many types there are from one place that is noted to the next.
	indexed = 256
	// mostNested is how deep nameless members are looked into.
	mostNested = 8
)

// kindUnion is KindStruct whose members lie over each other.
const kindUnion Kind = 5

// description is a kernel's description of its types, in which they are found by
// their numbers.
type description struct {
	types, text []byte
	kinds       *[32]parts
	index       []uint32 // where each indexed-th type begins
}

// at returns the record of the type, nil if there is none.
func (d *description) at(id uint32) []byte {
	first, types := uint32(1), d.types
	if n := id / indexed; n > 0 {
		if int(n) > len(d.index) {
			return nil
		}
		first, types = n*indexed, d.types[d.index[n-1]:]
	}
	for ; ; first++ {
		record, err := d.first(types)
		if err != nil || first == id {
			return record
		}
		types = types[len(record):]
	}
}

// deepMembers looks for the question's members in a structure, and reports whether all
// are there.
func (d *description) deepMembers(q *Layout, record []byte) bool {
	for i, want := range q.Members {
		bits, found := d.member(record, want, mostNested)
		if !found {
			return false
		}
		q.Offsets[i], q.Bits[i] = bits/8, uint8(bits%8)
	}
	return true
}

// member returns where the member begins, in bits.
func (d *description) member(record []byte, want string, depth int) (bits uint32, found bool) {
	ne := binary.NativeEndian
	for p := record[typeHead:]; len(p) >= 12; p = p[12:] {
		name, at := ne.Uint32(p), ne.Uint32(p[8:])
		if hasBitFields(record) {
			at &= 0xffffff
		}
		if named(d.text, name, want) {
			return at, true
		}
		if depth == 0 || !named(d.text, name, "") {
			continue
		}
		inner := d.at(ne.Uint32(p[4:]))
		if inner == nil || recordKind(inner) != KindStruct && recordKind(inner) != kindUnion {
			continue
		}
		if bits, found := d.member(inner, want, depth-1); found {
			return at + bits, true
		}
	}
	return 0, false
}
