package dump

import (
	"net/netip"
	"strconv"

	"mptcpctl/mptcp"
)

// Facts are the parts of a snapshot that all of its connections share, ready for
// questions.
type Facts struct {
	pathManager string
	links       map[uint32]LinkFact
	holders     map[netip.Addr]uint32    // device by address
	few         []AddressFact            // holders, where a look at each is cheaper than the map
	routes      map[[2]netip.Addr]uint32 // device by source and destination; nil: nobody asked
	gone        map[netip.Addr]bool      // addresses that were here before
	listening   map[uint16]int           // MPTCP listeners by port
	knowsLinks  bool
	knowsAddrs  bool
}

// NewFacts returns the facts of a snapshot.
func NewFacts(s *Snapshot) *Facts {
	f := &Facts{
		pathManager: s.PathManager,
		links:       make(map[uint32]LinkFact, len(s.Links)),
		holders:     make(map[netip.Addr]uint32, len(s.Addresses)),
		listening:   make(map[uint16]int, len(s.Listeners)),
		knowsLinks:  len(s.Links) > 0,
		knowsAddrs:  len(s.Addresses) > 0,
	}
	for _, l := range s.Links {
		f.links[l.Index] = l
	}
	for _, a := range s.Addresses {
		if _, twice := f.holders[a.Addr.Unmap().WithZone("")]; !twice {
			f.holders[a.Addr.Unmap().WithZone("")] = a.IfIndex
		}
	}
	if len(f.holders) <= fewHolders {
		for a, index := range f.holders {
			f.few = append(f.few, AddressFact{a, index})
		}
	}
	for _, l := range s.Listeners {
		f.listening[l.Port()]++
	}
	if s.Routes != nil {
		f.routes = make(map[[2]netip.Addr]uint32, len(s.Routes))
	}
	for _, r := range s.Routes {
		f.routes[[2]netip.Addr{r.Source, r.Destination}] = r.IfIndex
	}
	return f
}

// Listen counts a listener more on the port, or with -1 one less.
func (f *Facts) Listen(port uint16, by int) { f.listening[port] += by }

// KeepListeners takes over the listeners of earlier facts.
func (f *Facts) KeepListeners(before *Facts) { f.listening = before.listening }

// mostGone bounds how many addresses are remembered that have gone.
const mostGone = 1 << 10

// Succeed takes over from earlier facts which addresses have gone.
func (f *Facts) Succeed(before *Facts) {
	if f.routes == nil {
		f.routes = before.routes
	}
	f.gone = make(map[netip.Addr]bool)
	note := func(a netip.Addr) {
		if _, here := f.holders[a]; !here && len(f.gone) < mostGone {
			f.gone[a] = true
		}
	}
	for a := range before.holders {
		note(a)
	}
	for a := range before.gone {
		note(a)
	}
}

const fewHolders = 8

// holder returns the device that holds the address.
func (f *Facts) holder(a netip.Addr) (index uint32, ok bool) {
	if a.Zone() != "" {
		a = a.WithZone("")
	}
	if len(f.holders) > fewHolders {
		index, ok = f.holders[a]
		return index, ok
	}
	for i := range f.few {
		if f.few[i].Addr == a {
			return f.few[i].IfIndex, true
		}
	}
	return 0, false
}

// side tells which end this host is. The initial subflow says it: the client has
// asked for MPTCP on it. Where that one has gone, a listener on the local port
// makes a server, and a join from here to the peer's initial address a client:
// servers make joins too, but only to addresses that the client announced.
func (f *Facts) side(c *mptcp.Connection, ties []tie, initial int) mptcp.Side {
	if initial >= 0 {
		if side := initialSide(ties[initial], c.Subflows[initial].TCP); side != mptcp.SideUnknown {
			return side
		}
	}
	if f.listening[c.Local.Port()] > 0 {
		return mptcp.SideServer
	}
	for i := range ties {
		if ties[i].join && ties[i].requested && c.Subflows[i].RemoteID == 0 {
			return mptcp.SideClient
		}
	}
	return mptcp.SideUnknown
}

// initialSide tells the side as far as the initial subflow does.
func initialSide(t tie, state mptcp.SocketState) mptcp.Side {
	switch {
	case t.requested:
		return mptcp.SideClient
	case state == mptcp.StateEstablished:
		return mptcp.SideServer
	}
	return mptcp.SideUnknown
}

// Device names the device of a subflow: the one that it is bound to, else the one by
// which the routes send its packets. Where routes were not asked, as in recordings, it is
// the one that has the local address.
func (f *Facts) Device(sub *mptcp.Subflow) {
	index := sub.IfIndex
	sub.Bound = index != 0
	if sub.Device != "" {
		return
	}
	switch {
	case index != 0:
	case f.routes != nil:
		index = f.routes[[2]netip.Addr{sub.Local.Addr(), sub.Remote.Addr()}]
	default:
		index, _ = f.holder(sub.Local.Addr())
	}
	if l, ok := f.links[index]; ok {
		sub.Device = l.Name
	} else if index != 0 {
		sub.Device = "if" + strconv.FormatUint(uint64(index), 10)
	}
}
