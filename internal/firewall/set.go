package firewall

import (
	"bytes"
	"slices"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
)

// Set is a set or a map of a table, with its elements at the time of reading.
type Set struct {
	Family string `json:"family"`
	Table  string `json:"table"`
	Name   string `json:"name"`
	Flags  uint32 `json:"flags,omitempty"` // NFT_SET_*
	KeyLen uint32 `json:"key_len"`
	// Fields are the lengths of the parts of a key that is put together of several.
	Fields   []uint32  `json:"fields,omitempty"`
	Elements []Element `json:"elements,omitempty"`
	// Partial: there are more elements than were read.
	Partial bool `json:"partial,omitempty"`
}

// Element is an element of a set.
type Element struct {
	Key   []byte `json:"key,omitempty"`
	End   []byte `json:"end,omitempty"`  // the last key of a range, nil for one key alone
	Data  []byte `json:"data,omitempty"` // of a map: the netlink attributes of the value
	Flags uint32 `json:"flags,omitempty"`
	// Conditional: expressions of its own, such as a limit, decide as well.
	Conditional bool `json:"conditional,omitempty"`
}

// mostElements is how many elements of a set are read: lists of addresses can be
// very long.
const mostElements = 4096

// takeSet takes in a set's message.
func (f *Firewall) takeSet(msg []byte) {
	family, rest, ok := filterMessage(msg)
	if !ok {
		return
	}
	a := attributesOf(rest)
	s := Set{
		Family: family, Table: text(a[uapi.NftaSetTable]), Name: text(a[uapi.NftaSetName]),
		Flags: a.number(uapi.NftaSetFlags), KeyLen: a.number(uapi.NftaSetKeyLen),
	}
	concat := attributesOf(a[uapi.NftaSetDesc])[uapi.NftaSetDescConcat]
	for _, field := range nlmsg.Attributes(concat) {
		s.Fields = append(s.Fields, attributesOf(field).number(uapi.NftaSetFieldLen))
	}
	f.Sets = append(f.Sets, s)
}

// takeElements takes in a message with elements, behind those of all sets.
func (f *Firewall) takeElements(msg []byte) {
	family, rest, ok := filterMessage(msg)
	if !ok {
		return
	}
	a := attributesOf(rest)
	s := f.set(family, text(a[uapi.NftaSetElemListTable]), text(a[uapi.NftaSetElemListSet]))
	if s == nil {
		return
	}
	for _, data := range nlmsg.Attributes(a[uapi.NftaSetElemList]) {
		if len(s.Elements) == mostElements {
			s.Partial = true
			return
		}
		e := attributesOf(data)
		s.Elements = append(s.Elements, Element{
			Key:         slices.Clone(value(e[uapi.NftaSetElemKey])),
			End:         slices.Clone(value(e[uapi.NftaSetElemKeyEnd])),
			Data:        slices.Clone(e[uapi.NftaSetElemData]),
			Flags:       e.number(uapi.NftaSetElemFlags),
			Conditional: e[uapi.NftaSetElemExpr] != nil || e[uapi.NftaSetElemExprs] != nil,
		})
	}
}

func (f *Firewall) set(family, table, name string) *Set {
	for i := range f.Sets {
		if s := &f.Sets[i]; s.Family == family && s.Table == table && s.Name == name {
			return s
		}
	}
	return nil
}

// find returns the element that a key meets, nil for none, and whether that is sure.
func (s *Set) find(key []byte) (e *Element, sure bool) {
	sure = !s.Partial && s.Flags&(uapi.NftSetEval|uapi.NftSetTimeout) == 0 // else it changes by itself
	var all *Element
	ordered := s.Flags&uapi.NftSetInterval != 0 && len(s.Fields) < 2
	for i := range s.Elements {
		x := &s.Elements[i]
		switch {
		case x.Flags&uapi.NftSetElemCatchall != 0:
			all = x
		case ordered && x.End == nil:
			if bytes.Compare(x.Key, key) <= 0 && (e == nil || x.isNearer(e)) {
				e = x
			}
		case s.holds(x, key):
			return x, sure && !x.Conditional
		}
	}
	if e != nil && e.Flags&uapi.NftSetElemEnd != 0 {
		e = nil // behind the end of a range
	}
	if e == nil {
		e = all
	}
	return e, sure && (e == nil || !e.Conditional)
}

// isNearer reports whether x is the last element before a key, rather than e: of a
// range's end and the beginning of the next one the beginning counts.
func (x *Element) isNearer(e *Element) bool {
	order := bytes.Compare(x.Key, e.Key)
	return order > 0 || order == 0 && x.Flags&uapi.NftSetElemEnd == 0
}

// registerSize is how many bytes a part of a key takes at least.
const registerSize = 4

// holds reports whether the key is that of the element, or in its range, part by part.
func (s *Set) holds(e *Element, key []byte) bool {
	if e.End == nil {
		return bytes.Equal(e.Key, key)
	}
	if len(e.Key) != len(key) || len(e.End) != len(key) {
		return false
	}
	fields := s.Fields
	if len(fields) == 0 {
		fields = []uint32{uint32(len(key))}
	}
	at := 0
	for _, size := range fields {
		end := at + int(size)
		if end > len(key) {
			return false
		}
		if bytes.Compare(key[at:end], e.Key[at:end]) < 0 || bytes.Compare(key[at:end], e.End[at:end]) > 0 {
			return false
		}
		at = at + (int(size)+registerSize-1)/registerSize*registerSize // each begins one
	}
	return true
}

// lookup looks a register up in a set or a map.
func (m *machine) lookup(a attributes) (verdict int32, chain string) {
	s := m.sets.set(m.family, m.table, text(a[uapi.NftaLookupSet]))
	if s == nil {
		m.loseAll()
		return undecided, ""
	}
	isMap := a[uapi.NftaLookupDreg] != nil
	key, known := m.get(a.number(uapi.NftaLookupSreg), int(min(s.KeyLen, registerBytes+1)))
	if !known {
		m.doubts(unknown)
		if isMap {
			m.puzzled = true
			m.put(a.number(uapi.NftaLookupDreg), nil)
		}
		return undecided, ""
	}
	e, sure := s.find(key)
	if !sure {
		m.doubts(unknown)
		m.puzzled = m.puzzled || isMap
	}
	switch {
	case isMap && e == nil:
		return m.unless(!sure, nftBreak), ""
	case isMap:
		return m.load(a.number(uapi.NftaLookupDreg), e.Data)
	case (e != nil) == (a.number(uapi.NftaLookupFlags)&uapi.NftLookupFInv != 0):
		return m.unless(!sure, nftBreak), ""
	}
	return undecided, ""
}

// unless returns the verdict, undecided where it is open.
func (m *machine) unless(open bool, verdict int32) int32 {
	if open {
		return undecided
	}
	return verdict
}
