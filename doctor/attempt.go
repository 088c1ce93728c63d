package doctor

import (
	"net/netip"
	"time"

	"mptcpctl/mptcp"
)

// attempt is an additional subflow as the events tell of it.
type attempt struct {
	local, remote   netip.AddrPort
	localID         mptcp.AddressID
	remoteID        mptcp.AddressID
	up, closed      *mptcp.Event
	announcedRemote bool // it went to an address that the peer had announced before
}

// brief is how soon after it came up a refused subflow is closed again.
const brief = time.Second

// attempts returns the additional subflows of the connection in the order of the
// events. Events without addresses, and those of the initial subflow, are left
// out.
func (v *view) attempts(token mptcp.Token) []attempt {
	var list []attempt
	announced := map[netip.Addr]bool{}
	for _, ev := range v.events[token] {
		switch ev.Type {
		case mptcp.EventAnnounced:
			if r, ok := ev.Remote(); ok {
				announced[r.Addr()] = true
			}
			continue
		case mptcp.EventSubflowEstablished, mptcp.EventSubflowClosed:
		default:
			continue
		}
		local, hasLocal := ev.Local()
		remote, hasRemote := ev.Remote()
		if !hasLocal || !hasRemote || local.Addr().IsUnspecified() || ev.LocalID == 0 && ev.RemoteID == 0 {
			continue
		}
		if ev.Type == mptcp.EventSubflowEstablished {
			list = append(list, attempt{local, remote, ev.LocalID, ev.RemoteID, ev, nil, announced[remote.Addr()]})
			continue
		}
		if i := lastOpen(list, local, remote); i >= 0 {
			list[i].closed = ev
		} else {
			list = append(list, attempt{local, remote, ev.LocalID, ev.RemoteID, nil, ev, announced[remote.Addr()]})
		}
	}
	return list
}

// lastOpen returns the index of the attempt that is up between these addresses.
func lastOpen(list []attempt, local, remote netip.AddrPort) int {
	for i := len(list) - 1; i >= 0; i-- {
		if a := &list[i]; a.local == local && a.remote == remote && a.closed == nil {
			return i
		}
	}
	return -1
}

// outcome is what became of an attempt.
type outcome uint8

const (
	fine        outcome = iota
	refused             // RST to the SYN
	unreachable         // ICMP, or no neighbour
	timedOut            // no answer to the SYN
	stripped            // closed without error before it came up
	rejected            // closed without error as soon as it was up
	reset               // the peer told the reason
	died                // closed with an error after it was up
)

// Numbers of the errors that end subflows.
const (
	connectionReset = 104
	timeout         = 110
	connRefused     = 111
	hostDown        = 112
	noRouteToHost   = 113
	netUnreachable  = 101
)

func (a *attempt) outcome() outcome {
	ev := a.closed
	if ev == nil {
		return fine
	}
	if ev.Has(mptcp.FieldResetReason) && ev.ResetReason != mptcp.ResetUnspecified {
		return reset
	}
	errno := mptcp.Errno(0)
	if ev.Has(mptcp.FieldError) {
		errno = ev.Error
	}
	switch {
	case a.up == nil && errno == connRefused:
		return refused
	case a.up == nil && (errno == noRouteToHost || errno == netUnreachable || errno == hostDown):
		return unreachable
	case a.up == nil && errno == timeout:
		return timedOut
	case a.up == nil && errno == 0 && !ev.Has(mptcp.FieldResetReason):
		return stripped
	case a.up != nil && errno == 0 && !ev.Has(mptcp.FieldResetReason) && ev.Time.Sub(a.up.Time) < brief:
		return rejected
	case a.up != nil && (errno == timeout || errno == connectionReset || errno == noRouteToHost):
		return died
	}
	return fine
}

// endpoint returns the endpoint that the attempt was made from.
func (v *view) endpoint(a *attempt) (mptcp.Endpoint, bool) {
	for _, e := range v.Endpoints {
		if plain(e.Address) == plain(a.local.Addr()) {
			return e, true
		}
	}
	return mptcp.Endpoint{}, false
}
