package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// member and typ are what a description is written from.
type member struct {
	name string
	bits uint32
	size uint8  // of a bit field
	typ  uint32 // its type; 0 is the first one
}

type typ struct {
	kind    Kind
	name    string
	members []member // of a structure
	parts   int      // of other kinds
	fields  bool     // there are bit fields
}

// describe writes a description as the kernel does.
func describe(list []typ) []byte {
	ne, kinds := binary.NativeEndian, partsOf()
	text := []byte{0}
	word := func(s string) uint32 {
		if s == "" {
			return 0
		}
		if at := bytes.Index(text, append([]byte("\x00"+s), 0)); at >= 0 {
			return uint32(at + 1)
		}
		text = append(append(text, s...), 0)
		return uint32(len(text) - len(s) - 1)
	}
	var types []byte
	for _, t := range list {
		parts := t.parts
		structure := len(t.members) > 0 || t.kind == KindStruct
		if structure {
			parts = len(t.members)
		}
		info := uint32(t.kind)<<24 | uint32(parts)
		if t.fields {
			info |= 1 << 31
		}
		types = ne.AppendUint32(types, word(t.name))
		types = ne.AppendUint32(types, info)
		types = ne.AppendUint32(types, 0)
		if structure {
			for _, m := range t.members {
				types = ne.AppendUint32(types, word(m.name))
				types = ne.AppendUint32(types, max(m.typ, 1))
				types = ne.AppendUint32(types, m.bits|uint32(m.size)<<24)
			}
			continue
		}
		kind := kinds[t.kind]
		types = append(types, make([]byte, int(kind.fixed)+int(kind.each)*parts)...)
	}
	b := ne.AppendUint16(nil, btfMagic)
	b = append(b, 1, 0)
	for _, n := range []int{24, 0, len(types), len(types), len(text)} {
		b = ne.AppendUint32(b, uint32(n))
	}
	return append(append(b, types...), text...)
}

func TestLayouts(t *testing.T) {
	btf := describe([]typ{
		{kind: 1, name: "int"},
		{kind: KindStruct, name: "file", members: []member{{name: "other"}}}, // another one of the name
		{kind: 6, name: "task", parts: 3},
		{
			kind:    KindStruct,
			name:    "task",
			fields:  true,
			members: []member{{name: "flag", bits: 8, size: 1}, {name: "pid", bits: 64}, {name: "odd", bits: 65}},
		},
		{
			kind:    KindStruct,
			name:    "file",
			members: []member{{name: "", bits: 0}, {name: "f_inode", bits: 320}, {name: "pid", bits: 0x1000000}},
		},
		{kind: 13, parts: 4},
		{kind: KindFunction, name: "task"},
	})
	questions := []Layout{
		{Kind: KindStruct, Name: "file", Members: []string{"f_inode", "pid"}},
		{Kind: KindFunction, Name: "task"},
		{Kind: KindStruct, Name: "task", Members: []string{"pid"}},
		{Kind: KindStruct, Name: "task", Members: []string{"flag"}}, // less than a byte
		{Kind: KindStruct, Name: "task", Members: []string{"odd"}},
		{Kind: KindStruct, Name: "file", Members: []string{"f_inod"}},
		{Kind: KindStruct, Name: "fil"},
		{Kind: KindStruct, Name: "int"},
		{Kind: KindStruct, Name: ""},
	}
	if err := Layouts(btf, questions); err != nil {
		t.Fatal(err)
	}
	want := []uint32{5, 7, 4, 0, 0, 0, 0, 0, 0}
	for i, q := range questions {
		if q.ID != want[i] {
			t.Errorf("%v %s %v: type %d, want %d", q.Kind, q.Name, q.Members, q.ID, want[i])
		}
	}
	if !slices.Equal(questions[0].Offsets, []uint32{40, 0x200000}) || !slices.Equal(questions[2].Offsets, []uint32{8}) {
		t.Errorf("offsets %v and %v", questions[0].Offsets, questions[2].Offsets)
	}
}

// Members of nameless members are found where they lie, wherever their types stand, and
// bit fields with their bits.
func TestLayoutsDeep(t *testing.T) {
	list := []typ{
		{kind: 1, name: "int"},
		{
			kind:    KindStruct,
			name:    "flow",
			members: []member{{name: "plain", bits: 8}, {bits: 128, typ: 600}, {name: "named", bits: 512, typ: 4}},
		},
		{kind: KindStruct, name: "flow", members: []member{{name: "plain", bits: 32}, {bits: 64, typ: 600}}},
		{kind: KindStruct, members: []member{{name: "inside", bits: 8}}},
		{kind: KindStruct, name: "loop", members: []member{{bits: 8, typ: 5}}},
	}
	for len(list) < 599 { // more than one place of the index
		list = append(list, typ{kind: 2, name: "pointer"})
	}
	list = append(
		list,
		typ{kind: kindUnion, members: []member{{name: "whole", bits: 0}, {bits: 32, typ: 601}}},
		typ{
			kind:   KindStruct,
			fields: true,
			members: []member{
				{name: "first", bits: 0, size: 1},
				{name: "tenth", bits: 9, size: 1},
				{name: "word", bits: 32},
			},
		},
	)
	questions := []Layout{
		{Kind: KindStruct, Name: "flow", Deep: true, Members: []string{"plain", "whole", "first", "tenth", "word"}},
		{Kind: KindStruct, Name: "flow", Members: []string{"whole"}},
		{Kind: KindStruct, Name: "flow", Deep: true, Members: []string{"inside"}},
		{Kind: KindStruct, Name: "loop", Deep: true, Members: []string{"none"}},
	}
	if err := Layouts(describe(list), questions); err != nil {
		t.Fatal(err)
	}
	for i, id := range []uint32{2, 0, 0, 0} {
		if questions[i].ID != id {
			t.Errorf("%v: type %d, want %d", questions[i].Members, questions[i].ID, id)
		}
	}
	if q := questions[0]; !slices.Equal(q.Offsets, []uint32{1, 16, 20, 21, 24}) ||
		!slices.Equal(q.Bits, []uint8{0, 0, 0, 1, 0}) {
		t.Errorf("offsets %v, bits %v", q.Offsets, q.Bits)
	}
}

func TestLayoutsOfBrokenDescriptions(t *testing.T) {
	whole := describe(
		[]typ{
			{kind: 1, name: "int"},
			{kind: KindStruct, name: "a", members: []member{{name: "b"}}},
			{kind: 30, name: "new"},
		},
	)
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"a head":          whole[:24],
		"cut short":       whole[:len(whole)-1],
		"no magic":        append([]byte{0, 0}, whole[2:]...),
		"a newer version": append(append(slices.Clone(whole[:2]), 2), whole[3:]...), "an unknown kind": whole,
	} {
		if err := Layouts(b, []Layout{{Kind: KindStruct, Name: "new"}}); !errors.Is(err, errBTF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is written is found again, whatever stands around it.
func TestLayoutsFindsAll(t *testing.T) {
	kinds := []Kind{1, 2, 3, KindStruct, 5, 6, 7, 8, 9, 10, 11, KindFunction, 13, 14, 15, 16, 17, 18, 19}
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.StringMatching(`[a-c]{1,3}`)
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) typ {
			x := typ{
				kind:  rapid.SampledFrom(kinds).Draw(t, "kind"),
				name:  names.Draw(t, "name"),
				parts: rapid.IntRange(0, 5).Draw(t, "parts"),
			}
			if x.kind == KindStruct {
				x.fields = rapid.Bool().Draw(t, "fields")
				for _, name := range rapid.SliceOfNDistinct(names, 0, 4, rapid.ID[string]).Draw(t, "members") {
					x.members = append(
						x.members,
						member{name: name, bits: 8 * rapid.Uint32Range(0, 1<<20).Draw(t, "offset")},
					)
				}
			}
			return x
		}), 1, 30).Draw(t, "types")
		btf := describe(list)
		for _, x := range list {
			q := Layout{Kind: x.kind, Name: x.name}
			for _, m := range x.members {
				q.Members = append(q.Members, m.name)
			}
			questions := []Layout{q}
			if err := Layouts(btf, questions); err != nil {
				t.Fatal(err)
			}
			got := questions[0]
			if got.ID == 0 {
				t.Fatalf("%+v is not found", x)
			}
			y := list[got.ID-1] // this one, or the first like it
			if y.kind != x.kind || y.name != x.name {
				t.Fatalf("%+v is found at %+v", x, y)
			}
			for i, name := range q.Members {
				at := slices.IndexFunc(y.members, func(m member) bool { return m.name == name })
				if at < 0 || y.members[at].bits/8 != got.Offsets[i] {
					t.Fatalf("%s of %+v is at %d", name, y, got.Offsets[i])
				}
			}
		}
	})
}

// FuzzLayouts: no description leads out of it, and an answer is one that it holds.
func FuzzLayouts(f *testing.F) {
	f.Add(
		describe([]typ{{kind: KindStruct, name: "file", members: []member{{name: "f_inode", bits: 64}}}}),
		"file",
		"f_inode",
	)
	f.Add(describe([]typ{{kind: 30}}), "file", "f_inode")
	f.Fuzz(func(t *testing.T, btf []byte, name, part string) {
		if strings.Contains(name+part, "\x00") {
			t.Skip("no name") // it ends a string
		}
		deep := []Layout{{Kind: KindStruct, Name: name, Members: []string{part}, Deep: true}}
		questions := []Layout{{Kind: KindStruct, Name: name, Members: []string{part}}}
		if Layouts(btf, deep) == nil && Layouts(btf, questions) == nil && questions[0].ID != 0 && deep[0].ID == 0 {
			t.Fatalf("who looks deeper does not find %s of %s", part, name)
		}
		if err := Layouts(btf, questions); err != nil || questions[0].ID == 0 {
			return
		}
		// Read again, in the simplest way.
		ne := binary.NativeEndian
		types, text, err := sections(btf)
		if err != nil {
			t.Fatal(err)
		}
		kinds := partsOf()
		for range questions[0].ID - 1 {
			info := ne.Uint32(types[4:])
			kind := kinds[info>>24&0x1f]
			types = types[typeHead+int(kind.fixed)+int(kind.each)*int(info&0xffff):]
		}
		string0 := func(at uint32) string {
			s, _, _ := bytes.Cut(text[at:], []byte{0})
			return string(s)
		}
		if got := string0(ne.Uint32(types)); got != name {
			t.Fatalf("type %d is %q, not %q", questions[0].ID, got, name)
		}
		for p := types[typeHead:]; ; p = p[12:] {
			if ne.Uint32(p[8:])&0xffffff/8 == questions[0].Offsets[0]&0x1fffff && string0(ne.Uint32(p)) == part {
				return
			}
		}
	})
}

// order is 0 on little endian machines.
func order() int { return int(binary.NativeEndian.Uint16([]byte{0, 1})) & 1 }

func TestProgramBytes(t *testing.T) {
	var p Program
	p.Op(Set, 3, 0, 0, -1)
	p.Jump(IfEqual, 1, 7, "end")
	p.Wide(2, 1, 5, 6)
	p.JumpSame(IfNotSame, 1, 2, "end")
	p.Label("end")
	p.Op(Exit, 0, 0, 0, 0)
	ne := binary.NativeEndian
	b := p.Bytes()
	if len(b) != 6*8 {
		t.Fatalf("%d bytes", len(b))
	}
	type in struct {
		code, registers uint8
		off             int16
		imm             int32
	}
	turn := func(dst, src uint8) uint8 {
		if order() == 0 {
			return dst | src<<4
		}
		return dst<<4 | src
	}
	for i, want := range []in{
		{0xb7, turn(3, 0), 0, -1}, {0x15, turn(1, 0), 3, 7}, {0x18, turn(2, 1), 0, 5},
		{0, 0, 0, 6}, {0x5d, turn(1, 2), 0, 0}, {0x95, 0, 0, 0},
	} {
		g := b[8*i:]
		if got := (in{g[0], g[1], int16(ne.Uint16(g[2:])), int32(ne.Uint32(g[4:]))}); got != want {
			t.Errorf("instruction %d: %+v, want %+v", i, got, want)
		}
	}
}
