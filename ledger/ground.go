package ledger

import (
	"net/netip"

	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

// Ground is the addresses and links of a network namespace, as endpoints and subflows stand
// on them.
type Ground struct {
	addresses, links bool // they are known
	holders          map[netip.Addr][]hostnet.Address
	byIndex          map[int]hostnet.Link
	byName           map[string]int
	local            []netip.Prefix
}

// NewGround takes addresses and links, nil for unknown, and the prefixes that routes of the
// type "local" make the host's own, as transparent proxies have them.
func NewGround(addresses []hostnet.Address, links []hostnet.Link, local []netip.Prefix) *Ground {
	g := &Ground{
		addresses: addresses != nil, links: links != nil, local: local,
		holders: make(map[netip.Addr][]hostnet.Address, len(addresses)),
		byIndex: make(map[int]hostnet.Link, len(links)),
		byName:  make(map[string]int, len(links)),
	}
	for _, h := range addresses {
		g.holders[plain(h.Addr)] = append(g.holders[plain(h.Addr)], h)
	}
	for _, l := range links {
		g.byIndex[l.Index], g.byName[l.Name] = l, l.Index
	}
	return g
}

// AddressTrouble returns why no socket can be bound to the address: AddressMissing,
// AddressTentative (also where its detection of duplicates failed), or NoCause.
func (g *Ground) AddressTrouble(addr netip.Addr) Cause {
	addr = plain(addr)
	if !g.addresses || addr.IsLoopback() {
		return NoCause
	}
	found := AddressMissing
	for _, h := range g.holders[addr] {
		if !h.Tentative && !h.DADFailed {
			return NoCause
		}
		found = AddressTentative
	}
	for _, p := range g.local {
		if p.Contains(addr) {
			return NoCause
		}
	}
	return found
}

// DeviceTrouble returns why the device that the endpoint is bound to carries nothing:
// DeviceMissing, DeviceDown, NoCarrier, or NoCause. Of an endpoint that is bound to none it
// is the trouble of all links that have its address: its packets may leave by another one.
func (g *Ground) DeviceTrouble(e mptcp.Endpoint) Cause {
	if !g.links {
		return NoCause
	}
	if e.IfIndex != 0 {
		l, known := g.byIndex[int(e.IfIndex)]
		if !known {
			return DeviceMissing
		}
		return troubleOf(l)
	}
	found := NoCause
	for _, h := range g.holders[plain(e.Address)] {
		l, known := g.byIndex[h.IfIndex]
		switch trouble := troubleOf(l); {
		case known && trouble == NoCause:
			return NoCause
		case known && found != NoCarrier:
			found = trouble
		}
	}
	return found
}

func troubleOf(l hostnet.Link) Cause {
	switch {
	case !l.Up:
		return DeviceDown
	case !l.Carrier:
		return NoCarrier
	}
	return NoCause
}

// LinkOf returns the index of the link that the subflow is bound to or by which the routes
// send its packets, 0 for unknown. Where the routes were not asked it is the link that has
// its address.
func (g *Ground) LinkOf(s *mptcp.Subflow) int {
	if s.Bound && s.IfIndex != 0 {
		return int(s.IfIndex)
	}
	if index, known := g.byName[s.Device]; known && s.Device != "" {
		return index
	}
	return g.holder(s.Local.Addr())
}

// holder returns the index of the first link that has the address, 0 for none.
func (g *Ground) holder(addr netip.Addr) int {
	if list := g.holders[plain(addr)]; len(list) > 0 {
		return list[0].IfIndex
	}
	return 0
}

// sharesLink reports whether a subflow of the connection that is up leaves by the link that
// those of the endpoint leave by.
func (g *Ground) sharesLink(c *mptcp.Connection, e mptcp.Endpoint) bool {
	index := int(e.IfIndex)
	if index == 0 {
		index = g.holder(e.Address)
	}
	if _, known := g.byIndex[index]; !known {
		return false
	}
	for i := range c.Subflows {
		if s := &c.Subflows[i]; s.State.Up() && g.LinkOf(s) == index {
			return true
		}
	}
	return false
}
