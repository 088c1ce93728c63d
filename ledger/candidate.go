package ledger

import (
	"net/netip"

	"mptcpctl/mptcp"
)

// Kind is what the path manager could do.
type Kind uint8

// The kinds of candidates.
const (
	JoinPeer Kind = iota // a join from an endpoint to an address of the peer that is in use
	Announce             // an announcement of an endpoint to the peer
	Follow               // a join to an address that the peer announced
)

// Candidate is something that the path manager could do, or could have done, for a
// connection.
type Candidate struct {
	Kind     Kind
	Token    mptcp.Token    // of the connection
	Endpoint mptcp.Endpoint // the zero value: an announced address is joined from where a route leads
	Remote   netip.AddrPort // not valid for Announce, and where an announced address was not seen
	RemoteID mptcp.AddressID
}

// Reach is a stage with its cause.
type Reach struct {
	Stage Stage
	Cause Cause
}

// String returns the stage and, where the stage does not say it, the cause.
func (r Reach) String() string {
	if text := r.Cause.String(); text != "" && r.Stage != Up {
		return r.Stage.String() + ": " + text
	}
	return r.Stage.String()
}

// Entry is a candidate and what became of it.
type Entry struct {
	Candidate
	// Reached is what the facts allow: one, or several where they do not decide. It is
	// never empty, and the true one is in it.
	Reached []Reach
	// Evidence are the facts that the stages rest on, one a line. They hold no foreign
	// string.
	Evidence []string
	// Decides is the fact that would tell which of several is true, "" for one.
	Decides string
	Subflow *mptcp.Subflow // that came of it, if it is there
	// Obstacle is what would keep a SYN of it from leaving now, whatever happened
	// before: NoCause where nothing is known against it, or a subflow is there.
	Obstacle Cause
	// SharesLink says that a subflow of the connection leaves by the link that this one
	// would leave by: it would be a subflow more, and no further path.
	SharesLink bool

	counted bool // counters tell what became of it
}

// Certain reports whether the facts leave one stage with one cause.
func (e *Entry) Certain() bool { return len(e.Reached) == 1 }

// Is reports whether the entry is at that stage, and at no other.
func (e *Entry) Is(s Stage) bool {
	for _, r := range e.Reached {
		if r.Stage != s {
			return false
		}
	}
	return true
}

// May reports whether the entry may be there for that cause.
func (e *Entry) May(c Cause) bool {
	for _, r := range e.Reached {
		if r.Cause == c {
			return true
		}
	}
	return false
}

// Never reports whether nothing makes the path manager of the connection try the candidate,
// as long as endpoint and connection are what they are.
func (e *Entry) Never() bool {
	if !e.Certain() {
		return false
	}
	switch e.Reached[0].Cause {
	case WrongFlags, OtherFamily, FirstAddress, UserspaceManager, FallenBack:
		return true
	}
	return false
}

// Limited reports whether a limit may be what keeps the path manager from trying the
// candidate, and not that it was tried before.
func (e *Entry) Limited() bool { return e.May(NoSubflowsAllowed) || e.May(LimitReached) }

// Stuck reports whether the kernel does nothing for the candidate until somebody makes it,
// though no limit forbids it now.
func (e *Entry) Stuck() bool {
	for _, r := range e.Reached {
		switch r.Cause {
		case PeerForbids, NotLookedAgain, UsedOtherwise:
		default:
			if !r.Stage.Ended() {
				return false
			}
		}
	}
	return true
}

// GivenUp reports whether the kernel tried the candidate, and will not by itself again.
func (e *Entry) GivenUp() bool {
	for _, r := range e.Reached {
		if !r.Stage.Ended() {
			return false
		}
	}
	return true
}

// Retry returns what makes the kernel try the candidate: where several stages are left,
// what helps in all of them.
func (e *Entry) Retry() Retry {
	retry := ByItself
	for i, r := range e.Reached {
		if other := retryOf(e.Kind, r.Stage, r.Cause); i == 0 || other > retry {
			retry = other
		}
	}
	return retry
}
