package ledger

import (
	"fmt"
	"net/netip"

	"mptcpctl/mptcp"
)

// Numbers of the errors that end subflows.
const (
	netUnreachable  = 101
	connectionReset = 104
	timedOut        = 110
	connRefused     = 111
	hostDown        = 112
	noRouteToHost   = 113
)

// attempt is the last that events told of a join between two addresses.
type attempt struct {
	up, closed *mptcp.Event
}

// attemptOf returns what the events tell of the last join from the address to the other;
// it is false where they tell of none.
func (a *account) attemptOf(t mptcp.Token, local, remote netip.Addr) (last attempt, ok bool) {
	for _, ev := range a.events[t] {
		if ev.Type != mptcp.EventSubflowEstablished && ev.Type != mptcp.EventSubflowClosed {
			continue
		}
		from, hasFrom := ev.Local()
		to, hasTo := ev.Remote()
		if !hasFrom || !hasTo || ev.LocalID == 0 && ev.RemoteID == 0 {
			continue
		}
		if local.IsValid() && plain(from.Addr()) != plain(local) || plain(to.Addr()) != plain(remote) {
			continue
		}
		if ev.Type == mptcp.EventSubflowEstablished {
			last = attempt{up: ev}
		} else if last.closed == nil {
			last.closed = ev
		} else {
			last = attempt{closed: ev}
		}
		ok = true
	}
	return last, ok
}

// outcome returns what the end of the join says of its cause. If the connection was not
// watched all the while, the join may have been up before, unseen.
func (x attempt) outcome(watched bool) (list []Reach, evidence string) {
	ev := x.closed
	if ev == nil {
		return nil, ""
	}
	errno := mptcp.Errno(0)
	evidence = "SF_CLOSED"
	if ev.Has(mptcp.FieldError) {
		errno = ev.Error
		evidence = fmt.Sprintf("SF_CLOSED error=%d", errno)
	}
	if x.up == nil {
		evidence += ", no SF_ESTABLISHED"
	}
	reason := ev.Has(mptcp.FieldResetReason)
	switch {
	case reason && (ev.ResetReason == mptcp.ResetResources || ev.ResetReason == mptcp.ResetProhibited):
		return []Reach{{Refused, PeerProhibits}}, evidence
	case x.up != nil && errno == 0 && !reason:
		return []Reach{{Refused, PeerLimit}, {Died, Ended}}, evidence
	case x.up != nil && errno == timedOut:
		return []Reach{{Died, TimedOut}}, evidence
	case x.up != nil:
		return []Reach{{Died, ResetLater}}, evidence
	case errno == connRefused:
		return []Reach{{Refused, ResetBySomebody}}, evidence
	case errno == timedOut && !watched:
		return []Reach{{NoAnswer, Unanswered}, {Died, TimedOut}}, evidence
	case errno == timedOut:
		return []Reach{{NoAnswer, Unanswered}}, evidence
	case errno == noRouteToHost || errno == netUnreachable || errno == hostDown:
		return []Reach{{Refused, Unreachable}}, evidence
	case errno == 0 && !reason && !watched:
		return []Reach{{NotMPTCP, WithoutMPJoin}, {Refused, PeerLimit}, {Died, Ended}}, evidence
	case errno == 0 && !reason:
		return []Reach{{NotMPTCP, WithoutMPJoin}}, evidence
	}
	return []Reach{{Died, ResetLater}}, evidence
}

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
