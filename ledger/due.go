package ledger

import (
	"fmt"
	"net/netip"

	"mptcpctl/mptcp"
)

// notDue returns why the path manager never makes a join from the endpoint to the
// address, whatever the limits: NoCause where it does.
func (a *account) notDue(c *mptcp.Connection, e mptcp.Endpoint, remote netip.AddrPort, id mptcp.AddressID) (Cause,
	string) {
	switch {
	case c.Fallback:
		return FallenBack, fmt.Sprintf("connection %s has fallen back to TCP", c.Token)
	case !a.managed(c):
		return UserspaceManager, fmt.Sprintf("connection %s has a userspace path manager", c.Token)
	case !e.Flags.CreatesSubflows():
		return WrongFlags, fmt.Sprintf("endpoint id %d: %s", e.ID, flagsOf(e))
	case plain(e.Address) == first(c):
		return FirstAddress, fmt.Sprintf("the initial subflow goes from %s", first(c))
	case !familiesMatch(c, e.Address, remote.Addr()):
		return OtherFamily, fmt.Sprintf("%s and %s", e.Address, plain(remote.Addr()))
	case !established(c):
		return NothingAcknowledged, fmt.Sprintf("connection %s has received nothing", c.Token)
	case id == 0 && a.denied(c.Token):
		return PeerForbids, fmt.Sprintf("connection %s: deny_join_id0", c.Token)
	}
	return NoCause, ""
}

func flagsOf(e mptcp.Endpoint) string {
	if e.Flags == 0 {
		return "no flags"
	}
	return e.Flags.String()
}

// certainty is an answer that the facts may leave open.
type certainty uint8

const (
	unsure certainty = iota
	yes
	no
)

// tried tells whether the path manager has used the endpoint up for the connection. It
// counts those that it used, and not which: mptcpi_local_addr_used. The endpoint of the
// initial subflow's address is not among them, though mptcpi_local_addr_max counts it.
func (a *account) tried(c *mptcp.Connection, e mptcp.Endpoint) certainty {
	if a.Hidden || c.Limits.LocalAddrMax == 0 || !a.rules.InitialCounts {
		return unsure // Linux 5.11 and older do not count, 5.16 and older in another way
	}
	usable, joined, twice := 0, 0, false
	for _, other := range a.Endpoints {
		if !other.Flags.CreatesSubflows() {
			continue
		}
		start := plain(other.Address) == first(c)
		// The kernel may count these twice: by a join to an announced address, or by
		// the announcement of the first address.
		twice = twice || other.Flags.Has(mptcp.FlagLaminar) || start && other.Flags.Has(mptcp.FlagSignal)
		if start {
			continue
		}
		usable++
		if joinedFirst(c, other) {
			joined++
		}
	}
	switch used := int(c.Limits.LocalAddrUsed); {
	case used <= joined:
		return no // those that have a subflow to the first address are counted for sure
	case used >= usable && !twice:
		return yes
	}
	return unsure
}

// joinedFirst reports whether a join from the endpoint to the peer's first address is
// there.
func joinedFirst(c *mptcp.Connection, e mptcp.Endpoint) bool {
	s := subflow(c, e.Address, c.Remote)
	return s != nil && !s.Initial
}

// mayBeDenied reports whether the connection may have used endpoints up without counting
// them: where the peer forbids joins to its first address and none of its addresses was
// accepted, an announced address of another family does it.
func (a *account) mayBeDenied(c *mptcp.Connection) bool {
	n, known := a.Counters.Get("AddAddr")
	return !a.watched(c.Token) && (n > 0 || !known) && !a.joined[netip.AddrPortFrom(plain(c.Remote.Addr()),
		c.Remote.Port())]
}

// mayBeForbidden reports whether the peer may forbid joins to the address, which nobody
// saw: where none of its other addresses is accepted, the kernel does not even count the
// endpoints as used then (mptcp_pm_add_addr_c_flag_case).
func (a *account) mayBeForbidden(c *mptcp.Connection, remote netip.AddrPort) bool {
	return c.Limits.LocalAddrUsed == 0 && !a.watched(c.Token) &&
		!a.joined[netip.AddrPortFrom(plain(remote.Addr()), remote.Port())]
}

func usedLine(c *mptcp.Connection) string {
	return fmt.Sprintf("connection %s used %d of %d local addresses", c.Token, c.Limits.LocalAddrUsed,
		c.Limits.LocalAddrMax)
}

// waits returns why an endpoint that was not used has not been: for want of room, or
// because nothing makes the kernel look.
func (a *account) waits(c *mptcp.Connection) (Cause, string) {
	line := fmt.Sprintf("connection %s has %d of %d additional subflows", c.Token, c.Limits.Subflows,
		c.Limits.SubflowsMax)
	if cause := Room(c, a.Limits); cause != NoCause {
		return cause, line
	}
	return NotLookedAgain, line
}

// Room returns why the connection may have no further subflow: NoSubflowsAllowed,
// LimitReached, or NoCause. Limits are those of its network namespace, nil for unknown.
func Room(c *mptcp.Connection, limits *mptcp.Limits) Cause {
	switch {
	case c.Limits.SubflowsMax == 0, limits != nil && limits.Subflows == 0:
		return NoSubflowsAllowed
	case c.Limits.Full():
		return LimitReached
	}
	return NoCause
}
