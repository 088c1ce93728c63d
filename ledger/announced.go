package ledger

import (
	"fmt"
	"net/netip"
	"slices"

	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

// announcements are the entries of endpoints that are announced to the peer.
func (a *account) announcements(c *mptcp.Connection) []Entry {
	var list []Entry
	for _, e := range a.Endpoints {
		if !e.Flags.Has(mptcp.FlagSignal) {
			continue
		}
		entry := Entry{Candidate: Candidate{Kind: Announce, Token: c.Token, Endpoint: e}}
		a.judgeAnnouncement(c, &entry)
		list = append(list, entry)
	}
	return list
}

func (a *account) judgeAnnouncement(c *mptcp.Connection, entry *Entry) {
	e := entry.Endpoint
	if s := joinedAt(c, e); s != nil {
		reach, line := alive(c, s)
		entry.Subflow = s
		entry.set(reach, line)
		return
	}
	sent := int(c.Limits.AddAddrSignal)
	line := fmt.Sprintf("connection %s announced %d addresses", c.Token, sent)
	switch {
	case c.Fallback:
		entry.set(Reach{NotDue, FallenBack})
	case !a.managed(c):
		entry.set(Reach{NotDue, UserspaceManager})
	case !established(c):
		entry.set(Reach{NotDue, NothingAcknowledged})
	case sent == 0 && isFirst(c, e):
		entry.set(Reach{NotDue, FirstAddress}, fmt.Sprintf("the connection goes to %s", c.Local))
	case sent == 0:
		entry.set(Reach{NotDue, NotAnnouncedYet}, line)
	case e.Port != 0 && plain(e.Address).Is6() && !a.spent.longOption.none():
		entry.set(Reach{NotPossible, OptionTooLong}, line)
		if !a.spent.longOption.known {
			entry.set(Reach{Up, Announced})
		}
	case isFirst(c, e):
		entry.set(Reach{Up, Announced}, line)
		if sent <= a.announceable(c, false) {
			entry.set(Reach{NotDue, FirstAddress}, fmt.Sprintf("the connection goes to %s", c.Local))
		}
	default:
		entry.set(Reach{Up, Announced}, line)
		if sent < a.announceable(c, true) {
			entry.set(Reach{NotDue, NotAnnouncedYet})
		}
	}
}

// isFirst reports whether the peer knows the endpoint's address by the connection itself.
// It is not announced then, unless the endpoint is newer than the connection: the kernel
// looks for it once (mptcp_pm_create_subflow_or_signal_addr).
func isFirst(c *mptcp.Connection, e mptcp.Endpoint) bool {
	return plain(e.Address) == first(c) && (e.Port == 0 || e.Port == c.Local.Port())
}

// announceable is how many endpoints are announced on the connection at most: with those of
// its first address, or without.
func (a *account) announceable(c *mptcp.Connection, withFirst bool) int {
	n := 0
	for _, e := range a.Endpoints {
		if e.Flags.Has(mptcp.FlagSignal) && (withFirst || !isFirst(c, e)) {
			n++
		}
	}
	return n
}

// joinedAt returns the subflow of the peer that came to the endpoint's address, if any.
func joinedAt(c *mptcp.Connection, e mptcp.Endpoint) *mptcp.Subflow {
	for i := range c.Subflows {
		s := &c.Subflows[i]
		if s.Initial || madeHere(c, s) || plain(s.Local.Addr()) != plain(e.Address) || s.State == mptcp.SubflowClosed {
			continue
		}
		if e.Port == 0 || s.Local.Port() == e.Port {
			return s
		}
	}
	return nil
}

// follows are the entries of joins to addresses that the peer announced.
func (a *account) follows(c *mptcp.Connection) []Entry {
	if c.Fallback || !a.managed(c) {
		return nil
	}
	var list []Entry
	for _, to := range a.announcedSeen(c) {
		if plain(to.at.Addr()) == plain(c.Remote.Addr()) && to.id == 0 {
			continue
		}
		for _, e := range a.followers() {
			entry := Entry{Candidate: Candidate{Follow, c.Token, e, to.at, to.id}}
			a.judgeFollow(c, &entry)
			list = append(list, entry)
		}
	}
	if len(list) == 0 {
		list = a.unseenFollow(c)
	}
	return list
}

// announcedSeen are the announced addresses: those of events, and those that subflows
// go to.
func (a *account) announcedSeen(c *mptcp.Connection) []announcement {
	list := a.announced(c.Token)
	for i := range c.Subflows {
		s := &c.Subflows[i]
		if s.Initial || s.RemoteID == 0 || !madeHere(c, s) {
			continue
		}
		if !slices.ContainsFunc(list, func(x announcement) bool { return x.id == s.RemoteID }) {
			list = append(list, announcement{s.RemoteID, s.Remote})
		}
	}
	return list
}

// followers are the endpoints that announced addresses are joined from: those with
// fullmesh; else the laminar ones; else none, and a route decides.
func (a *account) followers() []mptcp.Endpoint {
	for _, flag := range []mptcp.EndpointFlags{mptcp.FlagFullmesh, mptcp.FlagLaminar} {
		var list []mptcp.Endpoint
		for _, e := range a.Endpoints {
			if e.Flags.Has(flag) {
				list = append(list, e)
			}
		}
		if len(list) > 0 {
			return list
		}
	}
	return []mptcp.Endpoint{{}}
}

func (a *account) judgeFollow(c *mptcp.Connection, entry *Entry) {
	e, to := entry.Endpoint, entry.Remote
	if s := subflow(c, e.Address, to); s != nil && !s.Initial {
		reach, line := alive(c, s)
		entry.Subflow = s
		entry.set(reach, line)
		return
	}
	seen := fmt.Sprintf("connection %s: ANNOUNCED %s", c.Token, to)
	if x := a.attemptOf(c.Token, e.Address, to.Addr()); x != nil && x.Closed != nil {
		entry.Reached, entry.Evidence = x.Ended(a.watched(c.Token)), []string{seen, x.evidence()}
		return
	}
	local := e.Address
	if !local.IsValid() {
		local = c.Local.Addr()
		if plain(local).Is4() != plain(to.Addr()).Is4() && c.Family != mptcp.FamilyINET {
			local = to.Addr() // a route decides, and an IPv6 socket takes either family
		}
	}
	switch {
	case !familiesMatch(c, local, to.Addr()):
		entry.set(Reach{NotDue, OtherFamily}, seen)
	case e.Flags.Has(mptcp.FlagFullmesh) && subflow(c, netip.Addr{}, to) != nil:
		// All of these endpoints were joined at once, as far as the limit went.
		entry.set(Reach{NotDue, LimitReached}, seen)
		entry.setUnlisted(c)
		entry.counted, entry.Reached = true, append(entry.Reached, a.ended(c, e, to)...)
	case subflow(c, netip.Addr{}, to) != nil:
		entry.set(Reach{NotDue, ReachedAlready}, seen)
	default:
		a.judgeAccepted(c, entry, seen)
	}
}

// judgeAccepted tells whether the limits let an announced address be used, and what
// became of it where they do.
func (a *account) judgeAccepted(c *mptcp.Connection, entry *Entry, seen string) {
	l := c.Limits
	line := fmt.Sprintf("connection %s accepted %d of %d announced addresses, and has %d of %d additional subflows",
		c.Token, l.AddAddrAccepted, l.AddAddrAcceptedMax, l.Subflows, l.SubflowsMax)
	live := acceptedAlive(c)
	switch {
	case l.AddAddrAcceptedMax == 0 && l.AddAddrAccepted == 0:
		entry.set(Reach{NotDue, NothingAccepted}, seen, line)
	case l.SubflowsMax == 0:
		entry.set(Reach{NotDue, NoSubflowsAllowed}, seen, line)
	case int(l.AddAddrAccepted) <= live && l.AddAddrAccepted >= l.AddAddrAcceptedMax:
		entry.set(Reach{NotDue, EnoughAccepted}, seen, line)
	case int(l.AddAddrAccepted) <= live && l.Subflows >= l.SubflowsMax:
		entry.set(Reach{NotDue, LimitReached}, seen, line)
	case int(l.AddAddrAccepted) <= live && a.unreachable(entry) && !a.spent.excluded(NoRoute):
		entry.set(Reach{NotPossible, NoRoute}, seen, line)
	case int(l.AddAddrAccepted) <= live:
		// Not counted: no SYN could leave, or the limits were lower then.
		for _, r := range []Reach{{NotPossible, NoRoute}, {NotPossible, AddressMissing}} {
			if !a.spent.excluded(r.Cause) {
				entry.set(r)
			}
		}
		entry.set(Reach{NotDue, NotLookedAgain}, seen, line)
	default:
		entry.Evidence = []string{seen, line}
		entry.setUnlisted(c)
		entry.counted, entry.Reached = true, append(entry.Reached, a.ended(c, entry.Endpoint, entry.Remote)...)
	}
}

// unreachable reports whether no route leads to an announced address now.
func (a *account) unreachable(entry *Entry) bool {
	if a.Lookup == nil {
		return false
	}
	request := hostnet.LookupRequest{Dst: plain(entry.Remote.Addr())}
	if e := entry.Endpoint; e.Address.IsValid() {
		request.Src, request.OIF = plain(e.Address), int(e.IfIndex)
	}
	route, failure, known := a.Lookup(request)
	return known && (failure != "" || !route.Forwards())
}

// acceptedAlive is how many announced addresses have a subflow.
func acceptedAlive(c *mptcp.Connection) int {
	var ids idSet
	n := 0
	for i := range c.Subflows {
		s := &c.Subflows[i]
		if !s.Initial && s.RemoteID != 0 && madeHere(c, s) && s.State != mptcp.SubflowClosed && !ids.has(s.RemoteID) {
			ids.add(s.RemoteID)
			n++
		}
	}
	return n
}

// unseenFollow is the entry of an announced address that no event told of: the
// connection counts it as accepted, and has no subflow to it.
func (a *account) unseenFollow(c *mptcp.Connection) []Entry {
	if a.Hidden {
		return nil
	}
	if int(c.Limits.AddAddrAccepted) <= acceptedAlive(c) {
		return a.unseenFailure(c)
	}
	entry := Entry{Candidate: Candidate{Kind: Follow, Token: c.Token}}
	entry.Evidence = []string{fmt.Sprintf("connection %s accepted %d announced addresses, and has subflows to %d",
		c.Token, c.Limits.AddAddrAccepted, acceptedAlive(c))}
	entry.setUnlisted(c)
	entry.counted, entry.Reached = true, append(entry.Reached, a.ended(c, mptcp.Endpoint{}, netip.AddrPort{})...)
	return []Entry{entry}
}

// unseenFailure is the entry of an announced address that no event told of, and that no
// SYN could go to. Only counters tell of it, so that it must be the only thing that they
// can be about: no endpoint makes joins, and there was no other connection.
func (a *account) unseenFailure(c *mptcp.Connection) []Entry {
	announced, _ := a.Counters.Get("AddAddr")
	if announced == 0 || a.past || len(a.Connections) != 1 || a.spent.bind.n+a.spent.connect.n == 0 ||
		slices.ContainsFunc(a.Endpoints, func(e mptcp.Endpoint) bool { return e.Flags.CreatesSubflows() }) {
		return nil
	}
	entry := Entry{Candidate: Candidate{Kind: Follow, Token: c.Token}, counted: true}
	entry.Evidence = []string{fmt.Sprintf("connection %s accepted none of %d announced addresses", c.Token, announced)}
	if a.spent.connect.n > 0 {
		entry.set(Reach{NotPossible, NoRoute})
	}
	if a.spent.bind.n > 0 {
		entry.set(Reach{NotPossible, AddressMissing})
	}
	return []Entry{entry}
}
