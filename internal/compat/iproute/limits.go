package iproute

import (
	"fmt"
	"math"

	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
	"mptcpctl/pathmanager"
)

// unknownLimit is the complaint about a word that is no limit.
func unknownLimit(word string) error {
	text := fmt.Sprintf("Error: argument %q is wrong: unknown limit", word)
	return &ArgumentError{Text: text, Code: exit.IPUsage, Word: word, Names: []string{"subflows", "add_addr_accepted"}}
}

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
			return u, unknownLimit(word)
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
