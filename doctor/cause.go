package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mptcpctl/counters"
	"mptcpctl/doctor/rule"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Stage tells when a connection fell back to TCP, as the events show it.
type Stage uint8

// The stages.
const (
	StageUnknown   Stage = iota // nobody listened to the events
	StageHandshake              // CLOSED without CREATED, or fallback without ESTABLISHED
	StageData                   // it was ESTABLISHED as MPTCP
)

// StageOf tells the stage of a connection from its events, in order. Complete says
// that no event of it can have been missed.
func StageOf(events []*mptcp.Event, complete bool) Stage {
	created := false
	for _, ev := range events {
		switch ev.Type {
		case mptcp.EventEstablished, mptcp.EventSubflowEstablished:
			return StageData
		case mptcp.EventCreated:
			created = true
		}
	}
	switch {
	case created: // the SYN/ACK had MP_CAPABLE: it was lost afterwards
		return StageData
	case complete:
		return StageHandshake
	}
	return StageUnknown
}

// Cause is why a connection fell back to TCP, or was refused.
type Cause struct {
	Rule       rule.ID
	Counter    string // that names it; "" where none did
	Text       string
	Confidence track.Confidence
	// Candidates are the counters that moved, if several did.
	Candidates []string
}

// fallbackCounter is a counter that a fallback moves.
type fallbackCounter struct {
	name   string
	rule   rule.ID
	stage  Stage
	server bool // moves on the side that accepted
	client bool // moves on the side that connected
	text   string
}

// fallbackCounters is the decision table. Each fallback moves exactly one.
var fallbackCounters = [...]fallbackCounter{
	{"MPCapableFallbackSYNACK", rule.PeerWithoutMPTCP, StageHandshake, false, true, "the peer answered without MPTCP"},
	{
		"MPCapableFallbackACK", rule.ServerUsesTCP, StageHandshake, true, false,
		"the client's third packet arrived without MPTCP",
	},
	{
		"MPCapableSYNTXDrop", rule.Blackhole, StageHandshake, false, true,
		"a SYN with MPTCP got no answer, and the kernel sent it again without MPTCP",
	},
	{
		"MPCapableSYNTXDisabled", rule.Blackhole, StageHandshake, false, true,
		"the kernel leaves MPTCP out for a while, because a SYN with MPTCP got no answer before",
	},
	{
		"MPFallbackTokenInit", rule.ShortOfMemory, StageHandshake, true, true,
		"the kernel could not create a token for the connection",
	},
	{"MD5SigFallback", rule.SocketOption, StageHandshake, true, true, "the application uses TCP_MD5SIG"},
	{
		"SimultConnectFallback", rule.SocketOption, StageHandshake, true, true,
		"both ends connected to each other at once",
	},
	{"MPCapableDataFallback", rule.OptionStripped, StageData, true, true, "the first data arrived without MPTCP"},
	{"DssFallback", rule.OptionStripped, StageData, true, true, "data arrived without an MPTCP mapping"},
	{"DSSCorruptionFallback", rule.DataChanged, StageData, true, true, "the data mapping was damaged on the path"},
	{"InfiniteMapTx", rule.DataChanged, StageData, true, true, "a checksum failed, and this host fell back to TCP"},
	{"InfiniteMapRx", rule.DataChanged, StageData, true, true, "a checksum failed, and the peer fell back to TCP"},
}

// FallbackCause decides why a connection fell back, from the stage, the side of
// the connection, and the counters that moved around it. It is certain if one
// counter moved that fits, likely if several did: the one that moved most comes
// first. If none did, the cause is the usual one for the stage, and possible.
func FallbackCause(stage Stage, side mptcp.Side, moved counters.Values) Cause {
	best, most := -1, uint64(0)
	var candidates []string
	for i, fc := range fallbackCounters {
		n, _ := moved.Get(fc.name)
		fits := (stage == StageUnknown || fc.stage == stage) &&
			(side == mptcp.SideUnknown || side == mptcp.SideClient && fc.client ||
				side == mptcp.SideServer && fc.server)
		if n == 0 || !fits {
			continue
		}
		candidates = append(candidates, fc.name)
		if n > most {
			best, most = i, n
		}
	}
	if best < 0 {
		return usualCause(stage)
	}
	fc := fallbackCounters[best]
	c := Cause{Rule: fc.rule, Counter: fc.name, Text: fc.text, Confidence: track.Certain}
	if len(candidates) > 1 {
		c.Confidence, c.Candidates = track.Likely, candidates
	}
	return c
}

func usualCause(stage Stage) Cause {
	if stage == StageData {
		return Cause{
			Rule:       rule.OptionStripped,
			Text:       "a middlebox removed MPTCP from the data",
			Confidence: track.Possible,
		}
	}
	return Cause{Rule: rule.PeerWithoutMPTCP, Text: "the peer answered without MPTCP", Confidence: track.Possible}
}

// moves returns how much the counters of the table moved, as text.
func (c Cause) moves(values counters.Values) string {
	names := c.Candidates
	if names == nil && c.Counter != "" {
		names = []string{c.Counter}
	}
	var parts []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		n, _ := values.Get(name)
		parts = append(parts, fmt.Sprintf("%s: %d", name, n))
	}
	return strings.Join(parts, ", ")
}
