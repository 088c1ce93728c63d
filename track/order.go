package track

import "slices"

// sortKey orders most connections without a look at them: those of IPv4 by all that
// there is, those of IPv6 by the local address.
type sortKey struct {
	high, low uint64
	number    uint32
}

// digit returns a byte of the key, from the least significant, without the last four:
// there is the token, which tells only connections apart that have all else in common.
func (k *sortKey) digit(place int) uint8 {
	if place < lowDigits {
		return uint8(k.low >> (tokenBits + 8*place))
	}
	return uint8(k.high >> (8 * (place - lowDigits)))
}

const (
	tokenBits = 32
	lowDigits = (64 - tokenBits) / 8
	allDigits = lowDigits + 8
)

// sameDigits reports whether digit tells nothing of the order of the two.
func (k *sortKey) sameDigits(other *sortKey) bool {
	return k.high == other.high && k.low>>tokenBits == other.low>>tokenBits
}

// fewKeys is up to where comparing is faster than distributing.
const fewKeys = 256

// sortKeys sorts the keys as compare does, which must heed high and low first. Many
// keys it distributes by their digits, one after the other; in most lists only the
// ports differ, and some bytes of the addresses.
func sortKeys(keys []sortKey, compare func(a, b sortKey) int) {
	if len(keys) <= fewKeys {
		slices.SortFunc(keys, compare)
		return
	}
	var differ sortKey
	for i := range keys {
		differ.high |= keys[i].high ^ keys[0].high
		differ.low |= keys[i].low ^ keys[0].low
	}
	from, to := keys, make([]sortKey, len(keys))
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
func distribute(from, to []sortKey, place int) {
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
