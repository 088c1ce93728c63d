package line

import (
	"fmt"
	"strconv"
	"strings"
)

// leastSize is the least size of a file that is bounded: each begins with a dump.
const leastSize = 10_000

// Size reads a number of bytes, with k, M or G behind it.
func Size(text string) (int64, error) {
	unit := int64(1)
	digits := text
	for suffix, n := range map[string]int64{"k": 1e3, "M": 1e6, "G": 1e9} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			digits, unit = rest, n
		}
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 1 || n*unit < leastSize {
		return 0, fmt.Errorf("%q: want a number of bytes such as 500k, 100M or 2G, at least 10k", text)
	}
	return n * unit, nil
}
