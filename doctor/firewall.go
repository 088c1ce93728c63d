package doctor

import (
	"fmt"
	"net/netip"

	"mptcpctl/doctor/rule"
	"mptcpctl/hostnet"
	"mptcpctl/internal/firewall"
	"mptcpctl/internal/shell"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Firewall is the packet filter of the namespace: the rules of nf_tables as the kernel
// gave them, which [Diagnose] judges. It goes through JSON like the other facts.
type Firewall = firewall.Firewall

// filtered tells what the firewall of this host does to such packets from local to
// remote, to what comes back and to what follows.
func (v *view) filtered(k firewall.Kind, local, remote netip.AddrPort, device string) []firewall.Hit {
	if v.Firewall == nil || !remote.IsValid() {
		return nil
	}
	p := v.packet(device)
	p.Source, p.Destination = local, remote
	return v.Firewall.Exchange(k, p)
}

// packet is a packet that passes the device, "" for one that is not known.
func (v *view) packet(device string) firewall.Packet {
	l, _ := v.Network.LinkByName(device)
	p := firewall.Packet{Device: device, Index: l.Index, Below: v.Network.Members(l.Index)}
	for i, c := range v.Connections { // its mark is known if all have the same
		mark, known := v.Marks[c.Token]
		p.Mark = firewall.Known[uint32]{Value: mark, Is: known && (i == 0 || p.Mark.Is && p.Mark.Value == mark)}
		if !p.Mark.Is {
			break
		}
	}
	return p
}

// blame adds to a finding what the firewall of this host does to such packets. What
// it does for sure makes the finding certain.
func (v *view) blame(f *Finding, k firewall.Kind, hits []firewall.Hit) {
	for i := range hits {
		h := &hits[i]
		word := "may do so: it"
		switch {
		case h.Limited:
			word = "may do so, for it has a limit: beyond that it"
		case h.Sure:
			word = "does so: it"
			f.Confidence = track.Certain
			f.Excluded = excluding("the rule was held against this very packet: no other host sees it as it was",
				rule.ListenerClosed, rule.LoadBalancer, rule.PeerLimit, rule.NoRoute)
		}
		what := fmt.Sprintf("the firewall of this host %s %s %s, in %s", word, h.Deed, k.Name(h), h)
		table, chain := shell.Word(h.Table), shell.Word(h.Chain)
		list := fmt.Sprintf("nft -a list chain %s %s %s   (on this host)", h.Family, table, chain)
		f.Evidence, f.Fix = merged(f.Evidence, []string{what}), merged([]string{list}, f.Fix)
	}
}

// way returns the device that packets of the pair of addresses leave by, as far as
// it is known.
func (v *view) way(local, remote netip.AddrPort, bound string) string {
	if bound != "" {
		return bound
	}
	if l, ok := v.lookups[hostnet.LookupRequest{Dst: plain(remote.Addr()), Src: plain(local.Addr())}]; ok &&
		l.Route.IfIndex != 0 {
		return v.links[l.Route.IfIndex].Name
	}
	if a, ok := v.holders[plain(local.Addr())]; ok {
		return v.links[a.IfIndex].Name
	}
	return ""
}

// blameSubflow is blame for packets of a subflow.
func (v *view) blameSubflow(f *Finding, k firewall.Kind, sub *mptcp.Subflow) {
	v.blameWay(f, k, sub.Local, sub.Remote, boundTo(sub))
}

// blameWay is blame for packets between two addresses.
func (v *view) blameWay(f *Finding, k firewall.Kind, local, remote netip.AddrPort, bound string) {
	v.blame(f, k, v.filtered(k, local, remote, v.way(local, remote, bound)))
}

// boundTo returns the device that the subflow's socket is bound to.
func boundTo(s *mptcp.Subflow) string {
	if s.Bound {
		return s.Device
	}
	return ""
}
