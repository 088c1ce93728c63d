package ledger

import (
	"net/netip"
	"slices"
	"time"

	"mptcpctl/counters"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

// Facts are what is known of one network namespace at one moment. What is not known is
// left at its zero value: the account is wider then, and not wrong.
type Facts struct {
	Release     string        // of the kernel, "" for unknown
	Userspace   bool          // new connections get a userspace path manager
	Limits      *mptcp.Limits // nil: unknown
	Endpoints   []mptcp.Endpoint
	Connections []mptcp.Connection // with subflows
	Hidden      bool               // the kernel keeps back which sockets are subflows

	Counters counters.Values // of MPTCP, since the namespace was made

	// Events, oldest first, and since when none was missed; connections in Earlier were
	// there before. The zero time: nobody listened all the while.
	Events      []mptcp.Event
	EventsSince time.Time
	Earlier     []mptcp.Token

	// Addresses and Links are those of the namespace; nil: unknown.
	Addresses []hostnet.Address
	Links     []hostnet.Link
	Local     []netip.Prefix // that routes of the type "local" make the host's own
	// Lookup answers a route lookup; known is false where it was not asked. Nil: none
	// was.
	Lookup func(hostnet.LookupRequest) (route hostnet.Route, failure string, known bool)
}

// account is the facts with what the rules ask of them, worked out once.
type account struct {
	*Facts
	rules   Rules
	ground  *Ground
	spent   spending
	past    bool                    // connections that have gone are in the counters as well
	joined  map[netip.AddrPort]bool // addresses of peers that a join is up to, of any connection
	events  map[mptcp.Token][]*mptcp.Event
	earlier map[mptcp.Token]bool

	attempts map[mptcp.Token][]Attempt // those that were asked for
}

// newAccount works out what is asked of the facts. It takes flags from the endpoints that
// the kernel does not heed.
func newAccount(f *Facts) *account {
	a := &account{
		Facts: f, rules: RulesOf(f.Release), joined: joinedAddresses(f),
		ground: NewGround(f.Addresses, f.Links, f.Local),
		events: map[mptcp.Token][]*mptcp.Event{}, earlier: make(map[mptcp.Token]bool, len(f.Earlier)),
		attempts: map[mptcp.Token][]Attempt{},
	}
	f.Endpoints = a.rules.heeded(f.Endpoints)
	for i := range f.Events {
		if ev := &f.Events[i]; ev.Has(mptcp.FieldToken) {
			a.events[ev.Token] = append(a.events[ev.Token], ev)
		}
	}
	for _, t := range f.Earlier {
		a.earlier[t] = true
	}
	a.spent, a.past = spend(f), past(f)
	return a
}

// watched reports whether no event of the connection can have been missed.
func (a *account) watched(t mptcp.Token) bool { return !a.EventsSince.IsZero() && !a.earlier[t] }

// plain is the form in which addresses are compared.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// managed reports whether the in-kernel path manager works for the connection.
func (a *account) managed(c *mptcp.Connection) bool {
	switch c.PathManager {
	case "":
		return !a.Userspace
	case "kernel":
		return true
	}
	return false
}

// established reports whether the connection is fully established: its path manager has
// begun.
func established(c *mptcp.Connection) bool {
	return c.BytesReceived > 0 || slices.ContainsFunc(c.Subflows,
		func(s mptcp.Subflow) bool { return s.FullyEstablished })
}

// denied reports whether the peer was seen to forbid joins to its first address.
func (a *account) denied(t mptcp.Token) bool {
	return slices.ContainsFunc(a.events[t], func(ev *mptcp.Event) bool { return ev.DenyJoinID0() })
}

// first is the address that the connection's initial subflow goes from.
func first(c *mptcp.Connection) netip.Addr { return plain(c.Local.Addr()) }

// familiesMatch mirrors mptcp_pm_addr_families_match: an IPv6 socket may have IPv4
// subflows, but each goes from one address to another of the same family.
func familiesMatch(c *mptcp.Connection, local, remote netip.Addr) bool {
	local4, remote4 := plain(local).Is4(), plain(remote).Is4()
	if c.Family == mptcp.FamilyINET {
		return local4 && remote4
	}
	return local4 == remote4
}
