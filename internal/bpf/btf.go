package bpf

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// Layout is a question about a type, and its answer.
type Layout struct {
	Kind    Kind
	Name    string
	Members []string // whose offsets are wanted
	Deep    bool     // members of nameless members count too, and bit fields; else neither does

	ID      uint32   // number of the type; 0: there is none with such members
	Offsets []uint32 // of Members, in bytes
	Bits    []uint8  // of Members, if Deep: the first bit within that byte, as a little-endian machine counts them
}

// Offset returns where the member is, in bytes from the start of the structure. It panics
// on a name that is not among Members.
func (q *Layout) Offset(member string) uint32 { return q.Offsets[slices.Index(q.Members, member)] }

// Bit returns the first bit of the member within its byte, if Deep. It panics on a name
// that is not among Members.
func (q *Layout) Bit(member string) uint8 { return q.Bits[slices.Index(q.Members, member)] }

// Complete reports whether all questions have an answer, with offsets that fit into an
// instruction.
func Complete(answers []Layout) bool {
	return !slices.ContainsFunc(answers, func(q Layout) bool {
		return q.ID == 0 || slices.ContainsFunc(q.Offsets, func(at uint32) bool { return at > math.MaxInt16 })
	})
}

// Kind is a kind of type (BTF_KIND_*).
type Kind uint8

// The kinds that are asked for.
const (
	KindStruct   Kind = 4
	KindFunction Kind = 12
)

// errBTF is the error of a description that cannot be read: of a newer form, or
// broken.
var errBTF = errors.New("the kernel's description of its types has an unknown form")

// btfMagic begins a description.
const btfMagic = 0xeb9f

// parts is what a type record has behind its 12 bytes of head: a fixed number of bytes,
// and some for each part.
type parts struct {
	known       bool
	fixed, each uint8
}

// partsOf are those of each kind.
func partsOf() *[32]parts {
	kinds := &[32]parts{}
	for _, kind := range []Kind{1, 14, 17} { // INT, VAR, DECL_TAG
		kinds[kind] = parts{true, 4, 0}
	}
	// PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FLOAT, TYPE_TAG
	for _, kind := range []Kind{2, 7, 8, 9, 10, 11, KindFunction, 16, 18} {
		kinds[kind] = parts{true, 0, 0}
	}
	kinds[3] = parts{true, 12, 0}                                // ARRAY
	for _, kind := range []Kind{KindStruct, kindUnion, 15, 19} { // DATASEC, ENUM64
		kinds[kind] = parts{true, 0, 12}
	}
	for _, kind := range []Kind{6, 13} { // ENUM, FUNC_PROTO
		kinds[kind] = parts{true, 0, 8}
	}
	return kinds
}

const typeHead = 12

// Layouts answers the questions from a kernel's description of its types (BTF), as
// /sys/kernel/btf/vmlinux has it. It goes once over the types and keeps nothing.
// Types with the same name are told apart by whether they have the members. The
// error is that of a description that cannot be read; a question without an answer
// is none.
func Layouts(btf []byte, questions []Layout) error {
	types, text, err := sections(btf)
	if err != nil {
		return err
	}
	d := description{types: types, text: text, kinds: partsOf()}
	open, deep := 0, 0
	var wanted [32]bool // kinds
	for i := range questions {
		q := &questions[i]
		q.ID, q.Offsets, q.Bits = 0, make([]uint32, len(q.Members)), make([]uint8, len(q.Members))
		if q.Name == "" {
			continue
		}
		open++
		wanted[q.Kind&0x1f] = true
		if q.Deep {
			deep++
		}
	}
	var later []candidate // what nameless members are, may stand behind
	for id := uint32(1); len(types) > 0 && (open > 0 || deep > 0); id++ {
		record, err := d.first(types)
		if err != nil {
			return err
		}
		if id%indexed == 0 && deep > 0 {
			d.index = append(d.index, uint32(len(d.types)-len(types)))
		}
		types = types[len(record):]
		if !wanted[recordKind(record)] {
			continue
		}
		for i := range questions {
			q := &questions[i]
			switch {
			case q.ID != 0 || q.Name == "" || q.Kind != recordKind(record) || !named(text, recordName(record), q.Name):
			case q.Deep:
				later = append(later, candidate{q, id, record})
			case q.members(record[typeHead:], text, hasBitFields(record)):
				q.ID = id
				open--
			}
		}
	}
	for _, c := range later {
		if c.question.ID == 0 && d.deepMembers(c.question, c.record) {
			c.question.ID = c.id
		}
	}
	return nil
}

// candidate is a type that may be what a question asks for.
type candidate struct {
	question *Layout
	id       uint32
	record   []byte
}

// first returns the first record of the types, with its parts.
func (d *description) first(types []byte) ([]byte, error) {
	if len(types) < typeHead {
		return nil, errBTF
	}
	info := binary.NativeEndian.Uint32(types[4:])
	kind := &d.kinds[info>>24&0x1f]
	size := typeHead + int(kind.fixed) + int(kind.each)*int(info&0xffff)
	if !kind.known || size > len(types) {
		return nil, errBTF
	}
	return types[:size], nil
}

func recordName(record []byte) uint32 { return binary.NativeEndian.Uint32(record) }
func recordKind(record []byte) Kind   { return Kind(binary.NativeEndian.Uint32(record[4:]) >> 24 & 0x1f) }
func hasBitFields(record []byte) bool { return binary.NativeEndian.Uint32(record[4:])>>31 != 0 }

// sections returns the types and the strings of a description.
func sections(btf []byte) (types, text []byte, err error) {
	const header = 24
	ne := binary.NativeEndian
	if len(btf) < header || ne.Uint16(btf) != btfMagic || btf[2] != 1 {
		return nil, nil, errBTF
	}
	cut := func(at, n uint32) []byte {
		start := uint64(ne.Uint32(btf[4:])) + uint64(at) // length of the header
		if start+uint64(n) > uint64(len(btf)) {
			return nil
		}
		return btf[start : start+uint64(n)]
	}
	types = cut(ne.Uint32(btf[8:]), ne.Uint32(btf[12:]))
	text = cut(ne.Uint32(btf[16:]), ne.Uint32(btf[20:]))
	if types == nil || text == nil {
		return nil, nil, errBTF
	}
	return types, text, nil
}

// members looks for the members in the parts of a structure, and reports whether
// all are there and none is a part of a byte.
func (q *Layout) members(parts, text []byte, fields bool) bool {
	ne := binary.NativeEndian
	for i, want := range q.Members {
		found := false
		for p := parts; len(p) >= 12 && !found; p = p[12:] {
			bits := ne.Uint32(p[8:])
			if fields && bits>>24 != 0 || bits%8 != 0 || !named(text, ne.Uint32(p), want) {
				continue
			}
			if fields {
				bits &= 0xffffff
			}
			q.Offsets[i], found = bits/8, true
		}
		if !found {
			return false
		}
	}
	return true
}

// named reports whether the string at an offset is the name.
func named(text []byte, at uint32, name string) bool {
	if uint64(at)+uint64(len(name)) >= uint64(len(text)) {
		return false
	}
	s := text[at:]
	return string(s[:len(name)]) == name && s[len(name)] == 0
}
