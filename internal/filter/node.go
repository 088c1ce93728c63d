package filter

import (
	"net/netip"
	"strconv"
	"strings"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// kind tells what a node of an expression does.
type kind uint8

const (
	kindAnd kind = iota // of all kids
	kindOr              // of all kids
	kindNot             // of the one kid
	kindState
	kindAddress
	kindDevice
	kindToken
	kindPair
	kindFallback
	kindSubflows
	kindProcess
	kindEvent
	kindReason
	kindErrno
	kindNetns
	kindSide
	kindFamily
	kindBackup
	kindID
)

// end is the end of a connection that an address belongs to, as seen from here.
type end uint8

const (
	local end = iota
	remote
	either
)

// comparison is a relation of two numbers.
type comparison uint8

const (
	anything comparison = iota // no comparison at all
	equal
	less
	lessEqual
	greater
	greaterEqual
	notEqual // becomes the negation of equal while parsing
)

// readComparison returns the comparison that a word is.
func readComparison(word string) (c comparison, ok bool) {
	switch word {
	case "=", "==", "eq":
		c = equal
	case "!=", "ne", "neq":
		c = notEqual
	case "<", "lt":
		c = less
	case "<=", "le", "leq":
		c = lessEqual
	case ">", "gt":
		c = greater
	case ">=", "ge", "geq":
		c = greaterEqual
	}
	return c, c != anything
}

func (c comparison) String() string {
	return [...]string{"", "=", "<", "<=", ">", ">=", "!="}[c]
}

func (c comparison) holds(a, b uint64) bool {
	switch c {
	case anything:
		return true
	case equal:
		return a == b
	case less:
		return a < b
	case lessEqual:
		return a <= b
	case greater:
		return a > b
	case greaterEqual:
		return a >= b
	}
	return a != b
}

// node is one term of an expression, or a junction of terms. A tree of them is
// never changed once it is parsed.
type node struct {
	kind kind
	kids []node

	end    end          // address
	prefix netip.Prefix // address; invalid: any
	op     comparison   // of the port or the number
	number uint64       // port, count, id, pid; a set of states as bits
	text   string       // name of a device, a process, a namespace
}

// join makes a junction, without junctions of the same kind within it.
func join(k kind, nodes []node) node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	flat := node{kind: k}
	for _, n := range nodes {
		if n.kind == k {
			flat.kids = append(flat.kids, n.kids...)
		} else {
			flat.kids = append(flat.kids, n)
		}
	}
	return flat
}

func negate(n node) node {
	if n.kind == kindNot {
		return n.kids[0]
	}
	return node{kind: kindNot, kids: []node{n}}
}

// appendTo writes the canonical form, in brackets where the junction above needs
// them.
func (n *node) appendTo(b *strings.Builder, above kind) {
	switch n.kind {
	case kindAnd, kindOr:
		word := map[kind]string{kindAnd: " and ", kindOr: " or "}[n.kind]
		brackets := above == kindNot || above == kindAnd && n.kind == kindOr
		if brackets {
			b.WriteString("( ")
		}
		for i := range n.kids {
			if i > 0 {
				b.WriteString(word)
			}
			n.kids[i].appendTo(b, n.kind)
		}
		if brackets {
			b.WriteString(" )")
		}
	case kindNot:
		b.WriteString("not ")
		n.kids[0].appendTo(b, kindNot)
	default:
		b.WriteString(n.term())
	}
}

// term returns the canonical form of a term.
func (n *node) term() string {
	number := strconv.FormatUint(n.number, 10)
	switch n.kind {
	case kindState:
		return stateSet(n.number).String()
	case kindAddress:
		return n.address()
	case kindDevice:
		return "dev " + Quote(n.text)
	case kindToken:
		return "token " + mptcp.Token(n.number).String()
	case kindPair:
		return "pair " + n.text
	case kindFallback:
		return "fallback"
	case kindSubflows:
		return "subflows " + n.op.String() + " " + number
	case kindProcess:
		return "process " + Quote(n.text)
	case kindEvent:
		if name := mptcp.EventType(n.number).Name(); name != "" {
			return "event " + name
		}
		if n.number > firstDerived {
			return "event " + track.Kind(n.number-firstDerived).String()
		}
		return "event " + number
	case kindReason:
		if n.number <= uint64(mptcp.ResetMiddlebox) {
			return "reason " + mptcp.ResetReason(n.number).String()
		}
		return "reason " + number
	case kindErrno:
		if name := errnoName(n.number); name != "" {
			return "error " + name
		}
		return "error " + number
	case kindNetns:
		return "netns " + Quote(n.text)
	case kindSide:
		return "side " + mptcp.Side(n.number).String()
	case kindFamily:
		return "family " + mptcp.Family(n.number).String()
	case kindBackup:
		return "backup"
	}
	return "id " + number
}

func (n *node) address() string {
	port := ":" + strconv.FormatUint(n.number, 10)
	switch {
	case !n.prefix.IsValid() && n.op == anything:
		return [...]string{"src ", "dst ", "host "}[n.end] + "any"
	case !n.prefix.IsValid():
		return [...]string{"sport ", "dport ", "port "}[n.end] + n.op.String() + " " + port
	}
	addr, bits := n.prefix.Addr(), ""
	if !n.prefix.IsSingleIP() {
		bits = "/" + strconv.Itoa(n.prefix.Bits())
	}
	s := addr.String() + bits
	if n.op != anything {
		if addr.Is6() {
			s = "[" + addr.String() + "]" + bits
		}
		s += port
	}
	return [...]string{"src ", "dst ", "host "}[n.end] + s
}
