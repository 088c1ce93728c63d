package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mptcpctl/doctor/command"
	"mptcpctl/doctor/rule"
	"mptcpctl/hostnet"
	"mptcpctl/internal/shell"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// routeKey is a way whose route was judged: from an endpoint to a peer.
type routeKey struct {
	source, remote netip.Addr
	device         int32
	mark           uint32 // joins have the mark of their connection
}

// routeTrouble is why packets from an endpoint do not take its own link to a
// peer. The zero value is no trouble, or none that the facts tell of.
type routeTrouble struct {
	rule     rule.ID
	title    string
	evidence []string
	fix      []string
	severity Severity
	chance   bool // it depends on chance
}

// route judges how the endpoint's packets to the peer travel.
func (v *view) route(e mptcp.Endpoint, c *mptcp.Connection) routeTrouble {
	key := routeKey{plain(e.Address), plain(c.Remote.Addr()), e.IfIndex, v.Marks[c.Token]}
	t, known := v.routes[key]
	if !known {
		t = v.judgeRoute(e, key)
		v.routes[key] = t
	}
	return t
}

func (v *view) judgeRoute(e mptcp.Endpoint, key routeKey) routeTrouble {
	holder, ok := v.holders[key.source]
	if !ok || !v.works(e) {
		return routeTrouble{}
	}
	free, asked := v.lookups[hostnet.LookupRequest{Dst: key.remote, Src: key.source, Mark: key.mark}]
	if e.IfIndex == 0 {
		if !asked {
			return routeTrouble{}
		}
		return v.unboundRoute(e, key, holder, free)
	}
	if t := v.misbound(e, holder); t.rule != "" {
		return t
	}
	request := hostnet.LookupRequest{Dst: key.remote, Src: key.source, OIF: int(e.IfIndex), Mark: key.mark}
	if bound, ok := v.lookups[request]; ok {
		if t := v.boundRoute(e, key, bound); t.rule != "" {
			return t
		}
	}
	if asked {
		return v.reverseFilter(e, key, free)
	}
	return routeTrouble{}
}

// misbound is D27: the endpoint is bound to a device that has not its address. What
// the peer answers goes to the one that has it, and so not to the subflow's socket.
func (v *view) misbound(e mptcp.Endpoint, holder hostnet.Address) routeTrouble {
	by, own := v.links[int(e.IfIndex)], v.links[holder.IfIndex]
	if holder.IfIndex == int(e.IfIndex) || own.Loopback || own.Kind == "dummy" || by.Kind == "vrf" ||
		v.enslaved(holder.IfIndex, int(e.IfIndex)) ||
		v.holds(int(e.IfIndex), holder.Addr) ||
		slices.Contains(v.Network.SharingPrefix(holder), v.device(int(e.IfIndex))) {
		return routeTrouble{}
	}
	return routeTrouble{
		rule: rule.WrongLink, severity: Fail,
		title: fmt.Sprintf("endpoint %s is bound to %s, but its address is on %s", e.Address, by.Name, own.Name),
		evidence: []string{
			fmt.Sprintf("the endpoint names dev %s, the address is on %s", by.Name, own.Name),
			fmt.Sprintf(
				"answers to %s arrive on %s, but the subflow accepts only packets from %s", e.Address, own.Name,
				by.Name,
			),
		},
		fix: []string{
			command.DeleteEndpoint(e),
			command.AddEndpoint(e, append([]string{"dev", shell.Word(own.Name)}, e.Flags.Names()...)...),
		},
	}
}

// holds reports whether the link has the address, as several links may.
func (v *view) holds(link int, addr netip.Addr) bool {
	for _, a := range v.Network.Addresses {
		if a.IfIndex == link && plain(a.Addr) == plain(addr) {
			return true
		}
	}
	return false
}

// boundRoute is D28: no route, or a phantom one, through the endpoint's device.
func (v *view) boundRoute(e mptcp.Endpoint, key routeKey, l Lookup) routeTrouble {
	link := v.links[int(e.IfIndex)]
	name := link.Name
	t := routeTrouble{rule: rule.NoRoute, severity: Fail, fix: []string{
		v.defaultRoute(link, key.remote),
	}}
	switch {
	case l.Error == "" && l.Route.Type == "local" && v.ground.AddressTrouble(key.remote) == ledger.AddressMissing:
		return v.localRoute(e, key)
	case l.Error != "":
		t.title = fmt.Sprintf(
			"there is no route to %s through %s, the device of endpoint %s", key.remote, name, e.Address,
		)
		t.evidence = []string{fmt.Sprintf("ip route get %s from %s oif %s: %s", key.remote, key.source, name, l.Error)}
	case !l.Route.Forwards():
		t.title = fmt.Sprintf("the route to %s through %s is %s", key.remote, name, l.Route.Type)
		t.evidence = []string{
			fmt.Sprintf("ip route get %s from %s oif %s: %s", key.remote, key.source, name, l.Route.Type),
		}
	case l.Route.Gateway.IsValid(), l.Route.Type == "local", v.Network.Routes == nil,
		v.Network.OnLink(int(e.IfIndex), key.remote):
		return routeTrouble{}
	default:
		t.title = fmt.Sprintf(
			"no gateway leads from %s to %s, so the kernel looks for the peer on the link itself", name, key.remote,
		)
		t.evidence = []string{
			fmt.Sprintf("ip route get %s from %s oif %s: no gateway", key.remote, key.source, name),
			fmt.Sprintf("%s is in no prefix of %s", key.remote, name),
		}
	}
	return t
}

// defaultRoute is the command that gives the link a default route which disturbs nobody.
// Its metric is one that no other route has and that no other link is advised; the gateway
// is that of another route by the link, where there is one.
func (v *view) defaultRoute(link hostnet.Link, remote netip.Addr) string {
	const least = 1000 // above what network managers give
	metric := least + link.Index
	for slices.ContainsFunc(v.Network.Routes, func(r hostnet.Route) bool { return r.Metric == metric }) {
		metric += 1 << 16 // far from the indices of other links
	}
	via, known := v.via(link, remote)
	if !known {
		return fmt.Sprintf("give %s a default route through its router, with a metric that no other has, such as %d",
			link.Name, metric)
	}
	return fmt.Sprintf(
		"%s route add default%s dev %s metric %d", command.IP(remote), via, shell.Word(link.Name), metric,
	)
}

// ownTable is the command that has what comes from the address leave by the link, "" where
// its router is not known.
func (v *view) ownTable(address netip.Addr, link hostnet.Link, remote netip.Addr) string {
	via, known := v.via(link, remote)
	if !known || link.Name == "" {
		return ""
	}
	return fmt.Sprintf("%[1]s rule add from %[2]s table 100 && %[1]s route add default%[3]s dev %[4]s table 100",
		command.IP(address), address, via, shell.Word(link.Name))
}

// via returns the words of a route for the gateway of a link, none where it has one other
// end, and whether they are known.
func (v *view) via(link hostnet.Link, remote netip.Addr) (words string, known bool) {
	if link.PointToPoint() {
		return "", true
	}
	for _, r := range v.Network.Routes {
		for _, h := range r.Hops() {
			if h.IfIndex == link.Index && h.Gateway.IsValid() && sameFamily(h.Gateway, remote) {
				return " via " + h.Gateway.String(), true
			}
		}
	}
	return "", false
}

// unboundRoute is D27, D30 or D31: the packets leave by another link than the one
// that has the address.
func (v *view) unboundRoute(e mptcp.Endpoint, key routeKey, holder hostnet.Address, l Lookup) routeTrouble {
	own := v.links[holder.IfIndex]
	switch {
	case l.Error != "" && !key.remote.IsLoopback():
		return v.noRoute(e, key, own, l)
	case l.Error == "" && l.Route.Type == "local" && v.ground.AddressTrouble(key.remote) == ledger.AddressMissing:
		return v.localRoute(e, key)
	}
	choice := v.Network.Choice(l.Route, key.remote)
	if l.Error != "" || l.Route.IfIndex == 0 || l.Route.Type == "local" || own.Loopback || own.Kind == "dummy" ||
		choice == nil && l.Route.IfIndex == holder.IfIndex || v.enslaved(holder.IfIndex, l.Route.IfIndex) {
		return routeTrouble{}
	}
	by := v.links[l.Route.IfIndex]
	t := routeTrouble{
		rule: rule.WrongLink, severity: Warn,
		title: fmt.Sprintf(
			"subflows from endpoint %s leave through %s, but the address is on %s", e.Address, by.Name, own.Name,
		),
		evidence: []string{
			fmt.Sprintf("ip route get %s from %s: dev %s", key.remote, key.source, by.Name),
			fmt.Sprintf("the address is on %s, but the endpoint names no device", own.Name),
		},
		fix: []string{
			command.DeleteEndpoint(e),
			command.AddEndpoint(e, append([]string{"dev", shell.Word(own.Name)}, e.Flags.Names()...)...),
		},
	}
	if table := v.ownTable(e.Address, own, key.remote); table != "" {
		t.fix = append(t.fix, table+"   (or this)")
	}
	switch {
	case choice != nil:
		t.chance = true
		t.title = fmt.Sprintf("subflows from endpoint %s leave through %s, as a hash of their ports chooses",
			e.Address, strings.Join(choice, " or "))
		t.evidence[0] = fmt.Sprintf("ip route get %s from %s: a route with several next hops", key.remote, key.source)
	case by.Tunnel && !own.Tunnel:
		t.rule = rule.TunnelRoute
		t.title = fmt.Sprintf("subflows from endpoint %[2]s go into the tunnel %[1]s", by.Name, e.Address)
		t.evidence = append(t.evidence, fmt.Sprintf("%s is a tunnel (%s)", by.Name, by.Kind))
	case slices.Contains(v.Network.SharingPrefix(holder), by.Name):
		t.rule = rule.SameSubnet
		t.title = fmt.Sprintf(
			"%s and %s are in the same subnet: subflows from endpoint %s leave through %s", own.Name, by.Name,
			e.Address, by.Name,
		)
		t.evidence = append(t.evidence, fmt.Sprintf("both links have addresses in %s", holder.Prefix))
		t.fix = append(t.fix, "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2")
	}
	return t
}

// noRoute is D28 for an endpoint without a device: the kernel finds no way from its
// address.
func (v *view) noRoute(e mptcp.Endpoint, key routeKey, own hostnet.Link, l Lookup) routeTrouble {
	t := routeTrouble{
		rule: rule.NoRoute, severity: Fail,
		title:    fmt.Sprintf("there is no route to %s from endpoint %s", key.remote, e.Address),
		evidence: []string{fmt.Sprintf("ip route get %s from %s: %s", key.remote, key.source, l.Error)},
		fix:      []string{v.defaultRoute(own, key.remote)},
	}
	if table := v.ownTable(e.Address, own, key.remote); table != "" {
		t.fix = []string{table}
	}
	if key.source.IsLoopback() {
		t.title = fmt.Sprintf("endpoint %s is a loopback address: it cannot reach %s", e.Address, key.remote)
		t.fix = []string{command.DeleteEndpoint(e), "add an endpoint for another address: mptcpctl paths"}
	}
	return t
}

// localRoute is D28: a rule sends packets to another host into a local route, which ends
// here.
func (v *view) localRoute(e mptcp.Endpoint, key routeKey) routeTrouble {
	q := hostnet.LookupRequest{Dst: key.remote, Src: key.source, Mark: key.mark}
	return routeTrouble{
		rule: rule.NoRoute, severity: Fail,
		title: fmt.Sprintf(
			"packets from endpoint %s to %s stay on this host: their route is local", e.Address, key.remote,
		),
		evidence: []string{fmt.Sprintf("ip route get %s: local, but %s is no address of this host", q, key.remote)},
		fix: []string{
			"ip rule list   (find the rule that leads to the table with this local route, and delete it)",
		},
	}
}

// markMatters reports whether the way of the connection's joins may depend on its mark,
// which is not known.
func (v *view) markMatters(c *mptcp.Connection) bool {
	if _, known := v.Marks[c.Token]; known {
		return false
	}
	for i := range v.Network.Rules {
		if v.Network.Rules[i].Mark != 0 {
			return true
		}
	}
	return false
}

// enslaved reports whether the link belongs to the master, as to a bridge or a VRF.
func (v *view) enslaved(link, master int) bool {
	return master != 0 && (v.links[link].Master == master || v.links[master].Master == link)
}

// reverseFilter is D29: answers to the endpoint are dropped by the reverse path
// filter, as the way back leads by another link.
func (v *view) reverseFilter(e mptcp.Endpoint, key routeKey, free Lookup) routeTrouble {
	link := v.links[int(e.IfIndex)]
	conf, ok := v.IPv4[link.Name]
	if !key.source.Is4() || !ok || conf.Effective(v.IPv4["all"]).RPFilter != 1 ||
		free.Error != "" || free.Route.IfIndex == 0 || free.Route.IfIndex == link.Index ||
		v.enslaved(link.Index, free.Route.IfIndex) {
		return routeTrouble{}
	}
	name := shell.Word(link.Name)
	t := routeTrouble{
		rule: rule.ReversePathFilter, severity: Fail,
		title: fmt.Sprintf(
			"%s drops the answers to endpoint %s: the reverse path filter is strict", link.Name, e.Address,
		),
		evidence: []string{
			fmt.Sprintf("rp_filter of %s is 1 (the larger value of \"all\" and %s)", link.Name, link.Name),
			fmt.Sprintf(
				"ip route get %s from %s: dev %s, not %s", key.remote, key.source, v.device(free.Route.IfIndex),
				link.Name,
			),
		},
		fix: []string{fmt.Sprintf("sysctl -w net.ipv4.conf.%s.rp_filter=2", name)},
	}
	if n, _ := v.TCP.Moved.Get("IPReversePathFilter"); n > 0 {
		t.evidence = append(t.evidence, fmt.Sprintf("IPReversePathFilter: %d in %s", n, v.TCP.Window))
	}
	return t
}

// badRoutes is D27 to D31: what is wrong with the way of endpoints to peers.
func badRoutes(v *view) []Finding {
	var g group
	for _, w := range v.wants() {
		t := v.route(*w.e, w.c)
		if t.rule == "" || w.up() && t.severity == Fail && w.Subflow.State != mptcp.SubflowSilent {
			continue // a subflow that is up disproves it
		}
		if t.chance && w.up() && w.Subflow.Device == v.device(v.holders[plain(w.e.Address)].IfIndex) {
			continue // it was lucky
		}
		g.add(fmt.Sprint(t.rule, w.e.Address, v.Marks[w.c.Token]), w.c, func() Finding {
			sure := track.Certain
			switch {
			case t.chance:
				sure = track.Possible
			case t.rule == rule.ReversePathFilter || t.rule == rule.SameSubnet:
				sure = track.Likely
			}
			f := Finding{
				Rule: t.rule, Severity: t.severity, Confidence: sure, Title: t.title,
				Subject: v.onEndpoint(*w.e), Evidence: t.evidence, Fix: t.fix,
				Excluded: excluding("the kernel was asked with what the join has: source, destination, device and mark",
					rule.JoinUnanswered, rule.JoinRefused, rule.JoinStripped),
			}
			if v.markMatters(w.c) {
				f.Confidence = min(f.Confidence, track.Likely)
				f.Evidence = append(
					slices.Clone(f.Evidence),
					"rules by fwmark are there, and the mark of the connection is not seen (it needs "+
						"CAP_NET_ADMIN): the routes may be others",
				)
				f.Alternatives = []rule.ID{rule.JoinUnanswered}
			}
			return f
		})
	}
	return g.list
}

// markedRules is D32: a rule by user that applies to the program and not to its joins,
// where an endpoint's subflow does not come up. The kernel makes joins as user 0. They do
// have the mark of the connection: what a rule by mark does to them the lookups show.
func markedRules(v *view) []Finding {
	var g group
	for _, w := range v.wants() {
		if w.unused() || w.up() || !retried(w.Subflow) {
			continue
		}
		policy := v.ruleByUser(w.c.UID)
		if policy == nil {
			continue
		}
		g.add(w.e.Address.String(), w.c, func() Finding {
			return Finding{
				Rule: rule.MarkedRule, Severity: Info, Confidence: track.Possible,
				Title: fmt.Sprintf(
					"a routing rule by user does not apply to the subflows from endpoint %s", w.e.Address,
				),
				Subject: v.onEndpoint(*w.e),
				Evidence: []string{
					fmt.Sprintf(
						"rule priority %d: uidrange %d-%d lookup %d", policy.Priority, policy.UIDs.First,
						policy.UIDs.Last, policy.Table,
					),
					fmt.Sprintf("the program runs as user %d, and the kernel makes its joins as user 0", w.c.UID),
				},
				Fix: []string{fmt.Sprintf("ip rule add from %s table %d", w.e.Address, policy.Table)},
			}
		})
	}
	return g.list
}

// ruleByUser returns the first rule that is for packets of the user and not for those of
// user 0, as which the kernel makes joins.
func (v *view) ruleByUser(uid uint32) *hostnet.Rule {
	for i := range v.Network.Rules {
		r := &v.Network.Rules[i]
		if !r.Not && r.Table != 0 && r.UIDs != nil && r.UIDs.First > 0 && r.UIDs.First <= uid && uid <= r.UIDs.Last {
			return r
		}
	}
	return nil
}

// reverseFilterHere is D29 on the receiving side: packets of peers were dropped.
func reverseFilterHere(v *view) []Finding {
	n, _ := v.TCP.Moved.Get("IPReversePathFilter")
	if n == 0 || len(v.servers) == 0 {
		return nil
	}
	var strict, loose []string
	for _, l := range v.Network.Links {
		if conf, ok := v.IPv4[l.Name]; ok && conf.Effective(v.IPv4["all"]).RPFilter == 1 && !l.Loopback && l.Usable() {
			strict = append(strict, l.Name)
			loose = append(loose, "net.ipv4.conf."+strings.ReplaceAll(shell.Word(l.Name), ".", "/")+".rp_filter=2")
		}
	}
	if len(strict) < 2 {
		return nil // with a single link the way back is the same
	}
	return []Finding{{
		Rule: rule.ReversePathFilter, Severity: Info, Confidence: track.Possible,
		Title:   "the reverse path filter dropped packets, perhaps those of peers' second paths",
		Subject: Subject{Netns: v.Netns},
		Evidence: []string{
			fmt.Sprintf("IPReversePathFilter: %d in %s", n, v.TCP.Window),
			fmt.Sprintf("rp_filter is 1 on %q", strict),
		},
		Fix: []string{"sysctl -w " + strings.Join(loose, " ")},
	}}
}

// paths returns addresses of this host, one for each link, that lead to the peer
// by their own link.
func (v *view) paths(remote netip.Addr) []hostnet.Address {
	remote = plain(remote)
	list, known := v.candidates[remote]
	if known {
		return list
	}
	seen := map[int]bool{}
	for _, a := range v.Network.Addresses {
		l := v.links[a.IfIndex]
		usable := l.Usable() && !l.Loopback && !l.Tunnel && !a.Tentative && !a.DADFailed && !a.Deprecated &&
			a.Scope == "global" && sameFamily(a.Addr, remote)
		if usable && !seen[a.IfIndex] && v.leads(a, remote) {
			seen[a.IfIndex] = true
			list = append(list, a)
		}
	}
	v.candidates[remote] = list
	return list
}

// leads reports whether a route leads to the peer by the address' own link.
func (v *view) leads(a hostnet.Address, remote netip.Addr) bool {
	for _, r := range v.Network.Routes {
		if r.Type != "local" && r.Forwards() && r.Dst.Contains(remote) && r.Uses(a.IfIndex) {
			return true
		}
	}
	return false
}
