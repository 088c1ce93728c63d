package policy

import (
	"net/netip"
	"time"

	"mptcpctl/mptcp"
)

// Times of the Recreator.
const (
	// Grace is how long a connection may be without a subflow before anything is
	// done: the kernel may just be making it.
	Grace = 3 * time.Second
	// FirstPause is the least time between two attempts for one endpoint; it doubles
	// up to LastPause while they do not help.
	FirstPause = 10 * time.Second
	LastPause  = 10 * time.Minute
)

// Recreator finds the endpoints whose subflows died and that the kernel will not
// try again: once an address was used for a connection, it counts as used. Removing
// the endpoint and adding it again makes the kernel forget that, for all
// connections at once. The zero value is ready. It is not safe for concurrent use.
type Recreator struct {
	lacking map[lack]time.Time // since when
	paces   map[identity]pace
}

type lack struct {
	identity
	token mptcp.Token
}

type pace struct {
	next  time.Time
	pause time.Duration
}

// Due returns those of the endpoints that are to be removed and added again now.
// usable tells whether the host could send from an address.
//
// An endpoint is due when connections have lacked a subflow from it for the time of
// grace although their limits allow one, and when at least as many lack it as have
// it: for those that have it, its removal closes a subflow.
func (r *Recreator) Due(
	now time.Time, endpoints []mptcp.Endpoint, connections []mptcp.Connection, usable func(netip.Addr) bool,
) []mptcp.Endpoint {
	var due []mptcp.Endpoint
	lacking, paces := map[lack]time.Time{}, map[identity]pace{}
	for _, e := range endpoints {
		if !e.Flags.CreatesSubflows() || !usable(e.Address.Unmap()) {
			continue
		}
		having, without, late := 0, 0, 0
		for i := range connections {
			c := &connections[i]
			switch {
			case c.SubflowFrom(e.Address) != nil:
				having++
			case couldHave(c, e.Address.Unmap()):
				key := lack{identityOf(e), c.Token}
				since, known := r.lacking[key]
				if !known {
					since = now
				}
				lacking[key] = since
				without++
				if now.Sub(since) >= Grace {
					late++
				}
			}
		}
		if without == 0 {
			continue // and its pace is forgotten
		}
		p := r.paces[identityOf(e)]
		if late > 0 && without >= having && !now.Before(p.next) {
			due = append(due, e)
			p.pause = min(max(2*p.pause, FirstPause), LastPause)
			p.next = now.Add(p.pause)
		}
		paces[identityOf(e)] = p
	}
	r.lacking, r.paces = lacking, paces
	return due
}

// couldHave reports whether the in-kernel path manager could make a subflow of the
// connection from the address.
func couldHave(c *mptcp.Connection, from netip.Addr) bool {
	return c.State == mptcp.StateEstablished && !c.Fallback && c.Side != mptcp.SideServer &&
		c.Limits.Subflows < c.Limits.SubflowsMax && c.Remote.Addr().Unmap().Is4() == from.Is4()
}
