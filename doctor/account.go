package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"mptcpctl/doctor/command"
	"mptcpctl/doctor/rule"
	"mptcpctl/hostnet"
	"mptcpctl/internal/firewall"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Account returns the account of paths that the findings rest on.
func Account(f Facts) ledger.Ledger { return *newView(&f).ledger() }

// ledger returns the account of what the path manager could have done, made when the
// first rule asks for it.
func (v *view) ledger() *ledger.Ledger {
	if v.account == nil {
		l := ledger.Of(v.pathFacts())
		v.account = &l
	}
	return v.account
}

// pathFacts are the facts as the ledger takes them.
func (v *view) pathFacts() ledger.Facts {
	f := ledger.Facts{
		Release: v.Kernel.Release, Userspace: v.userspace(), Limits: v.Limits, Endpoints: v.Endpoints,
		Connections: v.Connections, Hidden: v.blind, Counters: v.MPTCP.Now,
		Events: v.Events, Earlier: v.EarlierThan,
		Addresses: v.Network.Addresses, Links: v.Network.Links, Local: v.localPrefixes(),
		Lookup: func(q hostnet.LookupRequest) (hostnet.Route, string, bool) {
			l, known := v.lookups[q]
			return l.Route, l.Error, known
		},
	}
	if v.EventsLost == 0 {
		f.EventsSince = v.EventsSince
	}
	return f
}

// entry returns what the ledger says of the endpoint on the connection, nil for nothing.
func (v *view) entry(c *mptcp.Connection, e mptcp.Endpoint) *ledger.Entry {
	if v.supposed {
		return v.foreseen(c, e)
	}
	return v.ledger().From(c.Token, e.Address)
}

// foreseen returns what the path manager would do with the endpoint on a connection that
// does not exist.
func (v *view) foreseen(c *mptcp.Connection, e mptcp.Endpoint) *ledger.Entry {
	list, known := v.foresight[c.Token]
	if !known {
		list = ledger.Foresee(v.pathFacts(), c.Local, c.Remote)
		v.foresight[c.Token] = list
	}
	for i := range list {
		if plain(list[i].Endpoint.Address) == plain(e.Address) && list[i].Endpoint.Port == e.Port {
			return &list[i]
		}
	}
	return nil
}

// ruleOf returns the rule about a cause of the ledger, "" where none is.
func ruleOf(k ledger.Kind, c ledger.Cause) rule.ID {
	if k == ledger.Follow && c == ledger.ResetBySomebody {
		return rule.AnnouncedWithoutListener
	}
	switch c {
	case ledger.PeerForbids:
		return rule.JoinsForbidden
	case ledger.OtherFamily:
		return rule.OtherFamily
	case ledger.NothingAcknowledged:
		return rule.NothingSent
	case ledger.NoSubflowsAllowed, ledger.LimitReached:
		return rule.SubflowLimit
	case ledger.NothingAccepted, ledger.EnoughAccepted:
		return rule.AnnouncementsNotAccepted
	case ledger.AddressMissing, ledger.AddressTentative, ledger.NoPort:
		return rule.AddressMissing
	case ledger.DeviceMissing, ledger.DeviceDown:
		return rule.LinkDown
	case ledger.NoRoute:
		return rule.NoRoute
	case ledger.OptionTooLong:
		return rule.AnnouncementTooLong
	case ledger.Unanswered:
		return rule.JoinUnanswered
	case ledger.WithoutMPJoin:
		return rule.JoinStripped
	case ledger.ResetBySomebody, ledger.Unreachable:
		return rule.JoinRefused
	case ledger.PeerLimit, ledger.PeerProhibits:
		return rule.PeerLimit
	case ledger.NotLookedAgain, ledger.UsedOtherwise, ledger.TimedOut, ledger.ResetLater, ledger.Ended:
		return rule.NotRetried
	}
	return ""
}

// alternatives are the rules that the stages of an entry stand for, but for one.
func alternatives(e *ledger.Entry, but rule.ID) []rule.ID {
	var list []rule.ID
	seen := map[rule.ID]bool{but: true, "": true}
	for _, r := range e.Reached {
		ids := []rule.ID{ruleOf(e.Kind, r.Cause)}
		if r.Cause == ledger.ResetLater {
			ids = append(ids, rule.OptionStripped) // an end that gets no mappings resets the subflow
		}
		for _, id := range ids {
			if !seen[id] {
				seen[id] = true
				list = append(list, id)
			}
		}
	}
	return list
}

// givenUp is D42, and what led to it where the counters tell: an endpoint that has no
// subflow, and that the kernel will not try by itself.
func givenUp(v *view) []Finding {
	var g group
	for _, w := range v.wants() {
		forbidden := w.Certain() && w.May(ledger.PeerForbids)
		if v.supposed || !w.unused() || !w.Stuck() || w.SharesLink || !v.works(*w.e) || forbidden && v.follows(w.c) ||
			w.May(ledger.NotLookedAgain) && !v.settled(w.c) || v.toldByEvents(w.c, w.e.Address, w.c.Remote) {
			continue
		}
		g.add(w.e.Address.String()+w.Reached[0].String(), w.c, func() Finding { return v.stuckEndpoint(w) })
	}
	return g.list
}

// settled reports whether the connection is so old that its path manager has had its
// turn: a worker of the kernel runs it, soon after the first acknowledgement.
func (v *view) settled(c *mptcp.Connection) bool {
	const (
		turn  = 500 * time.Millisecond
		ahead = 200 * time.Millisecond // for one that is older than the listening
	)
	switch {
	case !c.Since.IsZero() && v.Time.Sub(c.Since) > turn:
		return true
	case v.earlier[c.Token] && v.Time.Sub(v.EventsSince) > ahead:
		return true // it was there when listening began
	}
	quiet := time.Duration(max(c.LastDataSentMS, c.LastDataRecvMS)) * time.Millisecond
	return quiet > turn
}

// stuckEndpoint is the finding about an endpoint that is stuck.
func (v *view) stuckEndpoint(w want) Finding {
	entry := w.Entry
	f := Finding{
		Rule: rule.NotRetried, Severity: Warn, Confidence: track.Likely,
		Title:    fmt.Sprintf("endpoint %s: its subflow failed, and the kernel will not retry it", w.e.Address),
		Subject:  v.onEndpoint(*w.e),
		Evidence: append([]string{}, entry.Evidence...),
		Fix:      repair(v, *w.e),
	}
	f.Evidence = append(f.Evidence, v.counts(joinCounters...)...)
	if entry.Certain() {
		v.certainly(&f, w, entry.Reached[0])
		return f
	}
	if !entry.Is(ledger.NotDue) && v.ownFirewall(&f, w) {
		return f
	}
	f.Alternatives = alternatives(entry, rule.NotRetried)
	if entry.Is(ledger.NotDue) {
		f.Title = fmt.Sprintf("endpoint %s has no subflow, and the kernel will not try it by itself", w.e.Address)
	}
	return f
}

// ownFirewall makes the finding one about a rule of this host's firewall, and reports
// whether a rule stops the joins from the endpoint for sure.
func (v *view) ownFirewall(f *Finding, w want) bool {
	local := netip.AddrPortFrom(w.e.Address, 0)
	hits := v.filtered(firewall.Join, local, w.c.Remote, v.way(local, w.c.Remote, v.boundDevice(*w.e)))
	i := slices.IndexFunc(hits, func(h firewall.Hit) bool { return h.Sure })
	if i < 0 {
		v.blame(f, firewall.Join, hits)
		return false
	}
	f.Rule = ruleAbout(hits[i].Deed)
	f.Severity = Fail
	f.Title = fmt.Sprintf("the firewall of this host %s the join from %s to %s", hits[i].Deed, w.e.Address, w.c.Remote)
	v.blame(f, firewall.Join, hits)
	return true
}

// joinCounters are the counters that tell how joins ended.
var joinCounters = []string{
	"MPJoinSynTx", "MPJoinSynAckRx", "MPRstTx", "MPJoinSynTxBindErr", "MPJoinSynTxConnectErr",
}

// certainly makes the finding one about the only cause that the counters leave.
func (v *view) certainly(f *Finding, w want, reach ledger.Reach) {
	way := fmt.Sprintf("from %s to %s", w.e.Address, w.c.Remote)
	again := repair(v, *w.e)[0]
	f.Confidence = track.Certain
	defer func() { f.Excluded = append(f.Excluded, v.excludedBy(w.Entry, f.Rule)...) }()
	switch reach.Cause {
	case ledger.PeerLimit:
		f.Rule, f.Severity, f.Confidence = rule.PeerLimit, Fail, track.Likely
		f.Title = "the peer accepts no further subflow: it closed the one " + way + " at once"
		f.Alternatives = []rule.ID{rule.PeerWithoutDaemon}
		f.Fix = v.peerLimitFix()
	case ledger.WithoutMPJoin:
		f.Rule, f.Severity, f.Confidence = rule.JoinStripped, Fail, track.Likely
		f.Title = "a middlebox removes MPTCP from the join " + way
		f.Fix = []string{"report to the operator of this path that TCP option 30 (MP_JOIN) is removed"}
		v.blameWay(f, firewall.Join, netip.AddrPortFrom(w.e.Address, 0), w.c.Remote, v.boundDevice(*w.e))
	case ledger.PeerForbids:
		f.Rule = rule.JoinsForbidden
		f.Title = fmt.Sprintf("%s forbids joins to its address, and announces no other", w.c.Remote)
		f.Subject.Remote = w.c.Remote
		f.Fix = forbiddenFix()
	case ledger.NotLookedAgain:
		f.Title = fmt.Sprintf("endpoint %s is not tried on this connection: %s", w.e.Address, reach.Cause)
		f.Fix = []string{again}
	case ledger.UsedOtherwise:
		f.Title = fmt.Sprintf("endpoint %s is not tried on this connection: %s", w.e.Address, reach.Cause)
	default:
		f.Confidence = track.Likely
		f.Alternatives = alternatives(&ledger.Entry{Reached: []ledger.Reach{reach}}, rule.NotRetried)
	}
}

// boundDevice is the name of the device that subflows of the endpoint are bound to.
func (v *view) boundDevice(e mptcp.Endpoint) string {
	if e.IfIndex == 0 {
		return ""
	}
	return v.links[int(e.IfIndex)].Name
}

// unusedAnnouncements is D09, D28, D35 or D36 without events: an address that the peer
// announced was used, and has no subflow.
func unusedAnnouncements(v *view) []Finding {
	var g group
	for _, c := range v.clients {
		if !ready(c) || !v.kernelPM(c) {
			continue
		}
		for entry := range v.ledger().Connection(c.Token) {
			if entry.Kind != ledger.Follow || !entry.GivenUp() || v.toldByEvents(c, netip.Addr{}, entry.Remote) {
				continue
			}
			g.add(
				entry.Remote.String()+c.Remote.Addr().String(), c,
				func() Finding { return v.unusedAnnouncement(c, entry) },
			)
		}
	}
	return g.list
}

// toldByEvents reports whether failedJoins judges the join, by the event that ended it.
func (v *view) toldByEvents(c *mptcp.Connection, local netip.Addr, remote netip.AddrPort) bool {
	for _, a := range v.attempts(c.Token) {
		from := !local.IsValid() || plain(a.Local.Addr()) == plain(local)
		if a.Closed == nil || !from || !remote.IsValid() || plain(a.Remote.Addr()) != plain(remote.Addr()) {
			continue
		}
		if _, found := v.judge(c, &a, mptcp.Endpoint{Address: local}); found {
			return true
		}
	}
	return false
}

func (v *view) unusedAnnouncement(c *mptcp.Connection, entry *ledger.Entry) Finding {
	what := "an address that the peer announced"
	if entry.Remote.IsValid() {
		what = fmt.Sprintf("%s, which the peer announced,", entry.Remote)
	}
	f := Finding{
		Rule: rule.NotRetried, Severity: Warn, Confidence: track.Likely,
		Title:    what + " has no subflow: the join failed, and the kernel will not retry it",
		Subject:  Subject{Netns: v.Netns, Remote: c.Remote},
		Evidence: append(append([]string{}, entry.Evidence...), v.counts(joinCounters...)...),
		Fix: []string{
			"on the peer: delete the endpoint of the announced address and add it again, when the cause is mended",
		},
	}
	if entry.Remote.IsValid() {
		f.Subject.Remote = entry.Remote
	}
	if entry.May(ledger.Ended) { // perhaps because an endpoint was deleted
		f.Title = what + " has no subflow: its join failed or its subflow ended, and the kernel will not retry it"
	}
	switch {
	case entry.Is(ledger.NotPossible) && entry.May(ledger.NoRoute):
		f.Rule, f.Title = rule.NoRoute, "the peer announced an address, and no route leads there"
		f.Fix = append(
			[]string{"mptcpctl monitor event ANNOUNCED   (names the address on the next connection)"},
			f.Fix...)
	case !entry.Certain():
		f.Alternatives = alternatives(entry, rule.NotRetried)
		return f
	}
	if reach := entry.Reached[0]; reach.Cause == ledger.NoRoute && entry.Remote.IsValid() {
		f.Rule, f.Confidence = rule.NoRoute, track.Certain
		f.Excluded = v.excludedBy(entry, rule.NoRoute)
		f.Title = fmt.Sprintf("the peer announced %s, and no route leads there", entry.Remote)
		to := entry.Remote.Addr()
		why := fmt.Sprintf("%s route get %s   (shows why; add the route that is missing)", command.IP(to), to)
		f.Fix = append([]string{why}, f.Fix...)
	} else if f.Rule == rule.NotRetried {
		f.Alternatives = alternatives(entry, rule.NotRetried)
	}
	return f
}
