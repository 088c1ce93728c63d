package ledger

import (
	"net/netip"
	"slices"

	"mptcpctl/mptcp"
)

// endings are the stages that a join may have ended in, with their causes.
var endings = [...]Reach{
	{NotDue, PeerForbids}, {NotDue, UsedOtherwise},
	{NotPossible, AddressMissing}, {NotPossible, AddressTentative}, {NotPossible, NoPort},
	{NotPossible, NoRoute}, {NotPossible, DeviceDown}, {NotPossible, DeviceMissing}, {NoAnswer, Unanswered},
	{NotMPTCP, WithoutMPJoin},
	{Refused, ResetBySomebody}, {Refused, Unreachable}, {Refused, PeerLimit}, {Refused, PeerProhibits},
	{Died, TimedOut}, {Died, ResetLater}, {Died, Ended},
}

// ended returns the stages that a join may have ended in, of which nothing is seen any
// more: those that no counter excludes. Where the counters exclude all of them, they
// are no evidence: they may have been counted in another namespace.
func (a *account) ended(c *mptcp.Connection, e mptcp.Endpoint, remote netip.AddrPort) []Reach {
	var list []Reach
	for _, r := range endings {
		if !a.spent.excluded(r.Cause) && a.fits(c, e, remote, r.Cause) {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		return slices.Clone(endings[2:])
	}
	return list
}

// fits reports whether the rest of the facts allow that the join ended for this cause.
func (a *account) fits(c *mptcp.Connection, e mptcp.Endpoint, remote netip.AddrPort, cause Cause) bool {
	return a.misfit(c, e, remote, cause) == ""
}

// misfit returns what, counters aside, excludes that the join ended for this cause, "" for
// nothing.
func (a *account) misfit(c *mptcp.Connection, e mptcp.Endpoint, remote netip.AddrPort, cause Cause) string {
	switch {
	case cause == PeerForbids && plain(remote.Addr()) != plain(c.Remote.Addr()):
		return "it is about an address that the peer announced"
	case cause == PeerForbids && a.watched(c.Token):
		return "CREATED did not say that the peer forbids joins"
	case cause == PeerForbids && a.joined[netip.AddrPortFrom(plain(remote.Addr()), remote.Port())]:
		return "another join to this address is up"
	case cause == UsedOtherwise && !e.Address.IsValid():
		// Only with its SYN is it counted as accepted (mptcp_pm_nl_add_addr_received).
		return "an announced address counts as accepted with its SYN only"
	case cause == UsedOtherwise && e.Flags&(mptcp.FlagSignal|mptcp.FlagLaminar) == 0 && !a.mayBeDenied(c) &&
		c.Side != mptcp.SideServer:
		// A server's path manager may try before the connection is fully established: the
		// kernel then uses the endpoint up, and counts nothing (__mptcp_subflow_connect).
		return "the peer announced no address, and the endpoint is for subflows only"
	case (cause == DeviceDown || cause == DeviceMissing) && e.IfIndex == 0:
		return "the endpoint is bound to no device"
	case cause == AddressTentative && !plain(e.Address).Is6():
		return "IPv4 addresses are never tentative"
	}
	return ""
}

// joinedAddresses are the addresses and ports that a join made here is up to, of any
// connection: what holds for all joins to one of them is excluded.
func joinedAddresses(f *Facts) map[netip.AddrPort]bool {
	joined := map[netip.AddrPort]bool{}
	for i := range f.Connections {
		c := &f.Connections[i]
		for j := range c.Subflows {
			if s := &c.Subflows[j]; !s.Initial && s.State.Up() && madeHere(c, s) {
				joined[netip.AddrPortFrom(plain(s.Remote.Addr()), s.Remote.Port())] = true
			}
		}
	}
	return joined
}

// narrow leaves out what the sums exclude: joins that ended are as many as the counters
// leave over, so that all of them have the cause that moves all of the counters.
func (a *account) narrow(entries []Entry) {
	n := uint64(0)
	for i := range entries {
		if e := &entries[i]; e.Kind != Announce && len(e.Reached) > 0 && e.gone() {
			n++
		}
	}
	s := &a.spent
	if n == 0 || !s.syn.known || !s.synAck.known || !s.resets.known {
		return
	}
	only := NoCause
	switch {
	case s.silent():
		only = PeerForbids
	case s.syn.n == n && s.bind.n+s.connect.n == 0 && s.resets.n == n && s.synAck.n == n:
		only = PeerLimit
	case s.syn.n == n && s.bind.n+s.connect.n == 0 && s.resets.n == n && s.synAck.n == 0:
		only = WithoutMPJoin
	}
	for i := range entries {
		e := &entries[i]
		if e.Kind == Announce || !e.gone() {
			continue
		}
		if only != NoCause && e.May(only) && !e.May(UsedOtherwise) {
			e.keep(func(r Reach) bool { return r.Cause == only || a.past && r.Cause == PeerForbids })
		} else if !a.past && s.syn.n+s.bind.n+s.connect.n >= n {
			e.keep(func(r Reach) bool { return r.Cause != PeerForbids })
		}
	}
}

// gone reports whether the join was tried and nothing tells how it ended but counters.
func (e *Entry) gone() bool {
	if len(e.Reached) < 2 {
		return false
	}
	for _, r := range e.Reached {
		if !r.Stage.Ended() && r.Cause != PeerForbids && r.Cause != UsedOtherwise {
			return false
		}
	}
	return true
}

// keep leaves the stages that are wanted, unless none were left.
func (e *Entry) keep(wanted func(Reach) bool) {
	var kept []Reach
	for _, r := range e.Reached {
		if wanted(r) {
			kept = append(kept, r)
		}
	}
	if len(kept) > 0 {
		e.Reached = kept
	}
}

// past reports whether connections were made or accepted in the namespace that are no
// longer there: their joins are in the counters as well.
func past(f *Facts) bool {
	made, known := f.Counters.Get("MPCapableSYNTX")
	taken, _ := f.Counters.Get("MPCapableACKRX")
	return !known || made+taken > uint64(len(f.Connections))
}

// decides names the fact that would tell which of several stages is the true one.
func decides(e *Entry) string {
	switch {
	case e.Certain():
		return ""
	case e.May(Working):
		return "the subflows as they are a moment later"
	case e.May(NotLookedAgain), e.May(LimitReached), e.May(NoSubflowsAllowed):
		return "which of the endpoints were used: the events since the connection began"
	case e.May(PeerLimit) && e.May(TimedOut):
		return "the event that ended the subflow, or MPJoinRejected at the peer"
	}
	return "the event that ended the join: run mptcpctl monitor, then delete the endpoint and add it again"
}
