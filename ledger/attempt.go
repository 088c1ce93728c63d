package ledger

import (
	"fmt"
	"net/netip"
	"time"

	"mptcpctl/mptcp"
)

// Attempt is a join as the events tell of it.
type Attempt struct {
	Local, Remote     netip.AddrPort
	LocalID, RemoteID mptcp.AddressID
	Up, Closed        *mptcp.Event // SF_ESTABLISHED and SF_CLOSED; nil: not seen
	Announced         bool         // it went to an address that the peer had announced before
}

// brief is how soon after it came up a subflow is closed again that the peer refused: it
// decides when the last packet of the handshake comes.
const brief = time.Second

// Attempts returns the joins of one connection in the order of its events, which are given
// oldest first. Events without addresses, and those of the initial subflow, are left out.
func Attempts(events []*mptcp.Event) []Attempt {
	var list []Attempt
	announced := map[netip.Addr]bool{}
	for _, ev := range events {
		remote, hasRemote := ev.Remote()
		if ev.Type == mptcp.EventAnnounced && hasRemote {
			announced[remote.Addr()] = true
		}
		if ev.Type != mptcp.EventSubflowEstablished && ev.Type != mptcp.EventSubflowClosed {
			continue
		}
		local, hasLocal := ev.Local()
		if !hasLocal || !hasRemote || local.Addr().IsUnspecified() || ev.LocalID == 0 && ev.RemoteID == 0 {
			continue
		}
		x := Attempt{local, remote, ev.LocalID, ev.RemoteID, nil, ev, announced[remote.Addr()]}
		if ev.Type == mptcp.EventSubflowEstablished {
			x.Up, x.Closed = ev, nil
		} else if i := lastOpen(list, local, remote); i >= 0 {
			list[i].Closed = ev
			continue
		}
		list = append(list, x)
	}
	return list
}

// lastOpen returns the index of the attempt that is up between these addresses, or -1.
func lastOpen(list []Attempt, local, remote netip.AddrPort) int {
	for i := len(list) - 1; i >= 0; i-- {
		if x := &list[i]; x.Local == local && x.Remote == remote && x.Closed == nil {
			return i
		}
	}
	return -1
}

// Numbers of the errors that end subflows.
const (
	netUnreachable = 101
	timedOut       = 110
	connRefused    = 111
	hostDown       = 112
	noRouteToHost  = 113
)

// Ended returns the stages that the join may have ended in, as far as its events tell, and
// none while it has not ended. Watched says that no event of the connection can have been
// missed: otherwise the join may have been up before, unseen.
func (x *Attempt) Ended(watched bool) []Reach {
	ev := x.Closed
	if ev == nil {
		return nil
	}
	errno := mptcp.Errno(0)
	if ev.Has(mptcp.FieldError) {
		errno = ev.Error
	}
	reason := ev.Has(mptcp.FieldResetReason)
	switch {
	case reason && (ev.ResetReason == mptcp.ResetResources || ev.ResetReason == mptcp.ResetProhibited):
		return []Reach{{Refused, PeerProhibits}}
	case x.Up != nil && errno == 0 && !reason && ev.Late == 0 && ev.Time.Sub(x.Up.Time) > brief:
		return []Reach{{Died, Ended}}
	case x.Up != nil && errno == 0 && !reason:
		return []Reach{{Refused, PeerLimit}, {Died, Ended}}
	case x.Up != nil && errno == timedOut:
		return []Reach{{Died, TimedOut}}
	case x.Up != nil:
		return []Reach{{Died, ResetLater}}
	}
	return unseen(errno, reason, watched)
}

// unseen is Ended for a join that was not seen to come up.
func unseen(errno mptcp.Errno, reason, watched bool) []Reach {
	var list []Reach
	switch {
	case reason:
		list = []Reach{{Refused, PeerProhibits}, {Died, ResetLater}}
	case errno == connRefused:
		return []Reach{{Refused, ResetBySomebody}}
	case errno == timedOut:
		list = []Reach{{NoAnswer, Unanswered}, {Died, TimedOut}}
	case errno == noRouteToHost || errno == netUnreachable || errno == hostDown:
		return []Reach{{Refused, Unreachable}}
	case errno == 0:
		list = []Reach{{NotMPTCP, WithoutMPJoin}, {Refused, PeerLimit}, {Died, Ended}}
	default:
		return []Reach{{Died, ResetLater}}
	}
	if watched {
		return list[:1]
	}
	return list
}

// evidence is what the end of the join shows, in a line.
func (x *Attempt) evidence() string {
	line := "SF_CLOSED"
	if x.Closed.Has(mptcp.FieldError) {
		line = fmt.Sprintf("SF_CLOSED error=%d", x.Closed.Error)
	}
	if x.Up == nil {
		line += ", no SF_ESTABLISHED"
	}
	return line
}

// attemptOf returns the last join from the address to the other that events told of, nil
// for none. A local address that is not valid stands for any.
func (a *account) attemptOf(t mptcp.Token, local, remote netip.Addr) (last *Attempt) {
	list, known := a.attempts[t]
	if !known {
		list = Attempts(a.events[t])
		a.attempts[t] = list
	}
	for i := range list {
		x := &list[i]
		if (!local.IsValid() || plain(x.Local.Addr()) == plain(local)) && plain(x.Remote.Addr()) == plain(remote) {
			last = x
		}
	}
	return last
}
