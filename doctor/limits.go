package doctor

import (
	"fmt"
	"slices"

	"mptcpctl/doctor/rule"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// subflowLimit is D15: the limit leaves endpoints unused.
func subflowLimit(v *view) []Finding {
	if v.userspace() || v.Limits == nil {
		return nil
	}
	var g group
	for _, w := range v.wants() {
		c, e := w.c, *w.e
		if !w.unused() || !w.Limited() || !v.works(e) || len(halfOpen(c)) > 0 || v.Limits.Subflows > 0 && w.SharesLink {
			continue
		}
		g.add(e.Address.String(), c, func() Finding { return v.limitFinding(c, e) })
	}
	if g.list == nil && v.Limits.Subflows == 0 && len(v.makers) > 0 {
		return []Finding{v.noFurther()}
	}
	return g.list
}

// noFurther is D15 where no connection lacks a subflow because of the limit, yet.
func (v *view) noFurther() Finding {
	f := v.limitFinding(nil, v.makers[0])
	f.Severity = Warn
	for _, w := range v.wants() {
		if w.up() {
			f.Title = "the limit of additional subflows is 0: no connection gets a further subflow"
			f.Evidence = append(f.Evidence, fmt.Sprintf("connection %s keeps its %d", w.c.Token, w.c.Limits.Subflows))
			return f
		}
	}
	return f
}

func (v *view) limitFinding(c *mptcp.Connection, e mptcp.Endpoint) Finding {
	max := v.Limits.Subflows
	f := Finding{
		Rule: rule.SubflowLimit, Severity: Warn, Confidence: track.Certain,
		Title:    fmt.Sprintf("the limit of additional subflows is %d, so endpoint %s is not used", max, e.Address),
		Subject:  v.onEndpoint(e),
		Evidence: []string{fmt.Sprintf("limits: subflows %d, add_addr_accepted %d", max, v.Limits.AddAddrAccepted)},
		Fix:      []string{fmt.Sprintf("mptcpctl limits set subflows %d", max+1)},
		Excluded: excluding("the kernel compares the limit before it sends a SYN", rule.Joins()...),
	}
	if max == 0 {
		f.Severity = Fail
		f.Title = fmt.Sprintf("the limit of additional subflows is 0, so endpoint %s is not used", e.Address)
		f.Fix = []string{fmt.Sprintf("mptcpctl limits set subflows %d", len(v.makers))}
	}
	if c != nil {
		f.Evidence = append(f.Evidence,
			fmt.Sprintf("connection %s has %d of %d additional subflows", c.Token, c.Limits.Subflows, max))
		if !v.supposed {
			f.Fix = append(f.Fix, "for connections that exist, then also: "+repair(v, e)[0])
		}
		entry := v.entry(c, e)
		forbidden := entry != nil && entry.Is(ledger.NotDue) && entry.May(ledger.NoSubflowsAllowed)
		switch {
		case entry == nil, v.supposed:
		case entry.Certain():
			f.Excluded = v.excludedBy(entry, rule.SubflowLimit)
		case !forbidden:
			f.Alternatives = alternatives(entry, rule.SubflowLimit)
		}
	}
	return f
}

// refusedHere is D15 on the side of a server: joins come in and are refused.
func refusedHere(v *view) []Finding {
	rejected := v.moved("MPJoinRejected")
	if rejected == 0 || v.userspace() || v.Limits == nil {
		return nil
	}
	var g group
	for _, c := range v.servers {
		if !v.atLimit(c) {
			continue
		}
		g.add("", c, func() Finding {
			return Finding{
				Rule: rule.SubflowLimit, Severity: Fail, Confidence: track.Likely,
				Title:   "this host refuses further subflows from its peers: the limit is reached",
				Subject: Subject{Netns: v.Netns},
				Evidence: []string{
					fmt.Sprintf("MPJoinRejected: %d in %s", rejected, v.MPTCP.Window),
					fmt.Sprintf(
						"limits: subflows %d; connection %s from %s has %d", v.Limits.Subflows, c.Token, c.Remote,
						c.Limits.Subflows,
					),
				},
				Fix: []string{fmt.Sprintf("mptcpctl limits set subflows %d", v.Limits.Subflows+1)},
			}
		})
	}
	return g.list
}

func (v *view) syncookies() uint64 {
	n, _ := v.TCP.Moved.Get("SyncookiesSent")
	return n
}

// overrun is D45: SYN of joins are dropped, or joins refused, as a listener gets
// more connections than its program accepts.
func overrun(v *view) []Finding {
	if f, found := v.fullQueue(); found {
		return []Finding{f}
	}
	rejected := v.moved("MPJoinRejected")
	limited := slices.ContainsFunc(v.servers, v.atLimit)
	if rejected == 0 || v.syncookies() == 0 || limited {
		return nil // with a limit that is reached, SYN cookies change nothing
	}
	return []Finding{{
		Rule: rule.ListenerOverrun, Severity: Warn, Confidence: track.Likely,
		Title:   "the listener is overrun: the kernel sends SYN cookies and refuses joins",
		Subject: Subject{Netns: v.Netns},
		Evidence: []string{
			fmt.Sprintf("SyncookiesSent: %d in %s", v.syncookies(), v.TCP.Window),
			fmt.Sprintf("MPJoinRejected: %d in %s", rejected, v.MPTCP.Window),
		},
		Fix: []string{"raise the application's backlog, net.core.somaxconn and net.ipv4.tcp_max_syn_backlog"},
	}}
}

// fullQueue finds an MPTCP listener whose queue is full while SYN are dropped for
// want of room: those of joins are, too (tcp_conn_request).
func (v *view) fullQueue() (Finding, bool) {
	dropped, _ := v.TCP.Moved.Get("ListenOverflows")
	if dropped == 0 {
		return Finding{}, false
	}
	for i := range v.Listeners {
		l := &v.Listeners[i]
		if l.Waiting <= l.MostWaiting {
			continue
		}
		return Finding{
			Rule: rule.ListenerOverrun, Severity: Warn, Confidence: track.Certain,
			Title: fmt.Sprintf(
				"the listener on %s is overrun: the kernel drops SYN packets, also those of further subflows",
				l.Local,
			),
			Subject: Subject{Netns: v.Netns},
			Evidence: []string{
				fmt.Sprintf("%d connections wait to be accepted, of at most %d", l.Waiting, l.MostWaiting),
				fmt.Sprintf("ListenOverflows: %d in %s", dropped, v.TCP.Window),
			},
			Fix: []string{"let the application accept faster, or raise its backlog (listen) and net.core.somaxconn"},
			Excluded: excluding("the kernel drops SYN here before it looks at limits, and counts it as ListenOverflows",
				rule.SubflowLimit, rule.ShortOfMemory),
		}, true
	}
	return Finding{}, false
}

// announcedInVain is D17: the peer announced an address, and none is accepted.
func announcedInVain(v *view) []Finding {
	if v.userspace() || v.Limits == nil || v.Limits.AddAddrAccepted > 0 {
		return nil
	}
	var g group
	for _, c := range v.clients {
		for entry := range v.ledger().Connection(c.Token) {
			if entry.Kind == ledger.Follow && entry.Certain() && entry.May(ledger.NothingAccepted) {
				g.add(c.Remote.Addr().String(), c, func() Finding {
					return v.inVain(c, track.Certain, entry.Evidence[0])
				})
				break
			}
		}
	}
	if g.list != nil || v.total("MPJoinSynTx") > 0 || v.total("AddAddr") == 0 || v.allWatched() {
		return g.list
	}
	f := v.inVain(v.clients[0], track.Likely, fmt.Sprintf(
		"AddAddr: %d addresses were announced to this host, MPJoinSynTx: 0, so no join was sent",
		v.total("AddAddr")))
	f.Subject = Subject{Netns: v.Netns}
	return []Finding{f}
}

// allWatched reports whether the events of all connections made here were seen.
func (v *view) allWatched() bool {
	for _, c := range v.clients {
		if !v.watched(c.Token) {
			return false
		}
	}
	return true
}

func (v *view) inVain(c *mptcp.Connection, sure track.Confidence, evidence string) Finding {
	fix := []string{"mptcpctl limits set add_addr_accepted 2"}
	if v.Limits.Subflows == 0 {
		fix[0] += " subflows 2"
	}
	fix[0] += "   (for new connections: the peer does not announce its addresses again)"
	return Finding{
		Rule: rule.AnnouncementsNotAccepted, Severity: Warn, Confidence: sure,
		Title:    "the peer announces further addresses, but this host accepts none",
		Subject:  Subject{Remote: c.Remote},
		Evidence: []string{evidence, fmt.Sprintf("limits: add_addr_accepted 0, subflows %d", v.Limits.Subflows)},
		Fix:      fix,
		Excluded: excluding("with that limit no join to an announced address is sent", rule.AnnouncedWithoutListener,
			rule.NoRoute, rule.JoinUnanswered, rule.JoinRefused, rule.JoinStripped),
	}
}

// limitEaten is D18: attempts that hang hold the places that others could have.
func limitEaten(v *view) []Finding {
	if v.Limits == nil {
		return nil
	}
	var g group
	for _, w := range v.wants() {
		c, e := w.c, *w.e
		hanging := halfOpen(c)
		if !w.unused() || !w.Limited() || !v.works(e) || v.Limits.Subflows == 0 || len(hanging) == 0 ||
			!retried(hanging[0]) {
			continue
		}
		g.add(e.Address.String(), c, func() Finding {
			return Finding{
				Rule: rule.HangingAttempt, Severity: Warn, Confidence: track.Certain,
				Title:   fmt.Sprintf("endpoint %s waits: a pending attempt holds the last place", e.Address),
				Subject: v.onEndpoint(e),
				Evidence: []string{
					fmt.Sprintf(
						"connection %s has %d of %d additional subflows", c.Token, c.Limits.Subflows,
						c.Limits.SubflowsMax,
					),
					fmt.Sprintf("the join %s to %s is in SYN-SENT", hanging[0].Local, hanging[0].Remote),
				},
				Fix: []string{
					fmt.Sprintf("repair the path from %s, or delete its endpoint", hanging[0].Local.Addr()),
					fmt.Sprintf("mptcpctl limits set subflows %d", v.Limits.Subflows+1),
					"for connections that exist, then also: " + repair(v, e)[0],
				},
				Excluded: v.excludedBy(w.Entry, rule.HangingAttempt),
			}
		})
	}
	return g.list
}

// retried reports whether the SYN of a pending join was sent again.
func retried(s *mptcp.Subflow) bool { return s.Backoff > 0 || s.Lost > 0 }

// tableFull is D24.
func tableFull(v *view) []Finding {
	n := 0
	for _, e := range v.Endpoints {
		if e.Flags&mptcp.FlagImplicit == 0 {
			n++
		}
	}
	if n < ledger.RulesOf(v.Kernel.Release).MostEndpoints {
		return nil
	}
	return []Finding{{
		Rule: rule.TableFull, Severity: Info, Confidence: track.Certain,
		Title:    "the table of endpoints is full",
		Subject:  Subject{Netns: v.Netns},
		Evidence: []string{fmt.Sprintf("%d endpoints; kernel %s accepts no more (ERANGE)", n, v.Kernel.Release)},
		Fix:      v.spareEndpoint(),
		Excluded: excluding("the kernel compares the number of endpoints first, whatever their addresses are"),
	}}
}
