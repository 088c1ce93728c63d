package doctor

import (
	"fmt"
	"net/netip"

	"mptcpctl/hostnet"
	"mptcpctl/internal/firewall"
	"mptcpctl/internal/shell"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Firewall is the packet filter of the namespace: the rules of nf_tables as the kernel
// gave them, which [Diagnose] judges. It goes through JSON like the other facts.
type Firewall = firewall.Firewall

// suspect is a kind of packets that seem to get lost.
type suspect struct {
	what    string // in words
	subtype byte   // of the MPTCP option (RFC 8684 section 8)
	answer  string // what comes back, "" for nothing that a rule of this host could stop
	flags   byte   // TCP flags of the packet that is sent
}

// The suspects.
var (
	suspectCapable = suspect{"SYN with MP_CAPABLE", 0, "SYN/ACK with MP_CAPABLE", firewall.FlagSYN}
	suspectJoin    = suspect{"SYN with MP_JOIN", 1, "SYN/ACK with MP_JOIN", firewall.FlagSYN}
	suspectData    = suspect{"data with DSS", 2, "data with DSS", firewall.FlagACK}
)

// filtered tells what the firewall of this host does to such packets from local to
// remote, and to what comes back.
func (v *view) filtered(s suspect, local, remote netip.AddrPort, device string) []firewall.Hit {
	if v.Firewall == nil || !remote.IsValid() {
		return nil
	}
	option := []byte{s.subtype << 4}
	hits := v.Firewall.Judge(
		&firewall.Packet{Device: device, Source: local, Destination: remote, Flags: s.flags, MPTCP: option},
	)
	return append(hits, v.Firewall.Judge(&firewall.Packet{
		Incoming:    true,
		Device:      device,
		Source:      remote,
		Destination: local,
		Flags:       s.flags | firewall.FlagACK,
		MPTCP:       option,
	})...)
}

// blame adds to a finding what the firewall of this host does to such packets. What
// it does for sure makes the finding certain.
func (v *view) blame(f *Finding, s suspect, hits []firewall.Hit) {
	for i := range hits {
		h := &hits[i]
		what := s.what
		if h.Hook == firewall.HookInput || h.Hook == firewall.HookPrerouting {
			what = s.answer
		}
		word := "may do so: it"
		if h.Sure {
			word = "does so: it"
			f.Confidence = track.Certain
		}
		f.Evidence = merged(
			f.Evidence, []string{fmt.Sprintf("the firewall of this host %s %s %s, in %s", word, h.Deed, what, h)},
		)
		f.Fix = merged(
			[]string{
				fmt.Sprintf(
					"nft -a list chain %s %s %s   (on this host)", h.Family, shell.Word(h.Table),
					shell.Word(h.Chain),
				),
			},
			f.Fix,
		)
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
func (v *view) blameSubflow(f *Finding, s suspect, sub *mptcp.Subflow) {
	v.blameWay(f, s, sub.Local, sub.Remote, boundTo(sub))
}

// blameWay is blame for packets between two addresses.
func (v *view) blameWay(f *Finding, s suspect, local, remote netip.AddrPort, bound string) {
	v.blame(f, s, v.filtered(s, local, remote, v.way(local, remote, bound)))
}

// boundTo returns the device that the subflow's socket is bound to.
func boundTo(s *mptcp.Subflow) string {
	if s.Bound {
		return s.Device
	}
	return ""
}
