package bothends

import (
	"fmt"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/firewall"
	"mptcpctl/internal/match"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// silentThere is D43, for certain: the other end has the subflow as well, and no link is down,
// so packets are lost by the firewall of the other end or on the way.
func silentThere(s *side, t *target, f *doctor.Finding) bool {
	if f.Rule != rule.SilentPath || f.Confidence == track.Certain || t.end == nil {
		return false
	}
	for _, m := range match.Subflows(t.c, t.end).Both {
		here, there := &t.c.Subflows[m.Here], &t.end.Subflows[m.There]
		if here.State != mptcp.SubflowSilent || !there.State.Up() && there.State != mptcp.SubflowSilent {
			continue
		}
		way := &target{side: t.side, c: t.c, end: t.end, at: there.Local, local: there.Remote.Addr()}
		if way.blame(f, firewall.Data) {
			f.Title = fmt.Sprintf("the firewall of %s stops the subflow from %s to %s",
				t.host, here.Local.Addr(), there.Local)
			return true
		}
		if !t.linkUp(there) || !s.linkUp(here) {
			return false
		}
		f.Confidence = s.between(t, f)
		f.Title = fmt.Sprintf("packets of the subflow from %s to %s are lost between %s and %s",
			here.Local.Addr(), here.Remote, s.host, t.host)
		f.Evidence = append(f.Evidence, fmt.Sprintf("on %s: the subflow is %s, %d bytes received of %d that %s sent",
			t.host, there.State, there.BytesReceived, here.BytesSent, s.host))
		return true
	}
	return false
}

// linkUp reports whether the device with the subflow's address works.
func (s *side) linkUp(sub *mptcp.Subflow) bool {
	l, ok := s.Network.LinkByName(s.device(sub.Local.Addr()))
	return ok && l.Usable()
}
