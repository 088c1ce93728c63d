package doctor

import (
	"net/netip"

	"mptcpctl/ledger"
	"mptcpctl/mptcp"
)

// want is a connection made here, an endpoint that it could use, and what the ledger says
// became of it.
type want struct {
	c *mptcp.Connection
	e *mptcp.Endpoint
	*ledger.Entry
}

// unused reports whether the connection has no subflow from the endpoint, pending ones
// counted.
func (w *want) unused() bool { return w.Subflow == nil }

// up reports whether a subflow from the endpoint is up.
func (w *want) up() bool { return w.Subflow != nil && w.Subflow.State.Up() }

// wants returns the pairs of a connection made here and an endpoint that its
// subflows could be created from. Connections that are not ready are left out.
func (v *view) wants() []want {
	if v.wanted != nil {
		return v.wanted
	}
	v.wanted = []want{}
	for _, c := range v.clients {
		if !ready(c) {
			continue
		}
		for i := range v.makers {
			if entry := v.entry(c, v.makers[i]); entry != nil && !entry.Never() {
				v.wanted = append(v.wanted, want{c, &v.makers[i], entry})
			}
		}
	}
	return v.wanted
}

// works reports whether the endpoint could carry a subflow as far as its address
// and link go.
func (v *view) works(e mptcp.Endpoint) bool {
	return v.ground.AddressTrouble(e.Address) == ledger.NoCause && v.ground.DeviceTrouble(e) == ledger.NoCause
}

// atLimit reports whether the connection may have no further subflow.
func (v *view) atLimit(c *mptcp.Connection) bool {
	return v.kernelPM(c) && ledger.Room(c, v.Limits) != ledger.NoCause // a userspace path manager has no limits
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
