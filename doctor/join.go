package doctor

import (
	"fmt"
	"net/netip"

	"mptcpctl/doctor/command"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/firewall"
	"mptcpctl/internal/shell"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// connRefused is the number of the error of a connect that a RST answered.
const connRefused = 111

// attempts returns the joins of the connection, as the events tell of them.
func (v *view) attempts(t mptcp.Token) []ledger.Attempt { return ledger.Attempts(v.events[t]) }

// endpoint returns the endpoint of the address.
func (v *view) endpoint(local netip.Addr) (mptcp.Endpoint, bool) {
	for _, e := range v.Endpoints {
		if plain(e.Address) == plain(local) {
			return e, true
		}
	}
	return mptcp.Endpoint{}, false
}

// failedJoins is D09, D16, D35 to D38 and D42: what the events tell of subflows
// that never came up, or ended, while the connection lives.
func failedJoins(v *view) []Finding {
	var g group
	for _, c := range v.clients {
		list := v.attempts(c.Token)
		for i := range list {
			a := &list[i]
			e, ok := v.endpoint(a.Local.Addr())
			if !ok && !a.Announced || recovered(c, list[i+1:], a) {
				continue
			}
			f, found := v.judge(c, a, e)
			if !found {
				continue
			}
			f.Subject.Remote = a.Remote
			if ok && e.Flags&mptcp.FlagImplicit == 0 { // such a one comes and goes with subflows
				f.Subject.Endpoint, f.Subject.EndpointID, f.Subject.Device = e.Address, e.ID, v.onEndpoint(e).Device
			}
			g.add(string(f.Rule)+a.Local.Addr().String()+a.Remote.String(), c, func() Finding { return f })
		}
	}
	return g.list
}

// recovered reports whether the same pair of addresses has a subflow now, or had
// one later.
func recovered(c *mptcp.Connection, later []ledger.Attempt, a *ledger.Attempt) bool {
	for i := range later {
		if later[i].Up != nil && later[i].Local.Addr() == a.Local.Addr() && later[i].Remote.Addr() == a.Remote.Addr() {
			return true
		}
	}
	for i := range c.Subflows {
		s := &c.Subflows[i]
		if s.State != mptcp.SubflowClosed && s.Local.Addr() == a.Local.Addr() && s.Remote.Addr() == a.Remote.Addr() {
			return true
		}
	}
	return false
}

// judge makes a finding of an attempt that failed.
func (v *view) judge(c *mptcp.Connection, a *ledger.Attempt, e mptcp.Endpoint) (Finding, bool) {
	ended := a.Ended(v.watched(c.Token))
	if len(ended) == 0 {
		return Finding{}, false
	}
	way := fmt.Sprintf("from %s to %s", a.Local.Addr(), a.Remote)
	f := Finding{Severity: Fail, Confidence: track.Likely, Evidence: []string{closedEvidence(c, a)}}
	if reason := a.Closed.ResetReason; a.Closed.Has(mptcp.FieldResetReason) && reason != mptcp.ResetUnspecified {
		return v.resetJoin(f, a, way)
	}
	switch cause := ended[0].Cause; {
	case cause == ledger.ResetBySomebody || cause == ledger.Unreachable:
		v.refusedJoin(&f, a, way, cause)
	case cause == ledger.Unanswered:
		v.unansweredJoin(&f, way)
		v.blameAttempt(&f, firewall.Join, a)
		if len(ended) > 1 { // it may have been up before anybody listened
			f.Alternatives = append(f.Alternatives, rule.NotRetried)
		}
	case cause == ledger.WithoutMPJoin && len(ended) == 1:
		f.Rule, f.Title = rule.JoinStripped, "a middlebox removes MPTCP from the join "+way+""
		f.Evidence = append(f.Evidence, v.counts("MPJoinSynTx", "MPJoinSynAckRx", "MPRstTx", "MPJoinSynAckNoMPJoin")...)
		f.Fix = []string{"report to the operator of this path that TCP option 30 (MP_JOIN) is removed"}
		v.blameAttempt(&f, firewall.Join, a)
	case cause == ledger.PeerLimit:
		f.Rule, f.Title = rule.PeerLimit, "the peer accepts no further subflow: it closed the one "+way+" at once"
		f.Alternatives = []rule.ID{rule.PeerWithoutDaemon}
		f.Fix = v.peerLimitFix()
	case a.Up != nil && (cause == ledger.TimedOut || cause == ledger.ResetLater):
		if e.Address.IsValid() && !v.works(e) {
			return Finding{}, false
		}
		f.Rule, f.Severity = rule.NotRetried, Warn
		f.Title = "the subflow " + way + " died, and the kernel will not retry it"
		f.Confidence = track.Certain
		f.Fix = repair(v, e)
		f.Excluded = excluding("SF_ESTABLISHED came first: the join itself had succeeded", rule.PeerLimit,
			rule.JoinUnanswered, rule.JoinRefused, rule.JoinStripped)
	default:
		return Finding{}, false
	}
	return f, true
}

// blameAttempt is blame for the packets of an attempt.
func (v *view) blameAttempt(f *Finding, k firewall.Kind, a *ledger.Attempt) {
	bound := ""
	if e, ok := v.endpoint(a.Local.Addr()); ok && e.IfIndex != 0 {
		bound = v.links[int(e.IfIndex)].Name
	}
	v.blameWay(f, k, a.Local, a.Remote, bound)
}

func closedEvidence(c *mptcp.Connection, a *ledger.Attempt) string {
	s := fmt.Sprintf(
		"connection %s: SF_CLOSED saddr %s daddr %s locid %d remid %d", c.Token, a.Local, a.Remote, a.LocalID,
		a.RemoteID,
	)
	if a.Closed.Has(mptcp.FieldError) && a.Closed.Error != 0 {
		s += " error " + a.Closed.Error.Name()
	} else {
		s += " without error"
	}
	if a.Closed.Has(mptcp.FieldResetReason) {
		s += " reset_reason " + a.Closed.ResetReason.String()
	}
	if a.Up == nil {
		return s + ", no SF_ESTABLISHED before"
	}
	return s + fmt.Sprintf(", %s after SF_ESTABLISHED", a.Closed.Time.Sub(a.Up.Time))
}

// repair is how a subflow is made anew: the kernel tries an endpoint once for each
// connection.
func repair(v *view, e mptcp.Endpoint) []string {
	if !e.Address.IsValid() {
		return []string{"the peer can announce its address again"}
	}
	words := deviceWords(v, e)
	if e.IfIndex == 0 {
		words = nil
	}
	return []string{command.DeleteEndpoint(e) + " && " + command.AddEndpoint(e, append(words, e.Flags.Names()...)...)}
}

// refusedJoin is D08, D09 or D36: RST or ICMP to the join's SYN.
func (v *view) refusedJoin(f *Finding, a *ledger.Attempt, way string, cause ledger.Cause) {
	if cause == ledger.Unreachable {
		f.Rule, f.Title = rule.JoinRefused, "the join "+way+" failed: a router or firewall answered \"unreachable\""
		f.Fix = []string{
			"look for a firewall that rejects it, or a router without the route: traceroute -s " + a.Local.Addr().
				String() +
				" " + a.Remote.Addr().
				String(),
		}
		v.blameAttempt(f, firewall.Join, a)
		return
	}
	switch {
	case a.Announced:
		f.Rule, f.Title = rule.AnnouncedWithoutListener, fmt.Sprintf(
			"the peer announced %s, but no program listens there", a.Remote,
		)
		f.Fix = []string{"on the peer: let the application listen on the wildcard address, or give the endpoint a port"}
	case v.refusesAll(a):
		f.Rule, f.Title, f.Confidence = rule.ListenerClosed, fmt.Sprintf(
			"no program listens on %s any more: the peer closed its listener", a.Remote,
		), track.Certain
		f.Fix = []string{"on the peer: keep the listening socket open while connections exist (netcat: nc -l -k)"}
		f.Excluded = excluding("a probe was refused there on the way of the initial subflow too", rule.JoinRefused,
			rule.LoadBalancer)
	default:
		f.Rule, f.Title = rule.JoinRefused, "the join "+way+" was refused with a reset"
		f.Alternatives = []rule.ID{rule.ListenerClosed, rule.LoadBalancer}
		f.Fix = []string{
			fmt.Sprintf(
				"mptcpctl probe %s %d   (shows whether it is this path, or whether no program listens any more)",
				a.Remote.Addr(), a.Remote.Port(),
			),
			"on the peer: keep the listening socket open (netcat: nc -l -k)",
		}
		v.blameAttempt(f, firewall.Join, a)
	}
}

// refusesAll reports whether a probe showed that the peer's port is closed on the
// way of the initial subflow too.
func (v *view) refusesAll(a *ledger.Attempt) bool {
	for _, p := range v.Probes {
		if p.Remote == a.Remote && p.Local.Addr() != a.Local.Addr() && p.Error == connRefused {
			return true
		}
	}
	return false
}

func (v *view) unansweredJoin(f *Finding, way string) {
	f.Rule, f.Title = rule.JoinUnanswered, "no answer to the join "+way
	f.Evidence = append(f.Evidence, v.counts("MPJoinSynTx", "MPJoinSynAckRx")...)
	f.Fix = []string{"look for a firewall or NAT on this path that drops SYN packets with TCP option 30 (MP_JOIN)"}
}

// answeredElsewhere adds that the answer to a SYN may come in by another device than its
// socket is bound to: this host then resets it, once for each SYN.
func (v *view) answeredElsewhere(f *Finding, s *mptcp.Subflow) {
	resets, _ := v.TCPBase.Now.Get("OutRsts")
	if device := boundTo(s); device != "" && resets > 1 {
		f.Evidence = append(f.Evidence, fmt.Sprintf(
			"OutRsts: %d: this host sends resets; if one goes out for each SYN, the answer comes in by another "+
				"device than %s, to which the subflow is bound", resets, device))
		f.Fix = append(f.Fix, fmt.Sprintf(
			"or nstat TcpOutRsts, again and again: if it moves with each SYN, let the way back to %s lead by %s",
			s.Local.Addr(), shell.Word(device)))
	}
}

// resetJoin judges a subflow that the peer reset with a reason.
func (v *view) resetJoin(f Finding, a *ledger.Attempt, way string) (Finding, bool) {
	reason := a.Closed.ResetReason
	f.Confidence = track.Certain
	f.Excluded = excluding("the peer itself sent this reason with its reset", rule.JoinUnanswered, rule.JoinRefused,
		rule.JoinStripped, rule.ListenerClosed)
	switch reason {
	case mptcp.ResetMiddlebox:
		f.Rule, f.Title = rule.OptionStripped, "a middlebox interferes with MPTCP on the path "+way
		f.Fix = []string{"report to the operator of this path that TCP option 30 (DSS) is removed from data"}
		v.blameAttempt(&f, firewall.Data, a)
	case mptcp.ResetResources, mptcp.ResetProhibited:
		f.Rule, f.Title = rule.PeerLimit, "the peer refuses subflows: "+reason.Explain()
		f.Fix = v.peerLimitFix()
	case mptcp.ResetTooMuchOutstanding, mptcp.ResetBadPerformance:
		f.Rule, f.Title, f.Severity = rule.NotRetried, "the peer gave up the subflow "+way+": "+reason.Explain(), Warn
		f.Fix = []string{"repair the path, then delete the endpoint and add it again"}
	default:
		return Finding{}, false
	}
	return f, true
}

// counts shows counters as evidence: what moved, else the totals. Absent ones are
// left out.
func (v *view) counts(names ...string) []string {
	var lines []string
	for _, name := range names {
		total, known := v.MPTCP.Now.Get(name)
		if n := v.moved(name); n > 0 {
			lines = append(lines, fmt.Sprintf("%s: %d in %s", name, n, v.MPTCP.Window))
		} else if known {
			lines = append(lines, fmt.Sprintf("%s: %d since the namespace was created", name, total))
		}
	}
	return lines
}

// hangingJoins is D35: a join whose SYN was sent again and has no answer.
func hangingJoins(v *view) []Finding {
	var g group
	for _, c := range v.clients {
		for _, s := range halfOpen(c) {
			if !retried(s) {
				continue
			}
			e, ok := v.endpoint(s.Local.Addr())
			g.add(s.Local.Addr().String()+s.Remote.String(), c, func() Finding {
				f := Finding{
					Severity: Fail, Confidence: track.Likely,
					Evidence: []string{
						fmt.Sprintf(
							"connection %s: the SYN with MP_JOIN from %s to %s was sent again and got no answer",
							c.Token, s.Local, s.Remote,
						),
					},
				}
				v.unansweredJoin(&f, fmt.Sprintf("from %s to %s", s.Local.Addr(), s.Remote))
				v.answeredElsewhere(&f, s)
				v.blameSubflow(&f, firewall.Join, s)
				f.Subject = Subject{Remote: s.Remote, Device: s.Device}
				if ok {
					f.Subject = v.onEndpoint(e)
					f.Subject.Remote = s.Remote
				}
				return f
			})
		}
	}
	return g.list
}

// backConnects is D10 seen from the server: the client announced an address, and
// the joins to it are refused.
func backConnects(v *view) []Finding {
	var g group
	for _, c := range v.servers {
		list := v.attempts(c.Token)
		for i := range list {
			a := &list[i]
			ended := a.Ended(v.watched(c.Token))
			if !a.Announced || len(ended) != 1 || ended[0].Cause != ledger.ResetBySomebody {
				continue
			}
			g.add(a.Remote.Addr().String(), c, func() Finding {
				return Finding{
					Rule: rule.ClientSignals, Severity: Info, Confidence: track.Likely,
					Title:    fmt.Sprintf("the client announced %s, but does not listen there", a.Remote),
					Subject:  Subject{Remote: a.Remote},
					Evidence: []string{closedEvidence(c, a)},
					Fix:      []string{"on the client: use the endpoint flag subflow instead of signal"},
				}
			})
		}
	}
	if len(g.list) > 0 || len(v.clients) > 0 { // the joins of clients count as well
		return g.list
	}
	return v.countedBackConnect()
}

// countedBackConnect is backConnects where no event told of the join: counters did.
func (v *view) countedBackConnect() []Finding {
	tried, answered := v.total("MPJoinSynTx"), v.total("MPJoinSynAckRx")
	if tried <= answered {
		return nil
	}
	for _, c := range v.servers {
		if c.Limits.AddAddrAccepted == 0 || c.SubflowsUp() != 1 {
			continue
		}
		return []Finding{{
			Rule: rule.ClientSignals, Severity: Info, Confidence: track.Possible, Subject: Subject{Token: c.Token},
			Title:    "a client announced an address, and a join of this host failed: clients seldom listen there",
			Evidence: []string{fmt.Sprintf("MPJoinSynTx %d, MPJoinSynAckRx %d in all", tried, answered)},
			Fix:      []string{"on the client: use the endpoint flag subflow instead of signal"},
		}}
	}
	return nil
}

// peerLimitFix raises the peer's limit to what this host's connections may have.
func (v *view) peerLimitFix() []string {
	wanted := 2
	if v.Limits != nil {
		wanted = max(1, int(v.Limits.Subflows))
	}
	return []string{
		fmt.Sprintf(
			"on the peer: mptcpctl limits set subflows %d   (its limit or its path manager refused the join)", wanted,
		),
		"then let the application connect again: the peer refuses the joins of this connection until one of its " +
			"subflows ends",
	}
}

// forbiddenFix is what lets joins come to the peer.
func forbiddenFix() []string {
	return []string{
		"on the peer: announce an address that joins may go to (mptcpctl endpoint add, with signal)",
		"or on the peer: sysctl -w net.mptcp.allow_join_initial_addr_port=1   (for new connections)",
	}
}
