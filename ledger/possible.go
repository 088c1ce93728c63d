package ledger

import (
	"net/netip"

	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

// obstacle returns why no SYN can leave from the endpoint to the address as things are
// now, and NoCause where nothing is known against it.
func (a *account) obstacle(e mptcp.Endpoint, remote netip.Addr) Cause {
	if c := a.ground.AddressTrouble(e.Address); c != NoCause {
		return c
	}
	if c := a.ground.DeviceTrouble(e); e.IfIndex != 0 && c != NoCarrier && c != NoCause {
		return c // without a device a route decides, and without a carrier a SYN leaves and is lost
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
