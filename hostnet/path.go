package hostnet

import (
	"cmp"
	"net/netip"
	"slices"

	"mptcpctl/mptcp"
)

// PathProblem tells why a local address cannot be the source of a subflow to the
// destination. It is a sentence to show; the constants are all there are.
type PathProblem string

// The problems of a candidate path, "" where there is none.
const (
	ProblemLoopback      PathProblem = "loopback address"
	ProblemLinkScope     PathProblem = "link-local address"
	ProblemLinkDown      PathProblem = "link is down"
	ProblemNoCarrier     PathProblem = "link has no carrier"
	ProblemTentative     PathProblem = "address is tentative: duplicate address detection is not finished"
	ProblemDADFailed     PathProblem = "another host has this address"
	ProblemFamily        PathProblem = "other address family than the destination"
	ProblemNoDestination PathProblem = "no default route: name a destination"
	ProblemNoRoute       PathProblem = "no route to the destination through this device"
	ProblemNotOnLink     PathProblem = "no gateway on this device: the kernel would look for the destination on the " +
		"link itself"
	ProblemTwice PathProblem = "another link has the same address, and the path manager knows addresses only: give " +
		"this link another one"
	ProblemLocal PathProblem = "the destination is this host"
)

// Path is a local address seen as the source of a subflow to the destination: a
// candidate path.
type Path struct {
	Address netip.Addr   `json:"address"`
	Prefix  netip.Prefix `json:"prefix"`
	Family  mptcp.Family `json:"family"`
	Device  string       `json:"dev"`
	IfIndex int          `json:"ifindex"`
	Link    Link         `json:"link"`

	Destination netip.Addr `json:"destination,omitzero"` // that of the address' family
	Gateway     netip.Addr `json:"gateway,omitzero"`     // by the address' own link
	Metric      int        `json:"metric"`               // of the route by its own link

	// Initial: the kernel takes this address for the initial subflow.
	Initial bool `json:"initial"`
	// SharesDevice: it is on the same link as the initial subflow's address, so
	// that a subflow from it adds no path.
	SharesDevice bool `json:"shares_device"`
	// OwnLink: a subflow that is bound to the address alone leaves by the
	// address' own link. Else the routes send it over another one, LeavesBy, and
	// the endpoint needs `dev` (or the host a rule by source).
	OwnLink  bool   `json:"own_link"`
	LeavesBy string `json:"leaves_by,omitempty"` // "" where it leaves by none
	// Choice are the devices of which the kernel chooses one for each flow by a hash that
	// looks at ports, where a subflow is bound to the address alone: OwnLink is false then.
	Choice []string `json:"choice,omitempty"`
	// PastTunnel is the tunnel that connections go into by their route, and that a subflow
	// from this address does not.
	PastTunnel string `json:"past_tunnel,omitempty"`
	// SharesPrefixWith are other links with an address in the same prefix: ARP and
	// source routes decide what really happens.
	SharesPrefixWith []string `json:"shares_prefix_with,omitempty"`

	Deprecated bool        `json:"deprecated,omitempty"`
	Temporary  bool        `json:"temporary,omitempty"` // such an address goes away after a day
	Usable     bool        `json:"usable"`
	Problem    PathProblem `json:"problem,omitempty"` // why it is not usable
}

// Destination is where the paths of one family lead.
type Destination struct {
	Family  mptcp.Family `json:"family"`
	Address netip.Addr   `json:"address"`
	// Assumed: no destination was named. Address stands for whatever is reached by
	// the default route.
	Assumed bool       `json:"assumed"`
	Source  netip.Addr `json:"source,omitzero"` // of the initial subflow
	Device  string     `json:"dev,omitempty"`   // by which the initial subflow leaves
	Gateway netip.Addr `json:"gateway,omitzero"`
	Choice  []string   `json:"choice,omitempty"`  // devices of which a hash chooses one for each flow
	Problem string     `json:"problem,omitempty"` // why there is no initial subflow

	link Link // of Device
}

// Network is what candidate paths are worked out from: what [Reader] returns.
type Network struct {
	Links     []Link    `json:"links"`
	Addresses []Address `json:"addresses"`
	Routes    []Route   `json:"routes"`
	Rules     []Rule    `json:"rules"`
	// The choice between next hops of equal cost looks at ports, of IPv4 and of IPv6.
	HashesPorts4 bool `json:"hashes_ports4,omitempty"`
	HashesPorts6 bool `json:"hashes_ports6,omitempty"`
}

// LinkByIndex returns the link with that ifindex.
func (n Network) LinkByIndex(index int) (Link, bool) {
	for _, l := range n.Links {
		if l.Index == index {
			return l, true
		}
	}
	return Link{}, false
}

// LinkByName returns the link of that name.
func (n Network) LinkByName(name string) (Link, bool) {
	for _, l := range n.Links {
		if l.Name == name {
			return l, true
		}
	}
	return Link{}, false
}

// Members returns the names of the links that belong to the link, such as the ports of a
// bridge.
func (n Network) Members(ifIndex int) []string {
	var names []string
	for _, l := range n.Links {
		if ifIndex != 0 && l.Master == ifIndex {
			names = append(names, l.Name)
		}
	}
	return names
}

// OnLink reports whether a route without gateway leads to dst by the link, or the link has
// one other end: whether the kernel has a reason to look for dst on the link itself.
func (n Network) OnLink(ifIndex int, dst netip.Addr) bool {
	if l, ok := n.LinkByIndex(ifIndex); ok && l.PointToPoint() {
		return true
	}
	return slices.ContainsFunc(n.Routes, func(r Route) bool {
		return r.Dst.Contains(dst) && r.Forwards() && slices.ContainsFunc(r.Hops(), func(h NextHop) bool {
			return h.IfIndex == ifIndex && !h.Gateway.IsValid()
		})
	})
}

// PathReport is the answer to the question which paths this host has.
type PathReport struct {
	Destinations []Destination `json:"destinations"`
	Paths        []Path        `json:"paths"`
	// Open is on what rules make the routes depend that the answer leaves open, such as
	// "fwmark 0x1": it is for a flow without.
	Open []string `json:"open,omitempty"`
}

// Candidates returns every address of the host as a candidate path to dst: first
// the one that the initial subflow takes, then the usable ones by metric, then
// those that are not usable, with the reason. If dst is not valid, it is what the
// default route of each family leads to.
//
// It is pure as far as lookup is; ask lookup of the same host as the network is
// of.
func Candidates(n Network, dst netip.Addr, lookup LookupFunc) PathReport {
	var report PathReport
	for _, family := range []mptcp.Family{mptcp.FamilyINET, mptcp.FamilyINET6} {
		d := Destination{Family: family, Address: dst.Unmap()}
		if !dst.IsValid() {
			d.Address, d.Assumed = n.beyondDefault(family), true
		}
		if !d.Address.IsValid() || mptcp.FamilyOf(d.Address) != family {
			continue
		}
		report.Destinations = append(report.Destinations, n.initial(d, lookup))
	}
	for _, a := range n.Addresses {
		report.Paths = append(report.Paths, n.candidate(a, dst.IsValid(), report.Destinations, lookup))
	}
	slices.SortStableFunc(report.Paths, comparePaths)
	return report
}

// comparePaths puts the initial subflow's address first and unusable ones last.
func comparePaths(a, b Path) int {
	rank := func(p Path) int {
		switch {
		case p.Initial:
			return 0
		case p.Usable:
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Family, b.Family),
		cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.IfIndex, b.IfIndex))
}

// beyondDefault returns an address that only the default route of the main table
// leads to, or the zero address where there is no default route. The addresses
// tried are those that RFC 5737 and RFC 3849 keep for documentation: nobody is
// there, and nothing is sent.
func (n Network) beyondDefault(family mptcp.Family) netip.Addr {
	candidates := [...]netip.Addr{
		netip.AddrFrom4([4]byte{203, 0, 113, 1}), netip.AddrFrom4([4]byte{198, 51, 100, 1}),
		netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.AddrFrom4([4]byte{8, 8, 8, 8}),
		netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}),
		netip.AddrFrom16([16]byte{0x20, 0x01, 0x48, 0x60, 15: 1}),
	}
	for _, a := range candidates {
		if mptcp.FamilyOf(a) != family {
			continue
		}
		if r, ok := BestRoute(n.Routes, TableMain, 0, a); ok && r.IsDefault() && r.Forwards() {
			return a
		}
	}
	return netip.Addr{}
}

// initial completes the destination with what the initial subflow would take.
func (n Network) initial(d Destination, lookup LookupFunc) Destination {
	r, err := lookup(LookupRequest{Dst: d.Address})
	switch {
	case err != nil:
		d.Problem = err.Error()
	case !r.Forwards():
		d.Problem = "the route says " + r.Type
	default:
		d.link, _ = n.LinkByIndex(r.IfIndex)
		d.Source, d.Device, d.Gateway = r.Source, d.link.Name, r.Gateway
		d.Choice = n.Choice(r, d.Address)
	}
	return d
}

// candidate judges one address.
func (n Network) candidate(a Address, named bool, destinations []Destination, lookup LookupFunc) Path {
	l, _ := n.LinkByIndex(a.IfIndex)
	p := Path{
		Address: a.Addr, Prefix: a.Prefix, Family: mptcp.FamilyOf(a.Addr), Device: l.Name, IfIndex: a.IfIndex, Link: l,
		Deprecated: a.Deprecated, Temporary: a.Temporary,
		SharesPrefixWith: n.SharingPrefix(a),
	}
	i := slices.IndexFunc(destinations, func(d Destination) bool { return d.Family == p.Family })
	if i >= 0 {
		d := destinations[i]
		p.Destination = d.Address
		first := n.holderBy(d.Source, d.link.Index)
		p.Initial = d.Source == a.Addr && first == a.IfIndex
		p.SharesDevice = !p.Initial && d.Source.IsValid() && first == a.IfIndex
		if d.link.Tunnel && !l.Tunnel {
			p.PastTunnel = d.link.Name
		}
	}
	p.Problem = localProblem(a, l)
	switch {
	case p.Problem != "":
	case i < 0 && named:
		p.Problem = ProblemFamily
	case i < 0:
		p.Problem = ProblemNoDestination
	default:
		p.Problem = n.route(&p, lookup)
	}
	if p.Problem == "" && i >= 0 && !p.Initial && destinations[i].Source == a.Addr {
		p.Problem = ProblemTwice
	}
	p.Usable = p.Problem == ""
	return p
}

// holder returns the ifindex of the link that has the address, or 0.
func (n Network) holder(addr netip.Addr) int {
	for _, a := range n.Addresses {
		if a.Addr == addr {
			return a.IfIndex
		}
	}
	return 0
}

// holderBy is holder where several links have the address: that by which packets leave, if
// it is one of them.
func (n Network) holderBy(addr netip.Addr, leaves int) int {
	for _, a := range n.Addresses {
		if a.Addr == addr && (a.IfIndex == leaves || n.enslaved(a.IfIndex, leaves)) {
			return a.IfIndex
		}
	}
	return n.holder(addr)
}

// SharingPrefix returns the names of other links with an address in the prefix of a.
func (n Network) SharingPrefix(a Address) []string {
	var names []string
	if a.Prefix.IsSingleIP() || a.Scope != "global" {
		return nil
	}
	for _, other := range n.Addresses {
		if other.IfIndex == a.IfIndex || other.Prefix != a.Prefix {
			continue
		}
		if l, ok := n.LinkByIndex(other.IfIndex); ok && !slices.Contains(names, l.Name) {
			names = append(names, l.Name)
		}
	}
	return names
}

// localProblem tells what is wrong with an address wherever packets are to go.
func localProblem(a Address, l Link) PathProblem {
	switch {
	case a.Scope == "host", a.Addr.IsLoopback():
		return ProblemLoopback
	case a.Scope == "link", a.Addr.IsLinkLocalUnicast():
		return ProblemLinkScope
	case a.DADFailed:
		return ProblemDADFailed
	case !l.Up:
		return ProblemLinkDown
	case !l.Carrier:
		return ProblemNoCarrier
	case a.Tentative:
		return ProblemTentative
	}
	return ""
}

// route asks how a subflow from the address would travel, and completes the path.
func (n Network) route(p *Path, lookup LookupFunc) PathProblem {
	if n.holder(p.Destination) != 0 || p.Destination.IsLoopback() {
		return ProblemLocal
	}
	free, err := lookup(LookupRequest{Dst: p.Destination, Src: p.Address})
	leaves := err == nil && free.Forwards()
	if leaves {
		l, _ := n.LinkByIndex(free.IfIndex)
		p.LeavesBy = l.Name
		p.OwnLink = free.IfIndex == p.IfIndex
		if p.Choice = n.Choice(free, p.Destination); p.Choice != nil {
			p.OwnLink, p.LeavesBy = false, ""
		}
	}
	if p.Initial && leaves && !p.OwnLink && p.Choice == nil {
		// The host's own address, held by lo or a dummy device, that packets carry
		// over whichever link they leave by.
		p.Gateway, p.Metric = free.Gateway, n.metric(free, p.Destination)
		return ""
	}
	own, err := lookup(LookupRequest{Dst: p.Destination, Src: p.Address, OIF: p.IfIndex})
	if err != nil || !own.Forwards() || own.IfIndex != p.IfIndex && !n.enslaved(p.IfIndex, own.IfIndex) {
		return ProblemNoRoute
	}
	if !own.Gateway.IsValid() && !n.OnLink(p.IfIndex, p.Destination) {
		return ProblemNotOnLink
	}
	p.Gateway, p.Metric = own.Gateway, n.metric(own, p.Destination)
	return ""
}

// metric returns the metric of the route that answered a lookup. IPv4 does not
// tell it.
func (n Network) metric(answer Route, dst netip.Addr) int {
	if entry, ok := BestRoute(n.Routes, answer.Table, answer.IfIndex, dst); ok {
		return entry.Metric
	}
	return answer.Metric
}

// enslaved reports whether link belongs to master, as to a VRF by whose name the
// kernel then answers.
func (n Network) enslaved(link, master int) bool {
	l, ok := n.LinkByIndex(link)
	return ok && l.Master == master && master != 0
}
