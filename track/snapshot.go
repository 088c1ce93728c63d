package track

import (
	"mptcpctl/mptcp"
	"mptcpctl/track/dump"
)

// What a source gives a tracker is the dumps of the kernel, as package dump has them.
type (
	Snapshot    = dump.Snapshot
	SubflowRow  = dump.SubflowRow
	RouteFact   = dump.RouteFact
	LinkFact    = dump.LinkFact
	AddressFact = dump.AddressFact
	Counters    = dump.Counters
	Listing     = dump.Listing
	Confidence  = dump.Confidence
)

// The confidences, weakest first: see [dump.Confidence].
const (
	ConfidenceNone = dump.ConfidenceNone
	Possible       = dump.Possible
	Likely         = dump.Likely
	Certain        = dump.Certain
)

// Join makes the connections with their subflows of a snapshot: see [dump.Join].
func Join(s Snapshot) []mptcp.Connection { return dump.Join(s) }

// Unanswered and OneWay report whether nothing gets through a subflow, as the tracker and
// doctor both have it: see [dump.Unanswered] and [dump.OneWay].
func Unanswered(s *mptcp.Subflow) bool { return dump.Unanswered(s) }

// OneWay is described with [Unanswered].
func OneWay(s *mptcp.Subflow) bool { return dump.OneWay(s) }
