package bothends

import (
	"fmt"
	"slices"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/firewall"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// answersLost is D29 for certain: joins arrive and are answered, and the reverse path filter
// of the host that made them drops the answers.
func answersLost(s *side, t *target, f *doctor.Finding) bool {
	came, _ := t.total("MPJoinSynRx")
	dropped, _ := s.TCP.Now.Get("IPReversePathFilter")
	if f.Rule != rule.ReversePathFilter || f.Confidence == track.Certain || came == 0 || dropped == 0 ||
		!s.never("MPJoinSynAckRx") {
		return false
	}
	f.Confidence = track.Certain
	f.Evidence = append(f.Evidence,
		fmt.Sprintf("on %s: MPJoinSynRx %d: the joins arrive", t.host, came),
		fmt.Sprintf("on %s: IPReversePathFilter %d, MPJoinSynAckRx 0: the answers are dropped", s.host, dropped))
	return true
}

// announcedThere is D17 for certain: the other host announces addresses.
func announcedThere(_ *side, t *target, f *doctor.Finding) bool {
	if f.Rule != rule.AnnouncementsNotAccepted || f.Confidence == track.Certain {
		return false
	}
	for _, e := range t.Endpoints {
		if e.Flags.Has(mptcp.FlagSignal) && t.holds(e.Address) {
			f.Evidence = append(f.Evidence, fmt.Sprintf("on %s: endpoint %s has the flag signal", t.host, e.Address))
			f.Confidence = track.Certain
		}
	}
	return f.Confidence == track.Certain
}

// announcedInVain is D10 for certain: the other host tried the announced address, and nothing
// answered.
func announcedInVain(s *side, t *target, f *doctor.Finding) bool {
	tried, _ := t.total("MPJoinSynTx")
	if f.Rule != rule.ClientSignals || f.Confidence == track.Certain || tried == 0 || !t.never("MPJoinSynAckRx") ||
		s.Listeners == nil || len(s.Listeners) > 0 {
		return false
	}
	f.Confidence = track.Certain
	f.Evidence = append(f.Evidence,
		fmt.Sprintf("on %s: MPJoinSynTx %d, MPJoinSynAckRx 0: its joins to announced addresses fail", t.host, tried))
	return true
}

// neverHeard is D44 for certain: no announcement arrived.
func neverHeard(_ *side, t *target, f *doctor.Finding) bool {
	if f.Rule != rule.AnnouncementTooLong || f.Confidence == track.Certain || t.end == nil || !t.never("AddAddr") {
		return false
	}
	f.Confidence = track.Certain
	f.Evidence = append(f.Evidence, "on "+t.host+": AddAddr is 0: no announcement arrived")
	return true
}

// mayBe reports whether the finding is of the rule, or names it as another cause.
func mayBe(f *doctor.Finding, ids ...rule.ID) bool {
	return slices.ContainsFunc(ids, func(id rule.ID) bool {
		return f.Rule == id || slices.Contains(f.Alternatives, id)
	})
}

// noDaemonThere is D14: the peer leaves joins to a daemon.
func noDaemonThere(_ *side, t *target, f *doctor.Finding) bool {
	if !mayBe(f, rule.PeerWithoutDaemon) || !t.userspace(t.end) || t.Subscribers == nil || *t.Subscribers > 0 {
		return false
	}
	f.Rule, f.Confidence = rule.PeerWithoutDaemon, track.Certain
	t.isAt(f)
	f.Title = t.host + " refuses joins: it selected the userspace path manager, and no daemon listens"
	f.Evidence = append(f.Evidence, "on "+t.host+": net.mptcp.path_manager is userspace, and nobody listens to events")
	f.Fix = []string{
		"on " + t.host + ": start the daemon, such as mptcpd, or: sysctl -w net.mptcp.path_manager=kernel",
		"then let the application connect again",
	}
	return true
}

// limitThere is D16, for certain: the limit of the other end is what refused the join.
func limitThere(s *side, t *target, f *doctor.Finding) bool {
	if !mayBe(f, rule.PeerLimit) || t.end == nil || t.userspace(t.end) {
		return false
	}
	limits := t.end.Limits
	if limits.Subflows < limits.SubflowsMax {
		return false
	}
	f.Rule, f.Confidence = rule.PeerLimit, track.Certain
	t.isAt(f)
	f.Title = fmt.Sprintf("%s accepts no further subflow of the connection from %s: its limit is %d",
		t.host, s.host, limits.SubflowsMax)
	f.Evidence = append(f.Evidence, fmt.Sprintf("on %s: connection %s has %d of %d additional subflows",
		t.host, t.end.Token, limits.Subflows, limits.SubflowsMax))
	if n, ok := t.total("MPJoinRejected"); ok {
		f.Evidence = append(f.Evidence, fmt.Sprintf("on %s: MPJoinRejected %d", t.host, n))
	}
	wanted := limits.SubflowsMax + 1
	if s.Limits != nil {
		wanted = max(wanted, uint8(min(s.Limits.Subflows, 255)))
	}
	f.Fix = []string{
		fmt.Sprintf("on %s: mptcpctl limits set subflows %d", t.host, wanted),
		"then let the application connect again: the kernel refuses further joins of a connection that it refused once",
	}
	return true
}

// forbiddenThere is D25, seen on the host that forbids.
func forbiddenThere(_ *side, t *target, f *doctor.Finding) bool {
	allowed := t.Sysctls.AllowJoinInitialAddrPort
	if f.Rule != rule.JoinsForbidden || allowed == nil || *allowed || t.userspace(t.end) {
		return false
	}
	for _, e := range t.Endpoints {
		if e.Flags.Has(mptcp.FlagSignal) {
			return false
		}
	}
	f.Confidence = track.Certain
	t.isAt(f)
	f.Title = t.host + " forbids joins to its address and announces no other"
	f.Evidence = append(f.Evidence,
		"on "+t.host+": net.mptcp.allow_join_initial_addr_port is 0, and no endpoint has the flag signal")
	f.Fix = []string{
		"on " + t.host + ": mptcpctl endpoint add ADDRESS signal   (an address of this host alone)",
		"or on " + t.host + ", for new connections: sysctl -w net.mptcp.allow_join_initial_addr_port=1",
	}
	return true
}

// elsewhereJoined is D40, for certain: the joins arrive at a third host, which does not know
// them.
func elsewhereJoined(all []*side) func(*side, *target, *doctor.Finding) bool {
	return func(s *side, t *target, f *doctor.Finding) bool {
		if !mayBe(f, rule.LoadBalancer) || t.end == nil {
			return false
		}
		for _, third := range all {
			lost, _ := third.total("MPJoinNoTokenFound")
			joins, _ := third.total("MPJoinSynRx")
			if third.host == s.host || third.host == t.host || lost == 0 || lost < joins {
				continue
			}
			f.Rule, f.Confidence = rule.LoadBalancer, track.Certain
			f.Subject = doctor.Subject{Host: third.host, Netns: third.Netns}
			f.Title = fmt.Sprintf("joins of connections between %s and %s reach %s, which does not know them",
				s.host, t.host, third.host)
			f.Evidence = append(f.Evidence,
				fmt.Sprintf("on %s: MPJoinNoTokenFound %d of %d joins", third.host, lost, max(joins, lost)),
				fmt.Sprintf("on %s: connection %s", t.host, t.end.Token))
			f.Fix = []string{
				"on each host behind the balancer: sysctl -w net.mptcp.allow_join_initial_addr_port=0",
				"and there: mptcpctl endpoint add ADDRESS signal   (an address of each host alone)",
			}
			return true
		}
		return false
	}
}

// noListenerThere is D08 and D09, for certain: nobody listens where the join goes to.
func noListenerThere(_ *side, t *target, f *doctor.Finding) bool {
	refused := mayBe(f, rule.ListenerClosed, rule.AnnouncedWithoutListener) ||
		slices.Contains(f.Alternatives, rule.JoinRefused)
	if !refused || f.Confidence == track.Certain || t.Listeners == nil || !t.holds(t.at.Addr()) {
		return false
	}
	if _, listens := listener(t.Listeners, t.at); listens {
		return false
	}
	f.Rule, f.Confidence, f.Severity = rule.ListenerClosed, track.Certain, doctor.Warn
	t.isAt(f)
	f.Title = fmt.Sprintf("%s refuses joins to %s: the program does not listen any more", t.host, t.at)
	f.Fix = []string{"on " + t.host + ": let the program go on listening, or let it listen on :: or 0.0.0.0"}
	if plain(t.at.Addr()) != plain(t.c.Remote.Addr()) {
		f.Rule, f.Severity = rule.AnnouncedWithoutListener, doctor.Fail
		f.Title = fmt.Sprintf("%s announces %s, and nobody listens there", t.host, t.at)
		f.Fix = []string{
			fmt.Sprintf("on %s: let the program listen on every address, or: mptcpctl endpoint delete the one of %s",
				t.host, t.at.Addr()),
		}
	}
	f.Evidence = append(f.Evidence, fmt.Sprintf("on %s: no MPTCP listener at %s", t.host, t.at))
	return true
}

// joinThere is D35, D36 and D37, for certain: the join is lost, refused or stripped by the
// firewall of the other end, or on the way.
func joinThere(s *side, t *target, f *doctor.Finding) bool {
	own := f.Rule == rule.JoinUnanswered || f.Rule == rule.JoinRefused || f.Rule == rule.JoinStripped
	if !own || f.Confidence == track.Certain || !t.holds(t.at.Addr()) {
		return false
	}
	if t.blame(f, firewall.Join) {
		f.Title = fmt.Sprintf("the firewall of %s stops the join from %s to %s", t.host, t.local, t.at)
		if f.Rule == rule.JoinStripped {
			f.Title = fmt.Sprintf("the firewall of %s removes MPTCP from the join from %s to %s", t.host, t.local, t.at)
		}
		return true
	}
	if _, listens := listener(t.Listeners, t.at); !listens || !t.never("MPJoinSynRx") {
		return false
	}
	f.Evidence = append(f.Evidence, "on "+t.host+": MPJoinSynRx is 0: no join arrived")
	f.Confidence = s.between(t, f)
	deed := map[rule.ID]string{
		rule.JoinUnanswered: "is lost", rule.JoinRefused: "is refused", rule.JoinStripped: "loses MPTCP",
	}[f.Rule]
	f.Title = fmt.Sprintf("the join from %s to %s %s on the way: it does not reach %s", t.local, t.at, deed, t.host)
	f.Fix = []string{fmt.Sprintf("report to the operator of the path from %s to %s that SYN packets with TCP option "+
		"30 (MP_JOIN) do not pass unchanged", t.local, t.at.Addr())}
	return true
}
