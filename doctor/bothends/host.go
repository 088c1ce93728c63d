package bothends

import (
	"net/netip"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/match"
	"mptcpctl/mptcp"
)

// Host is what is known of one host.
type Host struct {
	Name  string         // as the user calls it: foreign, escape it before showing
	Facts []doctor.Facts // of one network namespace each
	// Ahead is by how much its clock is ahead of that of the first host, at most Within
	// more or less. Within is 0 where the clocks were not compared.
	Ahead, Within time.Duration
}

// side is a network namespace of a host, with what doctor says of it alone.
type side struct {
	*doctor.Facts
	host   string
	report doctor.Report
	ends   []end // of its connections: the other end of each
}

// end is where the other end of a connection is. The side is nil where none of the hosts has
// it.
type end struct {
	side *side
	c    *mptcp.Connection
	by   match.By
}

// sides returns the namespaces of all hosts, with the ends of their connections matched.
func sides(hosts []Host) []*side {
	var all []*side
	for _, h := range hosts {
		for i := range h.Facts {
			f := &h.Facts[i]
			all = append(all, &side{
				Facts: f, host: h.Name, report: doctor.Diagnose(*f), ends: make([]end, len(f.Connections)),
			})
		}
	}
	for i, h := range hosts {
		for _, other := range hosts[i+1:] {
			pairUp(of(all, h.Name), of(all, other.Name))
		}
	}
	return all
}

func of(all []*side, host string) (list []*side) {
	for _, s := range all {
		if s.host == host {
			list = append(list, s)
		}
	}
	return list
}

// pairUp matches the connections of two hosts.
func pairUp(one, other []*side) {
	here, hereAt := flatten(one)
	there, thereAt := flatten(other)
	for _, m := range match.Connections(here, there).Both {
		a, b := hereAt[m.Here], thereAt[m.There]
		a.side.ends[a.index] = end{b.side, &b.side.Connections[b.index], m.By}
		b.side.ends[b.index] = end{a.side, &a.side.Connections[a.index], m.By}
	}
}

// place is where a connection is.
type place struct {
	side  *side
	index int
}

// flatten lists the connections that have no other end yet.
func flatten(list []*side) (all []mptcp.Connection, at []place) {
	for _, s := range list {
		for i := range s.Connections {
			if s.ends[i].side == nil {
				all, at = append(all, s.Connections[i]), append(at, place{s, i})
			}
		}
	}
	return all, at
}

// holds reports whether the address is one of the namespace.
func (s *side) holds(addr netip.Addr) bool {
	addr = plain(addr)
	if addr.IsLoopback() {
		return false
	}
	for i := range s.Network.Addresses {
		if plain(s.Network.Addresses[i].Addr) == addr {
			return true
		}
	}
	return false
}

// device is the name of the link that has the address, "" for none.
func (s *side) device(addr netip.Addr) string {
	for _, a := range s.Network.Addresses {
		if plain(a.Addr) == plain(addr) {
			l, _ := s.Network.LinkByIndex(a.IfIndex)
			return l.Name
		}
	}
	return ""
}

// sees reports whether the subflows of its connections can be seen.
func (s *side) sees() bool {
	for _, g := range s.Unseen {
		if g.What == doctor.UnseenSubflows {
			return false
		}
	}
	return true
}

// userspace reports whether connections get a userspace path manager.
func (s *side) userspace(c *mptcp.Connection) bool {
	if c != nil && c.PathManager != "" {
		return c.PathManager != "kernel"
	}
	return s.Sysctls.Raw != nil && s.Sysctls.PathManagerName() == "userspace"
}

// total is a counter of the MPTCP table. It is unknown where the table was not read.
func (s *side) total(name string) (n uint64, known bool) { return s.MPTCP.Now.Get(name) }

// never reports whether the counter is there, and nothing was ever counted.
func (s *side) never(name string) bool {
	n, known := s.total(name)
	return known && n == 0
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// listener returns the listener that takes connections to the address, of those that a
// program holds.
func listener(list []doctor.Listener, at netip.AddrPort) (doctor.Listener, bool) {
	addr := plain(at.Addr())
	for _, l := range list {
		here := plain(l.Local.Addr())
		wildcard := here.IsUnspecified() && (here.Is6() || addr.Is4())
		if l.Local.Port() == at.Port() && (wildcard || here == addr) {
			return l, true
		}
	}
	return doctor.Listener{}, false
}

// holder names the program that holds the listener.
func holder(l *doctor.Listener) string {
	if len(l.Processes) == 0 {
		return "the program"
	}
	return "the program " + l.Processes[0].Name
}
