package bothends

import (
	"fmt"
	"net/netip"
	"slices"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/hostnet"
	"mptcpctl/internal/firewall"
	"mptcpctl/internal/shell"
	"mptcpctl/track"
)

// handshakeThere tells D05, D07 and the firewall apart: why the peer answered the handshake
// without MPTCP.
func handshakeThere(s *side, t *target, f *doctor.Finding) bool {
	if f.Confidence == track.Certain || f.Rule != rule.PeerWithoutMPTCP && f.Rule != rule.ServerUsesTCP {
		return false
	}
	plain, usesTCP := listener(t.PlainListeners, t.at)
	_, usesMPTCP := listener(t.Listeners, t.at)
	off := t.Sysctls.Enabled != nil && !*t.Sysctls.Enabled
	switch {
	case usesTCP && !usesMPTCP && off:
		f.Rule = rule.SwitchedOff
		t.isAt(f)
		f.Title = fmt.Sprintf("connections to %s use plain TCP: net.mptcp.enabled is 0 on %s", t.at, t.host)
		f.Fix = []string{
			"on " + t.host + ": sysctl -w net.mptcp.enabled=1",
			"on " + t.host + ": start " + holder(&plain) + " again; if it still uses TCP: mptcpctl run -- COMMAND",
		}
	case usesTCP && !usesMPTCP:
		f.Rule = rule.ServerUsesTCP
		t.isAt(f)
		f.Title = fmt.Sprintf("connections to %s use plain TCP: %s on %s opened a TCP socket",
			t.at, holder(&plain), t.host)
		f.Fix = []string{"on " + t.host + ": mptcpctl run -- COMMAND   (starts the program with MPTCP sockets)"}
	case usesMPTCP && !usesTCP:
		return strippedHandshake(s, t, f)
	default:
		return false
	}
	f.Evidence = append(f.Evidence, fmt.Sprintf("on %s: a TCP listener at %s, and none of MPTCP", t.host, plain.Local))
	f.Confidence = track.Certain
	return true
}

// strippedHandshake is the case that both programs use MPTCP: it is removed between them.
func strippedHandshake(s *side, t *target, f *doctor.Finding) bool {
	f.Rule = rule.ServerUsesTCP
	f.Evidence = append(f.Evidence, fmt.Sprintf("on %s: an MPTCP listener at %s", t.host, t.at))
	if t.blame(f, firewall.Capable) {
		f.Title = fmt.Sprintf("connections to %s use plain TCP: the firewall of %s removes MPTCP", t.at, t.host)
		return true
	}
	f.Title = fmt.Sprintf(
		"connections to %s use plain TCP, and both programs use MPTCP: it is removed on the way from %s to %s",
		t.at, s.host, t.host)
	f.Fix = []string{"report to the operator of this path that TCP option 30 (MP_CAPABLE) is removed"}
	f.Confidence = s.between(t, f)
	if t.never("MPCapableSYNRX") {
		f.Evidence = append(f.Evidence, "on "+t.host+": MPCapableSYNRX is 0: no handshake with MPTCP arrived")
	} else if f.Confidence == track.Certain && t.end == nil {
		f.Confidence = track.Likely // others came with MPTCP; the listener may be younger than the connection
	}
	return true
}

// between returns how sure it is that the way is to blame and not one of the hosts: their
// firewalls must have been seen.
func (s *side) between(t *target, f *doctor.Finding) track.Confidence {
	sure := track.Certain
	for _, one := range []*side{s, t.side} {
		if one.Firewall == nil {
			f.Evidence = append(f.Evidence, "the firewall of "+one.host+" was not seen")
			sure = track.Likely
		}
	}
	return sure
}

// blame makes the finding one about the firewall of the target, if that stops such packets
// from the connection's host, or takes MPTCP out of them. It reports whether it does.
func (t *target) blame(f *doctor.Finding, k firewall.Kind) bool {
	hits, sure := t.arriving(k)
	for i := range hits {
		h := &hits[i]
		if !h.Sure {
			continue
		}
		t.isAt(f)
		f.Confidence = track.Certain
		if !sure {
			f.Confidence = track.Likely
			f.Evidence = append(f.Evidence, "by which device of "+t.host+" the packets come is not known")
		}
		f.Evidence = append(f.Evidence, fmt.Sprintf("the firewall of %s %s %s, in %s", t.host, h.Deed, k.Name(h), h))
		f.Fix = []string{fmt.Sprintf("on %s: nft -a list chain %s %s %s, and delete that rule",
			t.host, h.Family, shell.Word(h.Table), shell.Word(h.Chain))}
		return true
	}
	return false
}

// isAt makes the finding one about the target: what it is about on the host that found it is
// no endpoint or device there.
func (t *target) isAt(f *doctor.Finding) {
	f.Subject = doctor.Subject{
		Connections: f.Subject.Connections, Host: t.host, Netns: t.Netns,
	}
	if t.end != nil && f.Subject.Connections <= 1 {
		f.Subject.Token = t.end.Token
	}
}

// arriving tells what the firewall of the target does to packets that come to it. sure says
// that it is known by which device they come: else all are tried.
func (t *target) arriving(k firewall.Kind) (hits []firewall.Hit, sure bool) {
	if t.Firewall == nil {
		return nil, false
	}
	devices, sure := t.devices()
	for _, l := range devices {
		p := firewall.Packet{
			Incoming: true, Device: l.Name, Index: l.Index, Below: t.Network.Members(l.Index),
			Source: netip.AddrPortFrom(plain(t.local), 0), Destination: t.at,
		}
		if hits := t.Firewall.Exchange(k, p); slices.ContainsFunc(hits, isSure) {
			return hits, sure
		}
	}
	return nil, sure
}

func isSure(h firewall.Hit) bool { return h.Sure }

// devices returns the links by which packets come from the connection's host: the one that is
// in a network with the address that they come from, else all that may be.
func (t *target) devices() (list []hostnet.Link, sure bool) {
	for i := range t.Network.Links {
		l := &t.Network.Links[i]
		if !l.PointToPoint() && t.Network.OnLink(l.Index, plain(t.local)) {
			return []hostnet.Link{*l}, true
		}
		if !l.Loopback && l.Usable() {
			list = append(list, *l)
		}
	}
	return list, len(list) == 1
}
