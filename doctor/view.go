package doctor

import (
	"net/netip"
	"slices"
	"strconv"

	"mptcpctl/hostnet"
	"mptcpctl/internal/kernel"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
)

// view is the facts with what many rules ask of them, worked out once.
type view struct {
	*Facts
	ground  *ledger.Ground
	links   map[int]hostnet.Link
	holders map[netip.Addr]hostnet.Address
	lookups map[hostnet.LookupRequest]Lookup
	events  map[mptcp.Token][]*mptcp.Event
	earlier map[mptcp.Token]bool // was there when listening began

	clients []*mptcp.Connection // made here to other hosts, up, and still MPTCP
	servers []*mptcp.Connection // accepted here, up, and still MPTCP
	makers  []mptcp.Endpoint    // endpoints that subflows are created from

	routes     map[routeKey]routeTrouble
	candidates map[netip.Addr][]hostnet.Address
	account    *ledger.Ledger
	foresight  map[mptcp.Token][]ledger.Entry // of supposed connections
	wanted     []want                         // the answer of wants, nil: not asked for
	blind      bool                           // the kernel keeps back which TCP sockets are subflows
}

func newView(f *Facts) *view {
	v := &view{
		Facts:      f,
		ground:     ledger.NewGround(f.Network.Addresses, f.Network.Links, f.localPrefixes()),
		links:      make(map[int]hostnet.Link, len(f.Network.Links)),
		holders:    make(map[netip.Addr]hostnet.Address, len(f.Network.Addresses)),
		lookups:    make(map[hostnet.LookupRequest]Lookup, len(f.Lookups)),
		events:     map[mptcp.Token][]*mptcp.Event{},
		earlier:    make(map[mptcp.Token]bool, len(f.EarlierThan)),
		routes:     map[routeKey]routeTrouble{},
		candidates: map[netip.Addr][]hostnet.Address{},
		foresight:  map[mptcp.Token][]ledger.Entry{},
		blind:      slices.ContainsFunc(f.Unseen, func(g Gap) bool { return g.What == UnseenSubflows }),
	}
	for _, l := range f.Network.Links {
		v.links[l.Index] = l
	}
	for _, a := range f.Network.Addresses {
		if _, twice := v.holders[plain(a.Addr)]; !twice {
			v.holders[plain(a.Addr)] = a
		}
	}
	for _, l := range f.Lookups {
		v.lookups[l.Request] = l
	}
	for i := range f.Events {
		ev := &f.Events[i]
		if ev.Netns == f.Netns && ev.Has(mptcp.FieldToken) {
			v.events[ev.Token] = append(v.events[ev.Token], ev)
		}
	}
	for _, e := range f.Endpoints {
		if e.Flags.CreatesSubflows() {
			v.makers = append(v.makers, e)
		}
	}
	for _, t := range f.EarlierThan {
		v.earlier[t] = true
	}
	v.sortConnections()
	return v
}

func (v *view) sortConnections() {
	for i := range v.Connections {
		c := &v.Connections[i]
		if c.Fallback || c.State != mptcp.StateEstablished || v.within(c) {
			continue
		}
		switch c.Side {
		case mptcp.SideClient:
			v.clients = append(v.clients, c)
		case mptcp.SideServer:
			v.servers = append(v.servers, c)
		}
	}
}

// plain is the form in which addresses are compared.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func sameFamily(a, b netip.Addr) bool { return a.Unmap().Is4() == b.Unmap().Is4() }

// watched reports whether no event of the connection can have been missed.
func (v *view) watched(t mptcp.Token) bool {
	return !v.EventsSince.IsZero() && v.EventsLost == 0 && !v.earlier[t]
}

// localPrefixes are those that routes make the host's own, as transparent proxies have them.
func (f *Facts) localPrefixes() (list []netip.Prefix) {
	for _, r := range f.Network.Routes {
		if r.Type == "local" {
			list = append(list, r.Dst)
		}
	}
	return list
}

// within reports whether both ends of the connection are on this host: a second
// path would lead nowhere else.
func (v *view) within(c *mptcp.Connection) bool {
	remote := plain(c.Remote.Addr())
	_, here := v.holders[remote]
	return here || remote.IsLoopback()
}

// device returns the name of the link, or a description of one that is unknown.
func (v *view) device(index int) string {
	if l, ok := v.links[index]; ok {
		return l.Name
	}
	return "index " + strconv.Itoa(index)
}

// link returns the link that the endpoint is bound to, or that holds its address.
func (v *view) link(e mptcp.Endpoint) (hostnet.Link, bool) {
	l, ok := v.links[e.DeviceIndex(func(a netip.Addr) (int, bool) {
		holder, here := v.holders[plain(a)]
		return holder.IfIndex, here
	})]
	return l, ok
}

// total and moved return a counter of the MPTCP table, 0 where there is none.
func (v *view) total(name string) uint64 {
	n, _ := v.MPTCP.Now.Get(name)
	return n
}

func (v *view) moved(name string) uint64 {
	n, _ := v.MPTCP.Moved.Get(name)
	return n
}

// userspace reports whether new connections get a userspace path manager.
func (v *view) userspace() bool {
	return v.Sysctls.Raw != nil && v.Sysctls.PathManagerName() == "userspace"
}

// kernelPM reports whether the connection has the in-kernel path manager.
func (v *view) kernelPM(c *mptcp.Connection) bool {
	switch c.PathManager {
	case "":
		return !v.userspace()
	case "kernel":
		return true
	}
	return false
}

// ready reports whether further subflows may have been tried on the connection:
// it carried data, and its subflows can be seen.
func ready(c *mptcp.Connection) bool {
	for i := range c.Subflows {
		if c.Subflows[i].FullyEstablished {
			return true
		}
	}
	return len(c.Subflows) > 0 && c.BytesReceived > 0
}

// atLeast reports whether the kernel's release is that or newer; false also where
// it is unknown.
func (k Kernel) atLeast(major, minor int) bool { return versionAtLeast(k.Release, major, minor) }

// versionAtLeast is atLeast for a version of iproute2 too: both are written alike.
func versionAtLeast(version string, major, minor int) bool {
	before, ok := kernel.Before(version, major, minor)
	return ok && !before
}
