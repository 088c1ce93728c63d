package filter

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Term is a word of the language.
type Term struct {
	Word     string
	Argument string // what follows the word, "" for nothing
	Meaning  string

	short string // a second spelling
	parse func(p *parser) (node, error)
}

// Terms returns the words of the language, in the order in which help shows them.
func Terms() []Term {
	return []Term{
		{
			Word:     "state",
			Argument: "STATE[,STATE...]",
			Meaning:  "the connection's socket is in one of these states",
			parse:    parseStateRun(true),
		},
		{
			Word:     "exclude",
			Argument: "STATE[,STATE...]",
			Meaning:  "the connection's socket is in none of these states",
			parse:    parseStateRun(false),
		},
		{Word: "src", Argument: "ADDRESS[/BITS][:PORT]", Meaning: "a local address", parse: parseAddress(local)},
		{
			Word:     "dst",
			Argument: "ADDRESS[/BITS][:PORT]",
			Meaning:  "an address of the peer",
			parse:    parseAddress(remote),
		},
		{
			Word:     "host",
			Argument: "ADDRESS[/BITS][:PORT]",
			Meaning:  "an address of either end",
			parse:    parseAddress(either),
		},
		{Word: "sport", Argument: "[COMPARISON] [:]PORT", Meaning: "a local port", parse: parsePort(local)},
		{Word: "dport", Argument: "[COMPARISON] [:]PORT", Meaning: "a port of the peer", parse: parsePort(remote)},
		{Word: "port", Argument: "[COMPARISON] [:]PORT", Meaning: "a port of either end", parse: parsePort(either)},
		{
			Word:     "dev",
			Argument: "DEVICE",
			Meaning:  "a subflow uses this network device",
			parse:    parseText(kindDevice, "the name of a device"),
		},
		{
			Word:     "token",
			Argument: "HEX[,HEX...]",
			Meaning:  "the connection with this token",
			parse:    parseList(readToken, "a token of up to 8 hexadecimal digits"),
		},
		{
			Word:     "pair",
			Argument: "HEX[,HEX...]",
			Meaning:  "the connection with this name, which both ends compute; the first digits will do",
			parse:    parseList(readPair, "up to 32 hexadecimal digits"),
		},
		{Word: "fallback", Meaning: "the connection fell back to TCP", parse: parseFlag(kindFallback)},
		{
			Word:     "subflows",
			Argument: "[COMPARISON] N",
			Meaning:  "the number of subflows that are up",
			parse:    parseSubflows,
		},
		{
			Word:     "process",
			short:    "proc",
			Argument: "NAME|PID",
			Meaning:  "a process with this name or id has the connection open",
			parse:    parseEquality(readProcess, "the name or number of a process"),
		},
		{
			Word:     "event",
			Argument: "NAME[,NAME...]",
			Meaning:  "events of this type, from the kernel or derived (see below)",
			parse:    parseList(readEvent, "an event such as CREATED or SF_CLOSED"),
		},
		{
			Word:     "reason",
			Argument: "NAME[,NAME...]",
			Meaning:  "the peer reset a subflow for this reason",
			parse:    parseList(readReason, reasonWords()...),
		},
		{
			Word:     "error",
			Argument: "NAME[,NAME...]",
			Meaning:  "a subflow ended with this error",
			parse:    parseList(readErrno, "an error such as ECONNREFUSED"),
		},
		{
			Word:     "netns",
			Argument: "NAME",
			Meaning:  "in this network namespace",
			parse:    parseText(kindNetns, "the name of a network namespace"),
		},
		{
			Word:     "side",
			Argument: "client|server",
			Meaning:  "this host connected (client) or accepted (server)",
			parse:    parseEquality(readSide, "client", "server"),
		},
		{
			Word:     "family",
			Argument: "inet|inet6",
			Meaning:  "a subflow uses IPv4 or IPv6",
			parse:    parseEquality(readFamily, "inet", "inet6"),
		},
		{Word: "backup", Meaning: "a subflow is a backup, set by either end", parse: parseFlag(kindBackup)},
		{
			Word:     "id",
			Argument: "N",
			Meaning:  "a subflow has this address id, local or remote",
			parse:    parseEquality(readID, "an address id from 0 to 255"),
		},
	}
}

func parseFlag(k kind) func(*parser) (node, error) {
	return func(*parser) (node, error) { return node{kind: k}, nil }
}

func parseText(k kind, expected string) func(*parser) (node, error) {
	return parseEquality(func(text string) (node, bool) { return node{kind: k, text: text}, true }, expected)
}

func parseEquality(read func(string) (node, bool), expected ...string) func(*parser) (node, error) {
	return func(p *parser) (node, error) { return p.equality(read, expected...) }
}

// parseList reads `[=|!=] VALUE[,VALUE…]`, also with blanks after the commas, as a
// choice.
func parseList(read func(string) (node, bool), expected ...string) func(*parser) (node, error) {
	return func(p *parser) (node, error) {
		c, err := p.relation(false)
		if err != nil {
			return node{}, err
		}
		choice, err := p.list(read, expected...)
		if err != nil {
			return node{}, err
		}
		n := join(kindOr, choice)
		if c == notEqual {
			n = negate(n)
		}
		return n, nil
	}
}

func (p *parser) list(read func(string) (node, bool), expected ...string) ([]node, error) {
	var values []node
	refused := ""
	for more := true; more; {
		_, err := p.value(func(text string) (node, bool) {
			text, more = strings.CutSuffix(text, ",")
			for one := range strings.SplitSeq(text, ",") {
				n, ok := read(one)
				if !ok {
					refused = one
					return node{}, false
				}
				values = append(values, n)
			}
			return node{}, true
		}, expected...)
		if err != nil {
			if wrong, ok := errors.AsType[*Error](err); ok && refused != "" {
				wrong.Unknown = refused
			}
			return nil, err
		}
	}
	return values, nil
}

// parseStateRun reads states and the words `state` and `exclude` that follow side
// by side: as with ss, they make up one set.
func parseStateRun(stateFirst bool) func(*parser) (node, error) {
	return func(p *parser) (node, error) {
		include := stateFirst
		var set stateSet
		if !include {
			set = allStates
		}
		for first := true; first || p.at("state", "exclude"); first = false {
			if !first {
				include = p.take("state") || !p.take("exclude")
			}
			c, err := p.relation(false)
			if err != nil {
				return node{}, err
			}
			one, err := p.states()
			if err != nil {
				return node{}, err
			}
			switch {
			case c == notEqual && include:
				set |= allStates &^ one
			case c == notEqual:
				set &= one
			case include:
				set |= one
			default:
				set &^= one
			}
		}
		return node{kind: kindState, number: uint64(set)}, nil
	}
}

func (p *parser) states() (stateSet, error) {
	values, err := p.list(func(text string) (node, bool) {
		set, ok := parseStates(text)
		return node{kind: kindState, number: uint64(set)}, ok
	}, stateNames()...)
	var set stateSet
	for _, v := range values {
		set |= stateSet(v.number)
	}
	return set, err
}

func stateNames() []string {
	names := make([]string, len(stateWords))
	for i, w := range stateWords {
		names[i] = w.word
	}
	return names
}

func parseAddress(e end) func(*parser) (node, error) {
	return parseEquality(func(text string) (node, bool) {
		n := node{kind: kindAddress, end: e}
		text, all := cutFamily(text)
		host, port := splitPort(text)
		if port != "" && port != "*" {
			number, ok := readPort(port)
			if !ok {
				return node{}, false
			}
			n.op, n.number = equal, number
		}
		switch host {
		case "", "*", "any", "all":
			n.prefix = all
			return n, text != ""
		}
		var ok bool
		n.prefix, ok = readPrefix(host)
		return n, ok
	}, "an address, ADDRESS/BITS, :PORT, ADDRESS:PORT, [ADDRESS]:PORT or any")
}

// cutFamily cuts the family off that ss wants in front of some addresses, and returns
// the prefix of all that it has.
func cutFamily(s string) (rest string, all netip.Prefix) {
	if rest, ok := strings.CutPrefix(s, "inet:"); ok {
		return rest, netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	if rest, ok := strings.CutPrefix(s, "inet6:"); ok {
		return rest, netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return s, netip.Prefix{}
}

// splitPort cuts the port off a host condition. An IPv6 address with a port is in
// brackets.
func splitPort(s string) (host, port string) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.Count(s, ":") > 1 && (s[0] != '[' || strings.LastIndexByte(s, ']') > i) {
		return s, ""
	}
	return s[:i], s[i+1:]
}

// readPrefix reads an address or a prefix, brackets around the address allowed. As
// with ss, 10.1/16 is 10.1.0.0/16.
func readPrefix(s string) (netip.Prefix, bool) {
	address, bits, isPrefix := strings.Cut(s, "/")
	if isPrefix && !strings.Contains(address, ":") && strings.Count(address, ".") < 3 {
		address += strings.Repeat(".0", 3-strings.Count(address, "."))
	}
	if strings.HasPrefix(address, "[") && strings.HasSuffix(address, "]") {
		address = address[1 : len(address)-1]
	}
	addr, err := netip.ParseAddr(address)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	length := addr.BitLen()
	if isPrefix {
		n, err := strconv.ParseUint(bits, 10, 8)
		if err != nil || int(n) > length {
			return netip.Prefix{}, false
		}
		length = int(n)
	}
	if addr.Is4In6() && length >= 96 {
		addr, length = addr.Unmap(), length-96
	}
	return netip.PrefixFrom(addr, length).Masked(), true
}

// readPort reads a port's number, or its name in the host's services.
func readPort(s string) (uint64, bool) {
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return n, true
	}
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return 0, false
	}
	n, err := net.LookupPort("tcp", s)
	return uint64(n), err == nil
}

func parsePort(e end) func(*parser) (node, error) {
	return func(p *parser) (node, error) {
		return p.number(func(text string) (node, bool) {
			n, ok := readPort(strings.TrimPrefix(text, ":"))
			return node{kind: kindAddress, end: e, number: n}, ok
		}, "a port from 0 to 65535", "the name of a service")
	}
}

func parseSubflows(p *parser) (node, error) {
	return p.number(func(text string) (node, bool) {
		n, err := strconv.ParseUint(text, 10, 31)
		return node{kind: kindSubflows, number: n}, err == nil
	}, "a number of subflows")
}

// readProcess takes a number for a name as well: a process may be called so.
func readProcess(text string) (node, bool) {
	n := node{kind: kindProcess, text: text}
	if pid, err := strconv.ParseUint(text, 10, 31); err == nil {
		n.op, n.number = equal, pid
	}
	return n, true
}

func readToken(text string) (node, bool) {
	t, err := mptcp.ParseToken(text)
	return node{kind: kindToken, number: uint64(t)}, err == nil
}

// readPair reads the first digits of a pair.
func readPair(text string) (node, bool) {
	text = strings.ToLower(text)
	if text == "" || len(text) > 2*len(mptcp.Pair{}) || strings.Trim(text, "0123456789abcdef") != "" {
		return node{}, false
	}
	return node{kind: kindPair, text: text}, true
}

// firstDerived is what the kinds of derived events are numbered from: behind the
// kernel's events, and LOST.
const firstDerived = 1 << 10

func readEvent(text string) (node, bool) {
	if t, ok := mptcp.ParseEventType(strings.ToUpper(text)); ok {
		return node{kind: kindEvent, number: uint64(t)}, true
	}
	if k, ok := track.ParseKind(strings.ToUpper(text)); ok {
		return node{kind: kindEvent, number: firstDerived + uint64(k)}, true
	}
	n, err := strconv.ParseUint(text, 10, 8)
	return node{kind: kindEvent, number: n}, err == nil
}

func reasonWords() []string {
	var names []string
	for r := mptcp.ResetUnspecified; r <= mptcp.ResetMiddlebox; r++ {
		names = append(names, r.String())
	}
	return append(names, "a number")
}

func readReason(text string) (node, bool) {
	for r := mptcp.ResetUnspecified; r <= mptcp.ResetMiddlebox; r++ {
		if r.String() == text {
			return node{kind: kindReason, number: uint64(r)}, true
		}
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return node{kind: kindReason, number: n}, err == nil
}

// errnoName returns the C name of an error number, "" where it has none.
func errnoName(n uint64) string {
	name, _ := mptcp.ErrnoName(syscall.Errno(n))
	return name
}

// firstNoErrno is above all error numbers that an event can carry.
const firstNoErrno = 256

func readErrno(text string) (node, bool) {
	if n, err := strconv.ParseUint(text, 10, 8); err == nil {
		return node{kind: kindErrno, number: n}, true
	}
	for n := uint64(1); n < firstNoErrno; n++ {
		if name := errnoName(n); name != "" && strings.EqualFold(name, text) {
			return node{kind: kindErrno, number: n}, true
		}
	}
	return node{}, false
}

func readSide(text string) (node, bool) {
	for _, s := range []mptcp.Side{mptcp.SideClient, mptcp.SideServer} {
		if s.String() == text {
			return node{kind: kindSide, number: uint64(s)}, true
		}
	}
	return node{}, false
}

func readFamily(text string) (node, bool) {
	for _, f := range []mptcp.Family{mptcp.FamilyINET, mptcp.FamilyINET6} {
		if f.String() == text {
			return node{kind: kindFamily, number: uint64(f)}, true
		}
	}
	return node{}, false
}

func readID(text string) (node, bool) {
	n, err := strconv.ParseUint(text, 10, 8)
	return node{kind: kindID, number: n}, err == nil
}
