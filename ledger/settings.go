package ledger

import (
	"net/netip"
	"slices"

	"mptcpctl/mptcp"
)

// Settings are what the path manager of a network namespace was told: endpoints, in
// the order in which the kernel goes through them, and limits.
//
// The kernel lists endpoints by id; it goes through them in the order in which they
// were added, those with a port first and the last of these before the others
// (mptcp_pm_nl_append_new_local_addr).
type Settings struct {
	Endpoints []mptcp.Endpoint
	Limits    mptcp.Limits

	last mptcp.AddressID // pernet->next_id: where the search for a free id begins
}

// count returns how many endpoints have the flag, as pernet->endp_*_max does.
func (s *Settings) count(flag mptcp.EndpointFlags) int {
	n := 0
	for i := range s.Endpoints {
		if s.Endpoints[i].Flags.Has(flag) {
			n++
		}
	}
	return n
}

// find returns the endpoint of that address, as __lookup_addr does: the port counts
// only where the endpoint has one.
func (s *Settings) find(at netip.AddrPort) (mptcp.Endpoint, bool) {
	for _, e := range s.Endpoints {
		if e.Address.Unmap() == at.Addr().Unmap() && (e.Port == 0 || e.Port == at.Port()) {
			return e, true
		}
	}
	return mptcp.Endpoint{}, false
}

func (s *Settings) byID(id mptcp.AddressID) (mptcp.Endpoint, bool) {
	for _, e := range s.Endpoints {
		if e.ID == id {
			return e, true
		}
	}
	return mptcp.Endpoint{}, false
}

// clone returns settings that can be changed without changing these.
func (s *Settings) clone() *Settings {
	c := *s
	c.Endpoints = slices.Clone(s.Endpoints)
	return &c
}

// Add takes an endpoint in, with an id of its own where its id is 0, and returns it.
// It is false where the kernel refuses it (ERANGE, EBUSY or EEXIST). An implicit
// endpoint of the same address is replaced.
func (s *Settings) Add(e mptcp.Endpoint, most int) (mptcp.Endpoint, bool) {
	if s.last == 255 || s.last == 0 {
		s.last = 1
	}
	if len(s.Endpoints) >= most {
		return e, false
	}
	if _, taken := s.byID(e.ID); taken && e.ID != 0 {
		return e, false
	}
	for i, other := range s.Endpoints {
		if other.Address.Unmap() != e.Address.Unmap() || other.Port != e.Port {
			continue
		}
		if !other.Flags.Has(mptcp.FlagImplicit) || e.ID != 0 {
			return e, false
		}
		e.ID = other.ID
		s.Endpoints = slices.Delete(s.Endpoints, i, i+1)
		break
	}
	if e.ID == 0 {
		if e.ID = s.free(); e.ID == 0 {
			return e, false
		}
	}
	s.last = max(s.last, e.ID)
	if e.Port == 0 {
		s.Endpoints = append(s.Endpoints, e)
	} else {
		s.Endpoints = slices.Insert(s.Endpoints, 0, e)
	}
	return e, true
}

// free returns the first id from the last one given on that no endpoint has.
func (s *Settings) free() mptcp.AddressID {
	for round := range 2 {
		from := max(int(s.last), 1)
		if round > 0 {
			from = 1
		}
		for id := from; id <= 255; id++ {
			if _, taken := s.byID(mptcp.AddressID(id)); !taken {
				return mptcp.AddressID(id)
			}
		}
	}
	return 0
}

// Remove takes the endpoint out and returns it.
func (s *Settings) Remove(id mptcp.AddressID) (mptcp.Endpoint, bool) {
	for i, e := range s.Endpoints {
		if e.ID == id {
			s.Endpoints = slices.Delete(s.Endpoints, i, i+1)
			return e, true
		}
	}
	return mptcp.Endpoint{}, false
}

// changeable are the flags that a change of an endpoint sets or clears, all at once
// (mptcp_pm_nl_set_flags).
const changeable = mptcp.FlagBackup | mptcp.FlagFullmesh

// Change sets the changeable flags of the endpoint to those given, and returns it with
// those that changed. It is false where the kernel refuses.
func (s *Settings) Change(id mptcp.AddressID, flags mptcp.EndpointFlags) (e mptcp.Endpoint,
	changed mptcp.EndpointFlags, ok bool) {
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		if e.ID != id {
			continue
		}
		if flags.Has(mptcp.FlagFullmesh) && e.Flags&(mptcp.FlagSignal|mptcp.FlagImplicit) != 0 {
			return *e, 0, false
		}
		changed = (flags ^ e.Flags) & changeable
		e.Flags ^= changed
		return *e, changed, true
	}
	return e, 0, false
}

// Flush takes all endpoints out and returns them.
func (s *Settings) Flush() []mptcp.Endpoint {
	gone := s.Endpoints
	s.Endpoints, s.last = nil, 1
	return gone
}
