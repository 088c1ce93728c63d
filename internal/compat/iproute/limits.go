package iproute

import (
	"math"

	"mptcpctl/internal/grammar"
	"mptcpctl/pathmanager"
)

// ParseLimits reads keywords, which may be shortened, and their numbers.
func ParseLimits(args []string) (u pathmanager.LimitsUpdate, err error) {
	w := &words{rest: args}
	for len(w.rest) > 0 {
		word := w.rest[0]
		w.rest = w.rest[1:]
		var limit **uint32
		name := ""
		switch {
		case grammar.Matches(word, "subflows"):
			limit, name = &u.Subflows, "subflows"
		case grammar.Matches(word, "add_addr_accepted"):
			limit, name = &u.AddAddrAccepted, "add_addr_accepted"
		default:
			return u, wrongArgument("unknown limit", word)
		}
		value, err := w.value()
		if err != nil {
			return u, err
		}
		n, ok := ParseUint(value, math.MaxUint32)
		if !ok {
			return u, wrongArgument("invalid "+name+"\n", value)
		}
		*limit = new(uint32(n))
	}
	return u, nil
}
