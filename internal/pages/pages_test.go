package pages

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// A store behaves as a map does, whatever is added, removed and changed, and what was
// frozen stays as it was.
func TestStoreIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table Table[int]
		s := Store[int]{Writer: Writer[int]{Table: &table}}
		model := map[uint32]int{}
		var frozen Table[int]
		var then map[uint32]int
		numbers := func() []uint32 {
			var all []uint32
			for i := range uint32(8 * Len) {
				if _, ok := model[i]; ok {
					all = append(all, i)
				}
			}
			return all
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range rapid.SampledFrom([]int{1, 3, Len}).Draw(t, "records") {
					value := rapid.Int().Draw(t, "value")
					i := s.Add(value)
					if _, taken := model[i]; taken {
						t.Fatalf("number %d was given twice", i)
					}
					model[i] = value
				}
			},
			"remove": func(t *rapid.T) {
				if held := numbers(); len(held) > 0 {
					i := rapid.SampledFrom(held).Draw(t, "number")
					s.Remove(i)
					delete(model, i)
				}
			},
			"change": func(t *rapid.T) {
				if held := numbers(); len(held) > 0 {
					i := rapid.SampledFrom(held).Draw(t, "number")
					model[i] = rapid.Int().Draw(t, "value")
					*s.At(i) = model[i]
				}
			},
			"freeze": func(*rapid.T) { frozen, then = s.Freeze(), maps.Clone(model) },
			"": func(t *rapid.T) {
				if s.Used() != len(model) {
					t.Fatalf("%d records, want %d", s.Used(), len(model))
				}
				check(t, table, model)
				check(t, frozen, then)
			},
		})
	})
}

func check(t *rapid.T, table Table[int], want map[uint32]int) {
	t.Helper()
	for i, value := range want {
		if !table.Has(i) || *table.At(i) != value {
			t.Fatalf("record %d is not %d", i, value)
		}
	}
}

// Numbers are given lowest first, so that the pages at the end become empty.
func TestSlotsAreGivenLowestFirst(t *testing.T) {
	var s Slots
	for want := range uint32(3 * Len) {
		if got := s.Take(); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	}
	s.Give(2*Len + 1)
	s.Give(7)
	if got := s.Take(); got != 7 {
		t.Errorf("got %d, want 7", got)
	}
	if got := s.Take(); got != 2*Len+1 {
		t.Errorf("got %d, want %d", got, 2*Len+1)
	}
	for i := range uint32(Len) {
		if empty := s.Give(i); empty != (i == Len-1) {
			t.Fatalf("after %d records of a page it is empty: %v", i+1, empty)
		}
	}
}

// An index finds what is in it and nothing else, also where many hashes are the same, and
// a frozen one finds what was in it then.
func TestIndexIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mask := rapid.SampledFrom([]uint32{0, 3, 0xff, 0xffffffff}).Draw(t, "hashes")
		hash := func(slot uint32) uint32 { return slot * 0x9e3779b1 & mask }
		var cells Table[uint32]
		var x Index
		x.On(&cells)
		model := map[uint32]bool{}
		find := func(cells Table[uint32], size, slot uint32) bool {
			_, ok := Probe(cells, size, hash(slot), func(other uint32) bool { return other == slot })
			return ok
		}
		for range rapid.IntRange(1, 1500).Draw(t, "steps") {
			slot := rapid.Uint32Range(0, 700).Draw(t, "slot")
			if model[slot] {
				x.Remove(slot, hash(slot), hash)
				delete(model, slot)
			} else {
				x.Insert(slot, hash(slot), hash)
				model[slot] = true
			}
		}
		frozen, size, then := x.Freeze(), x.Size(), maps.Clone(model)
		for slot := range uint32(300) {
			if !model[slot] {
				x.Insert(slot, hash(slot), hash)
				model[slot] = true
			}
		}
		if int(x.Used()) != len(model) {
			t.Fatalf("%d slots, want %d", x.Used(), len(model))
		}
		for slot := range uint32(701) {
			if find(cells, x.Size(), slot) != model[slot] {
				t.Fatalf("slot %d is found: %v", slot, !model[slot])
			}
			if find(frozen, size, slot) != then[slot] {
				t.Fatalf("slot %d is found in the frozen index: %v", slot, !then[slot])
			}
		}
	})
}

// Records of an arena stay where they are while it grows.
func TestArenaKeepsItsRecords(t *testing.T) {
	var a Arena[int]
	first := a.Add()
	*first = 1
	for i := 1; i < 3*arenaBlock; i++ {
		*a.Add() = i + 1
	}
	if a.Len() != 3*arenaBlock || a.At(0) != first || *a.At(2 * arenaBlock) != 2*arenaBlock+1 {
		t.Errorf("%d records, the first is %d", a.Len(), *a.At(0))
	}
}
