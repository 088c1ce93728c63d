package track

import (
	"mptcpctl/mptcp"
)

// Kind tells what a delta is: an event of the kernel, or one that the tracker
// derived because the kernel announces no such thing.
type Kind uint8

// The kinds of deltas. All but the first and the last are derived.
const (
	// KindEvent is an event as the kernel sent it, mptcp.EventLost included.
	KindEvent Kind = iota
	// KindFallback: the connection speaks plain TCP, for good.
	KindFallback
	// KindSubflowPending: the SYN of a join is out, and no answer has come yet.
	KindSubflowPending
	// KindSubflowFailed: a join never came up, or was taken back at once.
	KindSubflowFailed
	// KindSubflowSilent: the socket says established, and nothing gets through.
	KindSubflowSilent
	// KindSubflowStale: the kernel took the subflow for lost and sends elsewhere.
	KindSubflowStale
	// KindAborted: the connection vanished without CLOSED, as it does when the
	// peer fast-closes it.
	KindAborted
	// KindResync: events were lost, and the state was read from the kernel anew.
	KindResync
	// KindEndpointSkipped: the path manager could not use an endpoint.
	KindEndpointSkipped
	// KindOverflow: the reader of Deltas was too slow; Event.Lost deltas are
	// missing at this place.
	KindOverflow
)

var kindNames = [...]string{
	"", "FALLBACK", "SF_PENDING", "SF_FAILED", "SF_SILENT", "SF_STALE",
	"ABORTED", "RESYNC", "ENDPOINT_SKIPPED", "OVERFLOW",
}

// String returns the name of a derived event, such as "SF_PENDING", and "" for
// an event of the kernel, which has a name of its own.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

// Kinds returns the kinds of derived events.
func Kinds() []Kind {
	return []Kind{
		KindFallback, KindSubflowPending, KindSubflowFailed, KindSubflowSilent,
		KindSubflowStale, KindAborted, KindResync, KindEndpointSkipped,
	}
}

// ParseKind returns the kind of derived event that has this name.
func ParseKind(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// Delta is one step from a state to the next.
type Delta struct {
	Kind Kind
	Name string // "CREATED", "SF_PENDING", …; of an unknown event "UNKNOWN n"
	Key  mptcp.Key

	// Event is the kernel's event. In a derived one Type is 0, and it carries the
	// time, the namespace, the token and, as far as Fields says so, the
	// addresses and ids of the subflow or endpoint that is meant.
	Event mptcp.Event

	// Connection is the connection as it was at this delta; the subflow that an
	// SF_CLOSED ends is still there. Nil where the tracker does not know it, or
	// Config.Connections is not set. All readers share it: it is not to be changed.
	Connection *mptcp.Connection

	Cause      string // of a FALLBACK: the counter that names it; "" where it is not known
	Evidence   []string
	Confidence Confidence
}

// Derived reports whether the tracker made the delta of other facts than an
// event.
func (d *Delta) Derived() bool { return d.Kind != KindEvent && d.Kind != KindOverflow }
