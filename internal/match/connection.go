package match

import (
	"net/netip"

	"mptcpctl/mptcp"
)

// By says what two ends have in common.
type By uint8

// What ends are matched by, the surest first.
const (
	Pair      By = iota + 1 // the name that both ends compute, see [mptcp.Pair]
	Token                   // the token of one end, which a join made at the other carries
	Addresses               // addresses and ports, reversed
	IDs                     // address ids, of subflows
)

// String returns "pair", "token", "addresses" or "address ids".
func (b By) String() string {
	switch b {
	case Pair:
		return "pair"
	case Token:
		return "token"
	case Addresses:
		return "addresses"
	case IDs:
		return "address ids"
	}
	return "nothing"
}

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (b By) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// Match is a thing that was found at both ends: its place in each of the two lists.
type Match struct {
	Here, There int
	By          By
}

// Ends is what two lists have in common. Each place is in it exactly once.
type Ends struct {
	Both                []Match // in the order of the list of here
	OnlyHere, OnlyThere []int   // what only one of the lists has
}

// Connections matches the connections of two hosts. Each may be of several network
// namespaces, in which tokens, addresses and ports may come again: what fits several is
// matched by none of that. Connections within one host, both ends of which are in one of the
// lists, are not between the two hosts and stay without a match.
func Connections(here, there []mptcp.Connection) Ends {
	m := newMatcher(len(here), len(there))
	one, other := ends(here), ends(there)
	m.join(Pair, func(take func(a, b int)) {
		common(one.byPair, other.byPair, func(_ mptcp.Pair, a, b int) { take(a, b) })
	}, func(a, b int) bool { return opposite(here[a].Side, there[b].Side) })
	m.join(Token, func(take func(a, b int)) {
		common(one.byPeer, other.byToken, func(_ mptcp.Token, a, b int) { take(a, b) })
		common(one.byToken, other.byPeer, func(_ mptcp.Token, a, b int) { take(a, b) })
	}, func(a, b int) bool {
		return opposite(here[a].Side, there[b].Side) &&
			(!contradict(&here[a], &there[b]) || reversed(&here[a], &there[b]))
	})
	m.join(Addresses, func(take func(a, b int)) {
		common(one.byFlow, other.reverse(), func(_ flow, a, b int) { take(a, b) })
	}, func(a, b int) bool {
		return opposite(here[a].Side, there[b].Side) && !contradict(&here[a], &there[b])
	})
	return m.ends()
}

// opposite reports whether the sides can be those of one connection.
func opposite(a, b mptcp.Side) bool {
	return a == mptcp.SideUnknown || b == mptcp.SideUnknown || a != b
}

// contradict reports whether the connections have different names.
func contradict(a, b *mptcp.Connection) bool {
	return !a.Pair.IsZero() && !b.Pair.IsZero() && a.Pair != b.Pair
}

// flow is what names a TCP flow at one of its ends.
type flow struct{ local, remote netip.AddrPort }

// flowOf returns the flow between two addresses. A v4-mapped address is the IPv4 address, and
// the zone of an address is the host's own. There is none where the other host cannot know it:
// within the host, or without a port.
func flowOf(local, remote netip.AddrPort) (f flow, ok bool) {
	if !local.IsValid() || !remote.IsValid() || local.Port() == 0 || remote.Port() == 0 {
		return f, false
	}
	f = flow{plain(local), plain(remote)}
	return f, !f.local.Addr().IsLoopback() && !f.remote.Addr().IsLoopback()
}

func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func (f flow) reversed() flow { return flow{f.remote, f.local} }

// index finds the connections of a host. A place is several where more than one
// connection fits.
type index struct {
	byPair  map[mptcp.Pair]int
	byToken map[mptcp.Token]int
	byPeer  map[mptcp.Token]int // by the token that the peer has
	byFlow  map[flow]int        // of a connection, or of one of its subflows
}

const several = -1

func ends(list []mptcp.Connection) *index {
	x := &index{
		byPair: make(map[mptcp.Pair]int, len(list)), byToken: make(map[mptcp.Token]int, len(list)),
		byPeer: map[mptcp.Token]int{}, byFlow: make(map[flow]int, len(list)),
	}
	for i := range list {
		c := &list[i]
		if !c.Pair.IsZero() {
			put(x.byPair, c.Pair, i)
		}
		if c.Token != 0 {
			put(x.byToken, c.Token, i)
		}
		for f := range flows(c) {
			put(x.byFlow, f, i)
		}
		for j := range c.Subflows {
			if t := c.Subflows[j].TokenRemote; t != 0 {
				put(x.byPeer, t, i)
			}
		}
	}
	return x
}

func put[K comparable](m map[K]int, key K, i int) {
	if held, known := m[key]; known && held != i {
		i = several
	}
	m[key] = i
}

// flows yields the connection's own flow, and those of its subflows.
func flows(c *mptcp.Connection) func(yield func(flow) bool) {
	return func(yield func(flow) bool) {
		if f, ok := flowOf(c.Local, c.Remote); ok && !yield(f) {
			return
		}
		for i := range c.Subflows {
			if f, ok := flowOf(c.Subflows[i].Local, c.Subflows[i].Remote); ok && !yield(f) {
				return
			}
		}
	}
}

// reverse returns the connections by the flows as the other end has them.
func (x *index) reverse() map[flow]int {
	m := make(map[flow]int, len(x.byFlow))
	for f, i := range x.byFlow {
		m[f.reversed()] = i
	}
	return m
}

// reversed reports whether the ends have a flow in common.
func reversed(a, b *mptcp.Connection) bool {
	for one := range flows(a) {
		for other := range flows(b) {
			if one == other.reversed() {
				return true
			}
		}
	}
	return false
}

// common calls take with the places of each key that both maps have for one each.
func common[K comparable](one, other map[K]int, take func(key K, a, b int)) {
	for key, a := range one {
		if b, ok := other[key]; ok && a != several && b != several {
			take(key, a, b)
		}
	}
}
