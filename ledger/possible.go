package ledger

import (
	"net/netip"

	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

// obstacle returns why no SYN can leave from the endpoint to the address as things are
// now, and NoCause where nothing is known against it.
func (a *account) obstacle(e mptcp.Endpoint, remote netip.Addr) Cause {
	if c := a.addressTrouble(e.Address); c != NoCause {
		return c
	}
	if c := a.linkTrouble(e); c != NoCause {
		return c
	}
	if a.Lookup == nil || !remote.IsValid() {
		return NoCause
	}
	request := hostnet.LookupRequest{Dst: plain(remote), Src: plain(e.Address), OIF: int(e.IfIndex)}
	route, failure, known := a.Lookup(request)
	if known && (failure != "" || !route.Forwards()) {
		return NoRoute
	}
	return NoCause
}

func (a *account) addressTrouble(addr netip.Addr) Cause {
	if a.Addresses == nil {
		return NoCause
	}
	found := AddressMissing
	for _, h := range a.Addresses {
		if plain(h.Addr) != plain(addr) {
			continue
		}
		if !h.Tentative && !h.DADFailed {
			return NoCause
		}
		found = AddressTentative
	}
	return found
}

func (a *account) linkTrouble(e mptcp.Endpoint) Cause {
	if a.Links == nil {
		return NoCause
	}
	index := int(e.IfIndex)
	if index == 0 {
		return NoCause // a route decides
	}
	for _, l := range a.Links {
		if l.Index != index {
			continue
		}
		if !l.Up {
			return DeviceDown
		}
		return NoCause
	}
	return DeviceMissing
}
