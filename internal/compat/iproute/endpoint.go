package iproute

import (
	"math"
	"net/netip"

	"mptcpctl/internal/device"
	"mptcpctl/internal/grammar"
	"mptcpctl/mptcp"
)

// Verb tells the verbs of the endpoint's grammar apart.
type Verb uint8

const (
	Add Verb = iota
	Change
	Delete
	Show
)

// Endpoint is what the words behind a verb say.
type Endpoint struct {
	Address netip.Addr
	ID      mptcp.AddressID
	HasID   bool
	Port    uint16
	Flags   mptcp.EndpointFlags
	Cleared mptcp.EndpointFlags // by nobackup, nofullmesh
	IfIndex int32
	anyWord bool // the address was "any": no bytes
}

// Endpoint returns what the words describe.
func (r *Endpoint) Endpoint() mptcp.Endpoint {
	return mptcp.Endpoint{ID: r.ID, Address: r.Address, Port: r.Port, Flags: r.Flags, IfIndex: r.IfIndex}
}

// ParseEndpoint reads the words as iproute2 does: flags must be whole, and come
// before keywords, which may be shortened; what is neither is an address; what is
// given twice counts as given last.
func ParseEndpoint(verb Verb, args []string) (*Endpoint, error) {
	r := &Endpoint{}
	w := &words{rest: args}
	for len(w.rest) > 0 {
		word := w.rest[0]
		w.rest = w.rest[1:]
		if err := r.word(verb, word, w); err != nil {
			return nil, err
		}
	}
	return r, r.check(verb)
}

func (r *Endpoint) word(verb Verb, word string, w *words) error {
	if flag, clears, ok := endpointFlag(word); ok {
		r.Flags |= flag
		r.Cleared |= clears
		return r.checkFlags(verb, word)
	}
	for _, keyword := range endpointKeywords() {
		if !grammar.Matches(word, keyword) {
			continue
		}
		value, err := w.value()
		if err != nil {
			return err
		}
		return r.keyword(keyword, value)
	}
	if isAnyWord(word) {
		r.Address, r.anyWord = netip.Addr{}, true // what is given twice counts as given last
		return nil
	}
	address, ok := parseAddress(word)
	if !ok {
		return wrongAddress(word)
	}
	r.Address, r.anyWord = address, false
	return nil
}

// endpointKeywords returns the words that stand before a value, in the order that
// decides their abbreviations.
func endpointKeywords() []string { return []string{"id", "dev", "port"} }

// endpointWords returns all flags and keywords.
func endpointWords() []string {
	words := append(endpointKeywords(), mptcp.KnownEndpointFlags.Names()...)
	return append(words, "nobackup", "nofullmesh")
}

// endpointFlag returns the flag that the word sets, or the one that it clears.
func endpointFlag(word string) (sets, clears mptcp.EndpointFlags, ok bool) {
	switch word {
	case "nobackup":
		return 0, mptcp.FlagBackup, true
	case "nofullmesh":
		return 0, mptcp.FlagFullmesh, true
	}
	sets, ok = mptcp.ParseEndpointFlag(word)
	return sets, 0, ok
}

// checkFlags complains about the word that makes the flags impossible.
func (r *Endpoint) checkFlags(verb Verb, word string) error {
	if verb == Add && r.Flags.Has(mptcp.FlagSignal|mptcp.FlagFullmesh) {
		return wrongArgument("flags mustn't have both signal and fullmesh", word)
	}
	if verb == Change && r.Flags&^(mptcp.FlagBackup|mptcp.FlagFullmesh) != 0 {
		return wrongArgument("invalid flags, backup and fullmesh only", word)
	}
	return nil
}

func (r *Endpoint) keyword(keyword, value string) error {
	switch keyword {
	case "id":
		n, ok := ParseUint(value, math.MaxUint8)
		if !ok {
			return wrongArgument("invalid ID\n", value)
		}
		r.ID, r.HasID = mptcp.AddressID(n), true
	case "dev":
		if !device.ValidName(value) {
			return wrongArgument("invalid interface name\n", value)
		}
		index, ok := device.Index(value)
		if !ok {
			return wrongArgument("device does not exist\n", value)
		}
		r.IfIndex = index
	case "port":
		n, ok := ParseUint(value, math.MaxUint16)
		if !ok {
			return wrongArgument("expected port", value)
		}
		r.Port = uint16(n)
	}
	return nil
}

// check complains about what is missing, or does not go together.
func (r *Endpoint) check(verb Verb) error {
	hasAddress := r.Address.IsValid() || r.anyWord
	switch {
	case verb == Add && !hasAddress:
		return missingArgument("ADDRESS")
	case verb == Delete && !r.HasID:
		return missingArgument("ID")
	case verb == Delete && r.ID != 0 && hasAddress:
		return wrongArgument("invalid for non-zero id address\n", "ADDRESS")
	case verb == Delete && r.ID == 0 && !hasAddress:
		return wrongArgument("address is needed for deleting id 0 address\n", "ID")
	case verb != Delete && r.HasID && r.ID == 0:
		return wrongArgument("cannot be 0\n", "ID")
	case verb == Add && r.Port != 0 && !r.Flags.Has(mptcp.FlagSignal):
		return wrongArgument("flags must have signal when using port", "port")
	case verb == Change && r.HasID && r.Port != 0:
		return wrongArgument("port can't be used with id", "port")
	}
	switch {
	case r.anyWord:
		return refused("binary attribute size out of range")
	case verb == Change && !r.HasID && !hasAddress:
		return refused("missing address ID")
	}
	return nil
}
