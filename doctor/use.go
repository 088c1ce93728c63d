package doctor

import (
	"net/netip"

	"mptcpctl/ledger"
	"mptcpctl/mptcp"
)

// use is what a connection makes of an endpoint.
type use uint8

const (
	unused  use = iota
	initial     // it is the address of the initial subflow
	pending     // a join is pending
	inUse       // an additional subflow is up
)

// useOf tells what the connection makes of the endpoint, and by which subflow.
func useOf(c *mptcp.Connection, e mptcp.Endpoint) (use, *mptcp.Subflow) {
	addr := plain(e.Address)
	found, by := unused, (*mptcp.Subflow)(nil)
	for i := range c.Subflows {
		s := &c.Subflows[i]
		if plain(s.Local.Addr()) != addr {
			continue
		}
		switch {
		case s.Initial:
			return initial, s
		case s.State == mptcp.SubflowPending && found < pending:
			found, by = pending, s
		case s.State.Up():
			found, by = inUse, s
		}
	}
	if found == unused && plain(c.Local.Addr()) == addr {
		return initial, nil
	}
	return found, by
}

// want is a connection made here and an endpoint that it could use.
type want struct {
	c  *mptcp.Connection
	e  mptcp.Endpoint
	u  use
	by *mptcp.Subflow // of a use that has one
}

// wants yields the pairs of a connection made here and an endpoint that its
// subflows could be created from. Connections that are not ready are left out.
func (v *view) wants(yield func(want) bool) {
	for _, c := range v.clients {
		if !ready(c) {
			continue
		}
		for _, e := range v.makers {
			if entry := v.entry(c, e); entry == nil || never(entry) {
				continue
			}
			u, s := useOf(c, e)
			if u != initial && !yield(want{c, e, u, s}) {
				return
			}
		}
	}
}

// never reports whether nothing makes the path manager of the connection join from the
// endpoint, as the ledger has it.
func never(entry *ledger.Entry) bool {
	if !entry.Certain() {
		return false
	}
	switch entry.Reached[0].Cause {
	case ledger.WrongFlags, ledger.OtherFamily, ledger.FirstAddress, ledger.UserspaceManager, ledger.FallenBack:
		return true
	}
	return false
}

// works reports whether the endpoint could carry a subflow as far as its address
// and link go.
func (v *view) works(e mptcp.Endpoint) bool {
	_, missing := v.missing(e)
	_, down := v.linkTrouble(e)
	return !missing && !down
}

// addsPath reports whether a subflow from the endpoint would leave by a link that
// the connection does not use yet.
func (v *view) addsPath(c *mptcp.Connection, e mptcp.Endpoint) bool {
	l, ok := v.link(e)
	if !ok {
		return true
	}
	for i := range c.Subflows {
		s := &c.Subflows[i]
		if s.State.Up() && v.carries(s) == l.Index {
			return false
		}
	}
	return true
}

// carries returns the index of the link that the subflow is bound to or by which the
// routes send its packets, or -1. Where the routes were not asked it is the link that has
// its address.
func (v *view) carries(s *mptcp.Subflow) int {
	if s.Bound && s.IfIndex != 0 {
		return int(s.IfIndex)
	}
	if l, ok := v.Network.LinkByName(s.Device); ok {
		return l.Index
	}
	if a, ok := v.holders[plain(s.Local.Addr())]; ok {
		return a.IfIndex
	}
	return -1
}

// atLimit reports whether the connection may have no further subflow.
func (v *view) atLimit(c *mptcp.Connection) bool {
	if v.Limits != nil && v.Limits.Subflows == 0 {
		return true
	}
	return c.Limits.SubflowsMax > 0 && c.Limits.Subflows >= c.Limits.SubflowsMax
}

// halfOpen returns the joins of the connection that are under way.
func halfOpen(c *mptcp.Connection) []*mptcp.Subflow {
	var list []*mptcp.Subflow
	for i := range c.Subflows {
		s := &c.Subflows[i]
		if !s.Initial && s.State == mptcp.SubflowPending && s.TCP != mptcp.StateSynRecv &&
			s.TCP != mptcp.StateNewSynRecv {
			list = append(list, s)
		}
	}
	return list
}

// listens reports whether one of the listeners takes connections to the address;
// port 0 stands for any.
func listens(listeners []Listener, addr netip.Addr, port uint16) bool {
	addr = plain(addr)
	for _, l := range listeners {
		at := plain(l.Local.Addr())
		// A listener on :: takes IPv4 as well, unless it says otherwise; the
		// kernel does not tell that.
		wildcard := at.IsUnspecified() && (at.Is6() || addr.Is4())
		if (port == 0 || l.Local.Port() == port) && (wildcard || at == addr) {
			return true
		}
	}
	return false
}

// serves reports whether the host listens for MPTCP from other hosts.
func (v *view) serves() bool {
	for _, l := range v.Listeners {
		if l.Inode != 0 && !plain(l.Local.Addr()).IsLoopback() {
			return true
		}
	}
	return false
}
