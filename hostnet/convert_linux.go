package hostnet

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// link turns a link of the library into ours.
func (r *Reader) link(l netlink.Link) Link {
	a := l.Attrs()
	kind := l.Type()
	switch kind {
	case "device": // the library's word for a link without a kind
		kind = ""
	case "tuntap":
		kind = "tun"
	}
	return Link{
		Index: a.Index, Name: a.Name, Type: a.EncapType, Kind: kind, MTU: a.MTU, Master: a.MasterIndex,
		Up:        a.RawFlags&unix.IFF_UP != 0,
		Carrier:   a.RawFlags&unix.IFF_LOWER_UP != 0,
		OperState: a.OperState.String(),
		Loopback:  a.RawFlags&unix.IFF_LOOPBACK != 0,
		Wireless:  r.wireless(a.Name, a.Index),
		Tunnel:    isTunnel(kind, a.EncapType),
	}
}

// wireless reports whether sysfs knows the link as wireless. What is mounted may
// be that of another network namespace: the index tells.
func (r *Reader) wireless(name string, index int) bool {
	dir := filepath.Join(r.sys, "class", "net", name)
	if _, err := os.Stat(filepath.Join(dir, "phy80211")); err != nil {
		if _, err := os.Stat(filepath.Join(dir, "wireless")); err != nil {
			return false
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "ifindex"))
	return err == nil && strings.TrimSpace(string(text)) == strconv.Itoa(index)
}

// convertIP turns an address of the library into ours: zero where there is none.
func convertIP(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a
}

// convertNet turns a prefix of the library into ours: zero where there is none.
func convertNet(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	ones, bits := n.Mask.Size()
	a := convertIP(n.IP)
	if bits == 32 {
		a = a.Unmap() // the library's own zeros are in the long form
	}
	return netip.PrefixFrom(a, ones)
}

// convertAddress turns an address of the library into ours; one without an
// address is none.
func convertAddress(a netlink.Addr) (Address, bool) {
	own := convertNet(a.IPNet)
	if !own.IsValid() {
		return Address{}, false
	}
	result := Address{
		Addr: own.Addr(), Prefix: own.Masked(), IfIndex: a.LinkIndex, Label: a.Label,
		Scope:      scopeName(a.Scope),
		Tentative:  a.Flags&unix.IFA_F_TENTATIVE != 0,
		DADFailed:  a.Flags&unix.IFA_F_DADFAILED != 0,
		Deprecated: a.Flags&unix.IFA_F_DEPRECATED != 0,
		Secondary:  own.Addr().Is4() && a.Flags&unix.IFA_F_SECONDARY != 0,
		Temporary:  own.Addr().Is6() && a.Flags&unix.IFA_F_TEMPORARY != 0,
	}
	if a.Flags&unix.IFA_F_OPTIMISTIC != 0 {
		result.Tentative = false // usable while duplicates are still looked for
	}
	if peer := convertNet(a.Peer); peer.IsValid() && peer.Addr() != own.Addr() {
		result.Peer, result.Prefix = peer.Addr(), peer.Masked()
	}
	return result, true
}

// convertRoute turns a route of the library into ours.
func convertRoute(r netlink.Route) Route {
	result := Route{
		Dst: convertNet(r.Dst), Gateway: gatewayOf(r.Gw, r.Via), IfIndex: r.LinkIndex,
		Source: convertIP(r.Src), Metric: r.Priority, Table: r.Table,
		Type: routeTypeName(r.Type), Scope: scopeName(int(r.Scope)), Protocol: r.Protocol.String(),
	}
	if !result.Dst.IsValid() {
		result.Dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if r.Family == netlink.FAMILY_V6 {
			result.Dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	}
	for _, hop := range r.MultiPath {
		result.NextHops = append(result.NextHops, NextHop{
			Gateway: gatewayOf(hop.Gw, hop.Via), IfIndex: hop.LinkIndex, Weight: hop.Hops + 1,
		})
	}
	return result
}

// gatewayOf returns the gateway of a route, which may be of the other family.
func gatewayOf(gw net.IP, via netlink.Destination) netip.Addr {
	if v, ok := via.(*netlink.Via); ok && v != nil && len(gw) == 0 {
		return convertIP(v.Addr)
	}
	return convertIP(gw)
}

// convertRule turns a rule of the library into ours.
func convertRule(r netlink.Rule) Rule {
	result := Rule{
		Family: "inet", Priority: r.Priority, Not: r.Invert, Src: convertNet(r.Src), Dst: convertNet(r.Dst),
		Mark: r.Mark, IIF: r.IifName, OIF: r.OifName, Table: r.Table, Goto: max(r.Goto, 0),
	}
	if r.Family == netlink.FAMILY_V6 {
		result.Family = "inet6"
	}
	if r.Mask != nil && *r.Mask != 0xffffffff {
		result.MarkMask = *r.Mask
	}
	if r.UIDRange != nil {
		result.UIDs = &UIDRange{First: r.UIDRange.Start, Last: r.UIDRange.End}
	}
	if r.SuppressPrefixlen >= 0 {
		result.SuppressPrefixLen = new(r.SuppressPrefixlen)
	}
	return result
}

// scopeName returns the name that `ip` prints for a scope.
func scopeName(scope int) string {
	switch scope {
	case unix.RT_SCOPE_UNIVERSE:
		return "global"
	case unix.RT_SCOPE_SITE:
		return "site"
	case unix.RT_SCOPE_LINK:
		return "link"
	case unix.RT_SCOPE_HOST:
		return "host"
	case unix.RT_SCOPE_NOWHERE:
		return "nowhere"
	}
	return strconv.Itoa(scope)
}

// routeTypeName returns the name that `ip` prints for a type of route.
func routeTypeName(t int) string {
	names := [...]string{
		unix.RTN_UNSPEC: "none", unix.RTN_UNICAST: "unicast", unix.RTN_LOCAL: "local",
		unix.RTN_BROADCAST: "broadcast", unix.RTN_ANYCAST: "anycast", unix.RTN_MULTICAST: "multicast",
		unix.RTN_BLACKHOLE: "blackhole", unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit",
		unix.RTN_THROW: "throw", unix.RTN_NAT: "nat", unix.RTN_XRESOLVE: "xresolve",
	}
	if t >= 0 && t < len(names) {
		return names[t]
	}
	return strconv.Itoa(t)
}
