package ledger

import (
	"net/netip"

	"mptcpctl/mptcp"
)

// announcement is an address that the peer was seen to announce.
type announcement struct {
	id mptcp.AddressID
	at netip.AddrPort
}

// announced returns the addresses that the peer announced and has not withdrawn.
func (a *account) announced(t mptcp.Token) []announcement {
	var list []announcement
	for _, ev := range a.events[t] {
		switch ev.Type {
		case mptcp.EventAnnounced:
			at, ok := ev.Remote()
			if !ok {
				continue
			}
			list = append(without(list, ev.RemoteID), announcement{ev.RemoteID, at})
		case mptcp.EventRemoved:
			list = without(list, ev.RemoteID)
		}
	}
	return list
}

func without(list []announcement, id mptcp.AddressID) []announcement {
	var kept []announcement
	for _, a := range list {
		if a.id != id {
			kept = append(kept, a)
		}
	}
	return kept
}
