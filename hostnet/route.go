package hostnet

import (
	"fmt"
	"net/netip"
	"slices"
)

// The numbers of the routing tables that every host has.
const (
	TableDefault = 253
	TableMain    = 254
	TableLocal   = 255
)

// Route is an entry of a routing table, or the answer to a lookup.
type Route struct {
	Dst      netip.Prefix `json:"dst"` // 0.0.0.0/0 or ::/0: the default route
	Gateway  netip.Addr   `json:"gateway,omitzero"`
	IfIndex  int          `json:"oif,omitempty"` // 0 with several next hops
	Source   netip.Addr   `json:"prefsrc,omitzero"`
	Metric   int          `json:"metric"` // 0 in the answer to an IPv4 lookup
	Table    int          `json:"table"`
	Type     string       `json:"type"` // "unicast", "local", "unreachable", …
	Scope    string       `json:"scope"`
	Protocol string       `json:"protocol"` // who made it: "kernel", "dhcp", "static", …
	NextHops []NextHop    `json:"nexthops,omitempty"`
}

// NextHop is one of the ways of a multipath route.
type NextHop struct {
	Gateway netip.Addr `json:"gateway,omitzero"`
	IfIndex int        `json:"oif"`
	Weight  int        `json:"weight"` // 1 and more
}

// IsDefault reports whether the route takes whatever no other one takes.
func (r Route) IsDefault() bool { return r.Dst.IsValid() && r.Dst.Bits() == 0 }

// Hops returns the ways of the route: one, unless it is a multipath route.
func (r Route) Hops() []NextHop {
	if len(r.NextHops) > 0 {
		return r.NextHops
	}
	return []NextHop{{Gateway: r.Gateway, IfIndex: r.IfIndex, Weight: 1}}
}

// Uses reports whether packets by this route may leave by the link.
func (r Route) Uses(ifIndex int) bool {
	return slices.ContainsFunc(r.Hops(), func(h NextHop) bool { return h.IfIndex == ifIndex })
}

// Forwards reports whether the route leads anywhere: it does not if it is there
// to refuse packets.
func (r Route) Forwards() bool {
	switch r.Type {
	case "unreachable", "prohibit", "blackhole", "throw":
		return false
	}
	return true
}

// BestRoute returns the route of the table that packets to dst take if they are
// to leave by the link: that of the longest prefix and then of the least metric.
// Link 0 stands for any. A route that refuses packets is for every link.
func BestRoute(routes []Route, table, ifIndex int, dst netip.Addr) (Route, bool) {
	best, found := Route{}, false
	for _, r := range routes {
		if r.Table != table || !r.Dst.Contains(dst) {
			continue
		}
		if ifIndex != 0 && !r.Uses(ifIndex) && r.Forwards() {
			continue
		}
		if !found || r.Dst.Bits() > best.Dst.Bits() || r.Dst.Bits() == best.Dst.Bits() && r.Metric < best.Metric {
			best, found = r, true
		}
	}
	return best, found
}

// Rule tells which packets look into which routing table.
type Rule struct {
	Family   string       `json:"family"` // "inet" or "inet6"
	Priority int          `json:"priority"`
	Not      bool         `json:"not,omitempty"` // for packets that the rest does not fit
	Src      netip.Prefix `json:"src,omitzero"`
	Dst      netip.Prefix `json:"dst,omitzero"`
	Mark     uint32       `json:"fwmark,omitempty"`
	MarkMask uint32       `json:"fwmask,omitempty"` // 0: all bits
	IIF      string       `json:"iif,omitempty"`
	OIF      string       `json:"oif,omitempty"`
	UIDs     *UIDRange    `json:"uidrange,omitempty"`
	Table    int          `json:"table,omitempty"` // 0: the rule does something else
	Goto     int          `json:"goto,omitempty"`  // priority of the rule to go on with
	// routes with a prefix no longer are passed over
	SuppressPrefixLen *int `json:"suppress_prefixlen,omitempty"`
}

// UIDRange is the users whose sockets a rule is for, first and last included.
type UIDRange struct {
	First uint32 `json:"first"`
	Last  uint32 `json:"last"`
}

// String returns the range as `ip rule` shows it.
func (r UIDRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

func hexadecimal(mark uint32) string { return fmt.Sprintf("%#x", mark) }

// LookupRequest asks which route packets take.
type LookupRequest struct {
	Dst  netip.Addr
	Src  netip.Addr // zero: the kernel chooses the source
	OIF  int        // ifindex of the device that the socket is bound to, or 0
	Mark uint32     // of the socket, or 0
	// UID is the user whose socket it is, if HasUID says so; else that of the caller.
	UID    uint32 `json:",omitempty"`
	HasUID bool   `json:",omitempty"`
}

// String returns the request as `ip route get` takes it, the device by its index.
func (q LookupRequest) String() string {
	s := q.Dst.String()
	if q.Src.IsValid() {
		s += " from " + q.Src.String()
	}
	if q.OIF != 0 {
		s += fmt.Sprintf(" oif %d", q.OIF)
	}
	return s + q.Words()
}

// Words returns mark and user as `ip route get` takes them, each behind a space.
func (q LookupRequest) Words() (s string) {
	if q.Mark != 0 {
		s += fmt.Sprintf(" mark %#x", q.Mark)
	}
	if q.HasUID {
		s += fmt.Sprintf(" uid %d", q.UID)
	}
	return s
}

// LookupFunc answers a lookup, with the errors of [Reader.Lookup].
type LookupFunc func(LookupRequest) (Route, error)
