package radix

import "slices"

// Key orders most records without a look at them.
type Key struct {
	High, Low uint64
	Number    uint32 // of the record
}

// digit returns a byte of the key, from the least significant, without the last four:
// they tell only records apart that have all else in common.
func (k *Key) digit(place int) uint8 {
	if place < lowDigits {
		return uint8(k.Low >> (tailBits + 8*place))
	}
	return uint8(k.High >> (8 * (place - lowDigits)))
}

const (
	tailBits  = 32
	lowDigits = (64 - tailBits) / 8
	allDigits = lowDigits + 8
)

// sameDigits reports whether digit tells nothing of the order of the two.
func (k *Key) sameDigits(other *Key) bool {
	return k.High == other.High && k.Low>>tailBits == other.Low>>tailBits
}

// fewKeys is up to where comparing is faster than distributing.
const fewKeys = 256

// Sort sorts the keys as compare does, which must heed High and Low first. Many
// keys it distributes by their digits, one after the other; in most lists only the
// ports differ, and some bytes of the addresses.
func Sort(keys []Key, compare func(a, b Key) int) {
	if len(keys) <= fewKeys {
		slices.SortFunc(keys, compare)
		return
	}
	var differ Key
	for i := range keys {
		differ.High |= keys[i].High ^ keys[0].High
		differ.Low |= keys[i].Low ^ keys[0].Low
	}
	from, to := keys, make([]Key, len(keys))
	for place := range allDigits {
		if differ.digit(place) != 0 {
			distribute(from, to, place)
			from, to = to, from
		}
	}
	copy(keys, from)
	for len(keys) > 0 {
		n := 1
		for n < len(keys) && keys[n].sameDigits(&keys[0]) {
			n++
		}
		if n > 1 {
			slices.SortFunc(keys[:n], compare)
		}
		keys = keys[n:]
	}
}

// distribute copies the keys in the order of a digit; those in which it is the same
// stay in theirs.
func distribute(from, to []Key, place int) {
	var next [256]int
	for i := range from {
		next[from[i].digit(place)]++
	}
	sum := 0
	for i, n := range next {
		next[i] = sum
		sum += n
	}
	for i := range from {
		d := from[i].digit(place)
		to[next[d]] = from[i]
		next[d]++
	}
}
