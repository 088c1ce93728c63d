package cli

import (
	"math"
	"net/netip"

	"mptcpctl/internal/device"
	"mptcpctl/internal/grammar"
	"mptcpctl/mptcp"
)

// endpointVerb tells the verbs of the endpoint's grammar apart.
type endpointVerb uint8

const (
	verbAdd endpointVerb = iota
	verbChange
	verbDelete
	verbShow
)

// endpointRequest is what the words behind a verb say.
type endpointRequest struct {
	address netip.Addr
	anyWord bool // the address was "any": no bytes
	id      mptcp.AddressID
	hasID   bool
	port    uint16
	flags   mptcp.EndpointFlags
	cleared mptcp.EndpointFlags // by nobackup, nofullmesh
	ifIndex int32
}

func (r *endpointRequest) endpoint() mptcp.Endpoint {
	return mptcp.Endpoint{ID: r.id, Address: r.address, Port: r.port, Flags: r.flags, IfIndex: r.ifIndex}
}

// parseEndpoint reads the words as iproute2 does: flags must be whole, and come
// before keywords, which may be shortened; what is neither is an address; what is
// given twice counts as given last.
func parseEndpoint(verb endpointVerb, args []string) (*endpointRequest, error) {
	r := &endpointRequest{}
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

func (r *endpointRequest) word(verb endpointVerb, word string, w *words) error {
	if flag, clears, ok := endpointFlag(word); ok {
		r.flags |= flag
		r.cleared |= clears
		return r.checkFlags(verb, word)
	}
	for _, keyword := range []string{"id", "dev", "port"} {
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
		r.anyWord = true
		return nil
	}
	address, ok := parseAddress(word)
	if !ok {
		return wrongAddress(word)
	}
	r.address, r.anyWord = address, false
	return nil
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
func (r *endpointRequest) checkFlags(verb endpointVerb, word string) error {
	if verb == verbAdd && r.flags.Has(mptcp.FlagSignal|mptcp.FlagFullmesh) {
		return wrongArgument("flags mustn't have both signal and fullmesh", word)
	}
	if verb == verbChange && r.flags&^(mptcp.FlagBackup|mptcp.FlagFullmesh) != 0 {
		return wrongArgument("invalid flags, backup and fullmesh only", word)
	}
	return nil
}

func (r *endpointRequest) keyword(keyword, value string) error {
	switch keyword {
	case "id":
		n, ok := parseUint(value, math.MaxUint8)
		if !ok {
			return wrongArgument("invalid ID\n", value)
		}
		r.id, r.hasID = mptcp.AddressID(n), true
	case "dev":
		if !device.ValidName(value) {
			return wrongArgument("invalid interface name\n", value)
		}
		index, ok := device.Index(value)
		if !ok {
			return wrongArgument("device does not exist\n", value)
		}
		r.ifIndex = index
	case "port":
		n, ok := parseUint(value, math.MaxUint16)
		if !ok {
			return wrongArgument("expected port", value)
		}
		r.port = uint16(n)
	}
	return nil
}

// check complains about what is missing, or does not go together.
func (r *endpointRequest) check(verb endpointVerb) error {
	hasAddress := r.address.IsValid() || r.anyWord
	switch {
	case verb == verbAdd && !hasAddress:
		return missingArgument("ADDRESS")
	case verb == verbDelete && !r.hasID:
		return missingArgument("ID")
	case verb == verbDelete && r.id != 0 && hasAddress:
		return wrongArgument("invalid for non-zero id address\n", "ADDRESS")
	case verb == verbDelete && r.id == 0 && !hasAddress:
		return wrongArgument("address is needed for deleting id 0 address\n", "ID")
	case verb != verbDelete && r.hasID && r.id == 0:
		return wrongArgument("cannot be 0\n", "ID")
	case verb == verbAdd && r.port != 0 && !r.flags.Has(mptcp.FlagSignal):
		return wrongArgument("flags must have signal when using port", "port")
	case verb == verbChange && r.hasID && r.port != 0:
		return wrongArgument("port can't be used with id", "port")
	}
	switch {
	case r.anyWord && !r.address.IsValid():
		return refused("binary attribute size out of range")
	case verb == verbChange && !r.hasID && !hasAddress:
		return refused("missing address ID")
	}
	return nil
}
