package counters

import (
	"encoding/json"
	"iter"
	"slices"
	"strconv"
)

// Values are counters with their names, in the kernel's order. The zero value
// holds none. A Values never changes: it may be shared between goroutines.
type Values struct {
	names  []string // never written to: Since shares it
	values []uint64
}

// Get returns the value of the counter of that name, and whether the kernel has
// such a counter: one that is absent is not a zero.
func (v Values) Get(name string) (uint64, bool) {
	if i := slices.Index(v.names, name); i >= 0 {
		return v.values[i], true
	}
	return 0, false
}

// Len returns the number of counters.
func (v Values) Len() int { return len(v.names) }

// Equal reports whether the other table has the same counters with the same values.
func (v Values) Equal(other Values) bool {
	return slices.Equal(v.names, other.names) && slices.Equal(v.values, other.values)
}

// Names returns the names in the kernel's order.
func (v Values) Names() []string { return slices.Clone(v.names) }

// All yields name and value in the kernel's order.
func (v Values) All() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for i, name := range v.names {
			if !yield(name, v.values[i]) {
				return
			}
		}
	}
}

// Since returns what was counted since an earlier reading. A gauge such as
// MPCurrEstab does not count but tells the present: it keeps its value. So does a
// counter that the earlier reading has not, or that fell below it: then it
// belongs to another namespace or the host was started anew.
func (v Values) Since(before Values) Values {
	delta := Values{names: v.names, values: make([]uint64, len(v.values))}
	for i, name := range v.names {
		delta.values[i] = v.values[i]
		if IsGauge(name) {
			continue
		}
		if old, ok := before.at(i, name); ok && old <= v.values[i] {
			delta.values[i] -= old
		}
	}
	return delta
}

// at returns the value of a counter that is expected at index i, where it is in
// every reading of one kernel.
func (v Values) at(i int, name string) (uint64, bool) {
	if i < len(v.names) && v.names[i] == name {
		return v.values[i], true
	}
	return v.Get(name)
}

// Moved returns the counters that are not zero: of a delta, those that moved.
func (v Values) Moved() Values {
	var moved Values
	for name, value := range v.All() {
		if value != 0 {
			moved.names = append(moved.names, name)
			moved.values = append(moved.values, value)
		}
	}
	return moved
}

// MarshalJSON returns an object with the counters in the kernel's order.
func (v Values) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, name := range v.names {
		if i > 0 {
			b = append(b, ',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		b = append(append(b, key...), ':')
		b = strconv.AppendUint(b, v.values[i], 10)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote; the names come in alphabetical
// order.
func (v *Values) UnmarshalJSON(text []byte) error {
	var m map[string]uint64
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	*v = FromMap(m)
	return nil
}

// FromMap returns the values of a map, in alphabetical order: for recordings and
// tests.
func FromMap(m map[string]uint64) Values {
	var v Values
	for name := range m {
		v.names = append(v.names, name)
	}
	slices.Sort(v.names)
	for _, name := range v.names {
		v.values = append(v.values, m[name])
	}
	return v
}

// Select returns the counters whose names are wanted.
func (v Values) Select(wanted func(name string) bool) Values {
	var chosen Values
	for name, value := range v.All() {
		if wanted(name) {
			chosen.names = append(chosen.names, name)
			chosen.values = append(chosen.values, value)
		}
	}
	return chosen
}
