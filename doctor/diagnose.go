package doctor

import (
	"cmp"
	"slices"

	"mptcpctl/doctor/rule"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
)

// judge finds one cause, or causes that are found on the same evidence.
type judge func(*view) []Finding

// judges returns all judges.
func judges() []judge {
	return []judge{
		noMPTCP, disabled, forbidden, oldKernel, noDaemon, twoManagers, elsewhere, memory,
		plainTCP, idle, lonelyServer, md5Option, checksums,
		subflowLimit, refusedHere, overrun, announcedInVain, limitEaten, tableFull,
		useless, meshAlone, ownAddress, notHere, linkDown, otherFamily, unheard, clientSignals, arrivals, departures,
		droppedAnnouncement,
		badRoutes, markedRules, reverseFilterHere,
		failedJoins, hangingJoins, backConnects, givenUp, unusedAnnouncements, abandoned,
		fallbacks, blackhole, orphans, silent, unanswered, carriesNothing, damaged, strippedData,
		foreignJoins, lostEvents, oldIPRoute2,
	}
}

// Diagnose applies all rules to the facts. Facts are not changed.
func Diagnose(f Facts) Report {
	v := newView(&f)
	var found []Finding
	for _, r := range judges() {
		found = append(found, r(v)...)
	}
	found = damageOrLoss(withoutTwins(withoutEffects(found)))
	doubt(found)
	families := map[rule.ID]rule.Family{}
	for _, r := range rule.All() {
		families[r.ID] = r.Family
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return mendFirst(&a, &b, families) })
	report := Report{Schema: 1, Time: f.Time.UTC(), Findings: append([]Finding{}, found...), Unseen: f.Unseen}
	for i := range report.Findings {
		report.Findings[i].admit()
		if !report.Findings[i].host {
			report.Findings[i].Fix = f.enter(report.Findings[i].Fix)
		}
	}
	for i := range found {
		report.Verdict = max(report.Verdict, verdictOf(found[i].Severity))
	}
	report.Connections = v.connections(found)
	if len(report.Connections) > 0 {
		report.Verdict = v.trust(report.Verdict)
	}
	return report
}

// trust returns the verdict, which is unknown where a trouble would not have shown.
func (v *view) trust(verdict Verdict) Verdict {
	if verdict == Healthy && v.blind {
		return Unknown
	}
	return verdict
}

func verdictOf(s Severity) Verdict { return Verdict(s) }

// mendFirst orders findings: the worst first; then what lies nearer to the root,
// in the order of the catalogue's families; then the surer.
func mendFirst(a, b *Finding, families map[rule.ID]rule.Family) int {
	return cmp.Or(
		-cmp.Compare(a.Severity, b.Severity), cmp.Compare(families[a.Rule], families[b.Rule]),
		-cmp.Compare(a.Confidence, b.Confidence), cmp.Compare(a.Rule, b.Rule),
		a.Subject.Endpoint.Compare(b.Subject.Endpoint), a.Subject.Remote.Compare(b.Subject.Remote),
		cmp.Compare(a.Subject.Token, b.Subject.Token),
	)
}

// connections makes the outcome for each connection.
func (v *view) connections(found []Finding) []Connection {
	worst := map[mptcp.Token]Severity{}
	for i := range found {
		for t := range found[i].tokens {
			worst[t] = max(worst[t], found[i].Severity)
		}
	}
	list := make([]Connection, 0, len(v.Connections))
	for i := range v.Connections {
		c := &v.Connections[i]
		r := Connection{
			Token:    c.Token,
			Netns:    c.Netns,
			Subflows: c.SubflowsUp(),
			Verdict:  v.trust(verdictOf(worst[c.Token])),
		}
		r.PathsPossible, r.Unused = v.unusedPaths(c, found)
		list = append(list, r)
	}
	return list
}

// unusedPaths returns how many links of this host lead to the peer, and the
// addresses that the connection does not use, with the reason. Only the side that
// connected makes subflows: for others what is up is what is possible.
func (v *view) unusedPaths(c *mptcp.Connection, found []Finding) (possible int, unused []UnusedPath) {
	used := map[int]bool{}
	for i := range c.Subflows {
		if c.Subflows[i].State.Up() {
			used[v.ground.LinkOf(&c.Subflows[i])] = true
		}
	}
	possible = max(len(used), 1)
	if c.Side != mptcp.SideClient || v.within(c) || c.State != mptcp.StateEstablished {
		return possible, nil
	}
	endpoints := map[int]bool{}
	for _, e := range v.Endpoints {
		if path, ok := v.unusedEndpoint(c, e, found); ok {
			unused = append(unused, path)
		}
		if l, ok := v.link(e); ok && e.Flags&mptcp.FlagImplicit == 0 {
			endpoints[l.Index] = true
		}
	}
	for _, a := range v.paths(c.Remote.Addr()) {
		if used[a.IfIndex] {
			continue
		}
		possible++
		if !endpoints[a.IfIndex] && !c.Fallback {
			path := UnusedPath{Address: a.Addr, Device: v.device(a.IfIndex), Reason: "no endpoint for this address"}
			if s := c.SubflowFrom(a.Addr); s != nil {
				path.Rule, path.Reason = whyHalfOpen(s)
			}
			unused = append(unused, path)
		}
	}
	return possible, unused
}

// unusedEndpoint tells why the connection does not use the endpoint.
func (v *view) unusedEndpoint(c *mptcp.Connection, e mptcp.Endpoint, found []Finding) (UnusedPath, bool) {
	if e.Flags&mptcp.FlagImplicit != 0 {
		return UnusedPath{}, false
	}
	entry := v.entry(c, e)
	if plain(e.Address) == plain(c.Local.Addr()) || entry != nil && entry.Subflow != nil && entry.Subflow.State.Up() {
		return UnusedPath{}, false
	}
	path := UnusedPath{Address: e.Address}
	if l, ok := v.link(e); ok {
		path.Device = l.Name
	}
	path.Rule, path.Reason = v.why(c, e, entry, found)
	return path, true
}

// why tells why the endpoint carries no subflow of the connection.
func (v *view) why(c *mptcp.Connection, e mptcp.Endpoint, entry *ledger.Entry, found []Finding) (id rule.ID,
	reason string) {
	switch {
	case c.Fallback:
		return v.causeRule(c), "the connection uses plain TCP"
	case !e.Flags.CreatesSubflows() && e.Flags&mptcp.FlagLaminar != 0:
		return "", "laminar: waits for an address that the peer announces"
	case !e.Flags.CreatesSubflows() && e.Flags&mptcp.FlagFullmesh != 0:
		return "", "fullmesh without subflow: waits for an address that the peer announces"
	case !e.Flags.CreatesSubflows() && e.Flags.Has(mptcp.FlagSignal):
		return rule.ClientSignals, "it is only announced to the peer (flag signal)"
	case !e.Flags.CreatesSubflows():
		return rule.EndpointWithoutPurpose, "it has none of the flags subflow, signal, laminar"
	case !v.kernelPM(c):
		return rule.NoDaemon, "the connection uses the userspace path manager"
	case !sameFamily(e.Address, c.Remote.Addr()):
		return rule.OtherFamily, "it has another address family than the connection"
	}
	if text, missing := v.missing(e); missing {
		return rule.AddressMissing, text
	}
	if text, trouble := v.linkTrouble(e); trouble {
		return rule.LinkDown, text
	}
	if !ready(c) {
		if len(c.Subflows) == 0 {
			return "", "the subflows cannot be seen"
		}
		return rule.NothingSent, "no data was sent yet"
	}
	for i := range found {
		f := &found[i]
		if f.Subject.Endpoint == e.Address && (len(f.tokens) == 0 || f.Concerns(c.Token)) && f.Severity > Info {
			return f.Rule, f.Title
		}
	}
	return v.whyElse(c, entry, found)
}

// whyElse gives the reasons that are not about one endpoint.
func (v *view) whyElse(c *mptcp.Connection, entry *ledger.Entry, found []Finding) (id rule.ID, reason string) {
	for i := range found {
		f := &found[i]
		if (f.Rule == rule.JoinsForbidden || f.Rule == rule.PeerLimit || f.Rule == rule.SubflowLimit) &&
			f.Concerns(c.Token) {
			return f.Rule, f.Title
		}
	}
	id, reason = whyByLedger(entry)
	if entry != nil && entry.SharesLink {
		reason += "; another subflow uses its link already"
	}
	return id, reason
}

// whyByLedger gives the reason that the account of paths has.
func whyByLedger(entry *ledger.Entry) (id rule.ID, reason string) {
	switch {
	case entry == nil:
		return "", "the path manager makes no subflow from it"
	case entry.Subflow != nil:
		return "", "a join is pending"
	case entry.Certain():
		return ruleOf(entry.Kind, entry.Reached[0].Cause), entry.Reached[0].Cause.String()
	case entry.Stuck() && entry.Is(ledger.NotDue):
		return rule.NotRetried, "the kernel has not tried it, and will not by itself"
	case entry.Stuck():
		return rule.NotRetried, "its subflow failed, and the kernel will not retry it"
	}
	return "", "it was not tried, or failed: this host alone cannot tell"
}

// whyHalfOpen is the reason of an address without an endpoint that a join goes from: the
// path manager follows an announcement of the peer.
func whyHalfOpen(s *mptcp.Subflow) (id rule.ID, reason string) {
	if s.State == mptcp.SubflowPending && retried(s) {
		return rule.JoinUnanswered, "the join from there to an announced address is not answered"
	}
	return "", "a join to an announced address is pending"
}

func (v *view) causeRule(c *mptcp.Connection) rule.ID {
	cause, _ := v.cause(c)
	return cause.Rule
}
