package hostnet

import (
	"net/netip"
	"slices"
)

// Choice returns the devices of which the kernel chooses one for each flow, by a hash that
// looks at its ports, where the route that answered a lookup has next hops of equal cost
// (fib_multipath_hash_policy 1 and 3); nil where there is no choice, or where the addresses
// alone make it, as the answer then has.
func (n Network) Choice(answer Route, dst netip.Addr) []string {
	if dst.Is4() && !n.HashesPorts4 || dst.Is6() && !n.HashesPorts6 {
		return nil
	}
	entry, ok := BestRoute(n.Routes, answer.Table, 0, dst)
	if !ok {
		return nil
	}
	var names []string
	for _, h := range entry.NextHops {
		if l, ok := n.LinkByIndex(h.IfIndex); ok && !slices.Contains(names, l.Name) {
			names = append(names, l.Name)
		}
	}
	if len(names) < 2 {
		return nil
	}
	return names
}

// Unanswered tells on what the rules make routes depend that the lookup does not name: such
// as "fwmark 0x1" or "uidrange 1000-1000".
func (n Network) Unanswered(key LookupRequest) []string {
	var words []string
	add := func(word string) {
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	for i := range n.Rules {
		r := &n.Rules[i]
		if key.Dst.IsValid() && (r.Family == "inet6") != key.Dst.Unmap().Is6() {
			continue
		}
		if r.Mark != 0 && key.Mark == 0 {
			add("fwmark " + hexadecimal(r.Mark))
		}
		if r.UIDs != nil && !key.HasUID {
			add("uidrange " + r.UIDs.String())
		}
	}
	return words
}
