package track

import (
	"net/netip"

	"mptcpctl/mptcp"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func connection(token mptcp.Token, local, remote string) mptcp.Connection {
	return mptcp.Connection{
		Token:  token,
		Family: mptcp.FamilyINET,
		State:  mptcp.StateEstablished,
		Local:  ap(local),
		Remote: ap(remote),
	}
}

// row returns an established subflow; flags are ss' letters of which j, J make a
// join and m, j a subflow that was requested here.
func row(token mptcp.Token, local, remote, flags string, lid, rid mptcp.AddressID) SubflowRow {
	r := SubflowRow{Token: token, HasToken: true}
	r.Local, r.Remote, r.LocalID, r.RemoteID, r.TCP = ap(local), ap(remote), lid, rid, mptcp.StateEstablished
	for _, f := range flags {
		switch f {
		case 'j':
			r.Join, r.Requested = true, true
		case 'J':
			r.Join = true
		case 'm':
			r.Requested = true
		}
	}
	return r
}
