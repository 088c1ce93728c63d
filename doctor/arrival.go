package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"mptcpctl/doctor/rule"
	"mptcpctl/hostnet"
	"mptcpctl/internal/firewall"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// ruleAbout returns the rule about what a firewall does to joins.
func ruleAbout(deed firewall.Deed) rule.ID {
	switch deed {
	case firewall.Rejects:
		return rule.JoinRefused
	case firewall.Strips:
		return rule.JoinStripped
	}
	return rule.JoinUnanswered
}

// arrivals judges packets that are still to come: this host's firewall stops joins to an
// address that it announces (D35, D36, D37), or takes MPTCP out of the handshakes of
// connections to its programs (D07).
func arrivals(v *view) []Finding {
	if v.Firewall == nil || !v.serves() {
		return nil
	}
	var found []Finding
	for _, e := range v.Endpoints {
		if holder, here := v.holders[plain(e.Address)]; here && e.Flags.Has(mptcp.FlagSignal) {
			found = append(found, v.unwelcome(e, v.links[holder.IfIndex].Name)...)
		}
	}
	for _, a := range v.Network.Addresses {
		for _, l := range v.Listeners {
			at := netip.AddrPortFrom(plain(a.Addr), l.Local.Port())
			if a.Scope != "global" || l.Inode == 0 || !listens([]Listener{l}, at.Addr(), at.Port()) {
				continue
			}
			hits := v.arriving(firewall.Capable, at, v.links[a.IfIndex].Name)
			if len(hits) == 0 || !hits[0].MPTCP {
				continue
			}
			f := Finding{
				Rule: rule.ServerUsesTCP, Severity: Warn, Confidence: track.Likely, Subject: Subject{Netns: v.Netns},
				Title: fmt.Sprintf("the firewall of this host %s handshakes at port %d", hits[0].Deed, at.Port()),
				Fix:   []string{"delete that rule: because of it connections to this port are plain TCP, or fail"},
			}
			v.blame(&f, firewall.Capable, hits)
			return append(found, f)
		}
	}
	return found
}

// departures judges joins of an endpoint that is supposed: what this host's firewall does to
// them, whatever the peer's port is (D35, D36, D37).
func departures(v *view) []Finding {
	if v.Firewall == nil || !v.supposed {
		return nil
	}
	for _, w := range v.wants() {
		local, remote := netip.AddrPortFrom(plain(w.e.Address), 0), netip.AddrPortFrom(plain(w.c.Remote.Addr()), 0)
		hits := surely(v.filtered(firewall.Join, local, remote, v.way(local, remote, v.boundDevice(*w.e))))
		if w.e.ID != 0 || len(hits) == 0 {
			continue
		}
		f := Finding{
			Rule: ruleAbout(hits[0].Deed), Severity: Fail, Confidence: track.Likely, Subject: v.onEndpoint(*w.e),
			Title: fmt.Sprintf(
				"the firewall of this host %s joins from %s to %s", hits[0].Deed, w.e.Address, remote.Addr(),
			),
			Fix: []string{fmt.Sprintf("let TCP from %s to %s pass, and its answers", w.e.Address, remote.Addr())},
		}
		v.blame(&f, firewall.Join, hits)
		return []Finding{f}
	}
	return nil
}

// arriving tells what the firewall does to the first packets of a flow that comes to an
// address of this host from somewhere.
func (v *view) arriving(k firewall.Kind, at netip.AddrPort, device string) []firewall.Hit {
	p := v.packet(device)
	p.Incoming, p.Destination = true, at
	return surely(v.Firewall.Exchange(k, p))
}

// surely returns the hit that is sure, if there is one: a limit that nothing has reached is
// no trouble of packets to come.
func surely(hits []firewall.Hit) []firewall.Hit {
	if n := len(hits); n > 0 && hits[n-1].Sure {
		return hits[n-1:]
	}
	return nil
}

// unwelcome tells what keeps joins from an address that is announced.
func (v *view) unwelcome(e mptcp.Endpoint, device string) []Finding {
	ports := []uint16{e.Port}
	if e.Port == 0 {
		ports = v.reachedAt(e)
	}
	for _, port := range ports {
		hits := v.arriving(firewall.Join, netip.AddrPortFrom(plain(e.Address), port), device)
		if len(hits) == 0 {
			continue
		}
		f := Finding{
			Rule: ruleAbout(hits[0].Deed), Severity: Warn, Confidence: track.Likely, Subject: v.onEndpoint(e),
			Title: fmt.Sprintf("the firewall of this host %s joins to %s port %d, which it announces to peers",
				hits[0].Deed, e.Address, port),
			Evidence: []string{fmt.Sprintf("endpoint id %d: %s", e.ID, e.Flags)},
			Fix:      []string{fmt.Sprintf("let TCP to %s port %d in", e.Address, port)},
		}
		v.blame(&f, firewall.Join, hits)
		if !slices.Equal(hits, v.arriving(firewall.Join, netip.AddrPortFrom(plain(e.Address), port), "")) {
			f.Confidence = min(f.Confidence, track.Likely) // they may come in by another device
		}
		return []Finding{f}
	}
	return nil
}

// reachedAt returns the ports at which peers that follow the announcement come: those of
// connections, and those of listeners that the firewall lets peers reach elsewhere.
func (v *view) reachedAt(e mptcp.Endpoint) []uint16 {
	var ports []uint16
	for _, c := range v.servers {
		ports = append(ports, c.Local.Port())
	}
	for _, l := range v.Listeners {
		elsewhere := func(a hostnet.Address) bool {
			at := netip.AddrPortFrom(plain(a.Addr), l.Local.Port())
			return a.Scope == "global" && at.Addr() != plain(e.Address) && listens(v.Listeners, at.Addr(), at.Port()) &&
				len(v.arriving(firewall.Capable, at, v.links[a.IfIndex].Name)) == 0
		}
		if l.Inode != 0 && slices.ContainsFunc(v.Network.Addresses, elsewhere) {
			ports = append(ports, l.Local.Port())
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}
