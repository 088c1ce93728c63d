package radix

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// However many keys there are, their order is that of the comparison.
func TestSortKeys(t *testing.T) {
	compare := func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.High, b.High), cmp.Compare(a.Low, b.Low), cmp.Compare(a.Number, b.Number))
	}
	rapid.Check(t, func(t *rapid.T) {
		mask := rapid.SampledFrom([]uint64{0, 1, 0xff00, 1 << 63, 0xffff << 32, 0x0101010101010101, ^uint64(0)})
		high, low := mask.Draw(t, "high"), mask.Draw(t, "low")
		seed := rapid.Uint64().Draw(t, "seed")
		random := func() uint64 {
			seed = seed*6364136223846793005 + 1442695040888963407
			return seed ^ seed>>29
		}
		keys := make([]Key, rapid.SampledFrom([]int{0, 1, fewKeys, fewKeys + 1, 2000}).Draw(t, "keys"))
		for i := range keys {
			keys[i] = Key{random() & high, random() & low, uint32(random())}
		}
		want := slices.Clone(keys)
		slices.SortFunc(want, compare)
		if Sort(keys, compare); !slices.Equal(keys, want) {
			t.Fatal("not in order")
		}
	})
}
