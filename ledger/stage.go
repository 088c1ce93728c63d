package ledger

// Stage is how far a candidate got.
type Stage uint8

// The stages, in the order in which a join passes them.
const (
	NotDue      Stage = iota // the path manager had no reason to try it
	NotPossible              // no SYN could leave, or none can
	SynOut                   // the SYN is out, and not answered yet
	NoAnswer                 // the SYN was not answered until the kernel gave up
	NotMPTCP                 // the SYN was answered without MP_JOIN
	Refused                  // the peer, or something on the way, refused it
	OneSided                 // up here, while the peer's last acknowledgement is still to come
	Up
	Idle // up, and carries nothing
	Died // it was up, and ended
)

var stageNames = [...]string{
	"not due", "not possible", "SYN out", "no answer", "answered without MP_JOIN", "refused",
	"up on one side only", "up", "up, carries nothing", "died",
}

// String returns the stage in words.
func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return "unknown stage"
}

// Ended reports whether the kernel tried the candidate and keeps no subflow of it: it
// does not try again by itself.
func (s Stage) Ended() bool {
	switch s {
	case NotPossible, NoAnswer, NotMPTCP, Refused, Died:
		return true
	}
	return false
}

// Cause is why a candidate is at its stage.
type Cause uint8

// The causes. Those up to UsedOtherwise belong to NotDue, those up to NoRoute to
// NotPossible, and so on, in the order of the stages.
const (
	NoCause             Cause = iota
	WrongFlags                // its flags make no subflow of this kind
	OtherFamily               // the two addresses are of different families
	FirstAddress              // the initial subflow goes from there
	PeerForbids               // the peer's C-flag: no joins to its first address
	UserspaceManager          // the connection was born under a userspace path manager
	FallenBack                // the connection speaks TCP
	NothingAcknowledged       // the connection is not fully established yet
	NoSubflowsAllowed         // the limit of subflows is 0
	LimitReached              // as many subflows as are allowed are there
	NotLookedAgain            // there was no room when the kernel looked last, and nothing made it look since
	NothingAccepted           // the limit of accepted addresses is 0
	EnoughAccepted            // as many addresses as are allowed are in use
	ReachedAlready            // a subflow goes to that address already
	OthersInstead             // announced addresses are joined from other endpoints
	NotAnnouncedYet           // other addresses are announced first
	UsedOtherwise             // it counts as used, without a join to this address

	AddressMissing
	AddressTentative
	DeviceMissing
	DeviceDown
	NoCarrier // a SYN leaves and is lost: it is no stage of an entry, but trouble of its device
	NoRoute
	NoPort
	OptionTooLong // the announcement has no room in a packet

	Waiting    // for an answer, not for long
	Unanswered // sent again, and still no answer

	WithoutMPJoin // the option was removed on the way, or the peer answers as plain TCP

	ResetBySomebody // a RST: no listener, a firewall, or another host
	PeerLimit       // the peer took no further subflow
	PeerProhibits   // a reset with a reason
	Unreachable     // an ICMP error, or no neighbour

	WaitingForPeer

	Working
	Announced // an announcement is out

	Backup
	Stale
	Silent

	TimedOut
	ResetLater
	Ended // closed in an orderly way, or here
)

var causeTexts = [...]string{
	NoCause:             "",
	WrongFlags:          "its flags make no subflow to this address",
	OtherFamily:         "it is of another address family",
	FirstAddress:        "it is the address of the initial subflow",
	PeerForbids:         "the peer forbids joins to its first address",
	UserspaceManager:    "the connection was born under a userspace path manager",
	FallenBack:          "the connection speaks TCP",
	NothingAcknowledged: "the peer has acknowledged no data yet",
	NoSubflowsAllowed:   "the limit of additional subflows is 0",
	LimitReached:        "the limit of additional subflows is reached",
	NotLookedAgain:      "the limit left no room when the kernel looked, and the kernel has not looked again since",
	NothingAccepted:     "the limit of accepted addresses is 0",
	EnoughAccepted:      "the limit of accepted addresses is reached",
	ReachedAlready:      "a subflow goes to this address already",
	OthersInstead:       "announced addresses are joined from other endpoints",
	NotAnnouncedYet:     "other addresses are announced first",
	UsedOtherwise: "it was announced while the limit left no room, or joined an announced address: it counts " +
		"as used",
	AddressMissing:   "the address is not on this host",
	AddressTentative: "the address is not usable yet",
	DeviceMissing:    "its device is gone",
	DeviceDown:       "its device is down",
	NoCarrier:        "its device has no carrier",
	NoRoute:          "no route leads from it to the peer",
	NoPort:           "no local port is free",
	OptionTooLong:    "the announcement has no room in a packet: an IPv6 address with a port, beside timestamps",
	Waiting:          "its SYN waits for an answer",
	Unanswered:       "its SYN is not answered",
	WithoutMPJoin:    "its SYN was answered without MP_JOIN",
	ResetBySomebody:  "its SYN was answered by a reset",
	PeerLimit:        "the peer took no further subflow",
	PeerProhibits:    "the peer refused it and said why",
	Unreachable:      "the peer's address could not be reached",
	WaitingForPeer:   "the peer has not confirmed it yet",
	Working:          "it is up",
	Announced:        "it is announced",
	Backup:           "it is a backup",
	Stale:            "the kernel takes it for lost and sends elsewhere",
	Silent:           "nothing gets through",
	TimedOut:         "it was up, and its packets were no longer answered",
	ResetLater:       "it was up, and was reset",
	Ended:            "it was up, and was closed",
}

// String returns the cause in words, "" for none.
func (c Cause) String() string {
	if int(c) < len(causeTexts) {
		return causeTexts[c]
	}
	return "unknown cause"
}

// Retry is what makes the kernel try a candidate that it does not try by itself.
type Retry uint8

// What makes the kernel try.
const (
	ByItself    Retry = iota // it needs nothing, or nothing helps
	ByDeleteAdd              // the endpoint is deleted and added again
	ByRoom                   // a subflow ends; or the limit is raised, and any endpoint is added
	ByAnyAdd                 // any endpoint is added, or a subflow ends
	ByPeer                   // the peer announces the address, or another one, again
	ByNewConnection
)

var retryTexts = [...]string{
	ByItself:        "",
	ByDeleteAdd:     "delete the endpoint and add it again",
	ByRoom:          "raise the limit and add any endpoint, or wait until a subflow ends",
	ByAnyAdd:        "add any endpoint, or delete this one and add it again",
	ByPeer:          "the peer must announce an address again",
	ByNewConnection: "only a new connection",
}

// String returns what helps in words, "" where nothing is needed.
func (r Retry) String() string {
	if int(r) < len(retryTexts) {
		return retryTexts[r]
	}
	return "unknown"
}

// retryOf returns what makes the kernel try a candidate again.
func retryOf(k Kind, s Stage, c Cause) Retry {
	switch c {
	case NoSubflowsAllowed, LimitReached:
		return ByRoom
	case NotLookedAgain:
		return ByAnyAdd
	case NothingAccepted, EnoughAccepted, PeerForbids:
		return ByPeer
	case UsedOtherwise:
		return ByDeleteAdd
	case UserspaceManager, FallenBack, PeerLimit:
		return ByNewConnection
	}
	if !s.Ended() {
		return ByItself
	}
	if k == Follow {
		return ByPeer
	}
	return ByDeleteAdd
}
