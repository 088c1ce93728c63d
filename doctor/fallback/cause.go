// Package fallback decides why a connection uses plain TCP, from the counters that moved
// and from when it happened.
package fallback

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
	Unknown   Stage = iota // nobody listened to the events
	Handshake              // CLOSED without CREATED, or fallback without ESTABLISHED
	Data                   // it was ESTABLISHED as MPTCP
)

// StageOf tells the stage of a connection from its events, in order. Complete says
// that no event of it can have been missed.
func StageOf(events []*mptcp.Event, complete bool) Stage {
	created := false
	for _, ev := range events {
		switch ev.Type {
		case mptcp.EventEstablished, mptcp.EventSubflowEstablished:
			return Data
		case mptcp.EventCreated:
			created = true
		}
	}
	switch {
	case created: // the SYN/ACK had MP_CAPABLE: it was lost afterwards
		return Data
	case complete:
		return Handshake
	}
	return Unknown
}

// Cause is why a connection fell back to TCP, or was refused.
type Cause struct {
	Rule       rule.ID
	Counter    string // that names it; "" where none did
	Text       string
	Confidence track.Confidence
	// Candidates are the counters that moved, if several did.
	Candidates []string
	// Excluding is the fact that excludes other causes, "" where it is that no other
	// counter moved.
	Excluding string
}

// Counter is a counter that a fallback moves.
type Counter struct {
	Name   string
	Rule   rule.ID
	Stage  Stage
	Server bool // moves on the side that accepted
	Client bool // moves on the side that connected
	Text   string
}

// Counters returns the decision table. Each fallback moves exactly one.
func Counters() []Counter { return slices.Clone(table[:]) }

// Named returns the cause that the counter of that name stands for.
func Named(counter string) (c Cause, ok bool) {
	for i := range table {
		if table[i].Name == counter {
			return table[i].cause(), true
		}
	}
	return c, false
}

// On reports whether the counter may move for a connection of that side.
func (c *Counter) On(side mptcp.Side) bool {
	return side == mptcp.SideUnknown || side == mptcp.SideClient && c.Client || side == mptcp.SideServer && c.Server
}

func (c *Counter) cause() Cause {
	return Cause{Rule: c.Rule, Counter: c.Name, Text: c.Text, Confidence: track.Certain}
}

var table = [...]Counter{
	{"MPCapableFallbackSYNACK", rule.PeerWithoutMPTCP, Handshake, false, true, "the peer answered without MPTCP"},
	{
		"MPCapableFallbackACK", rule.ServerUsesTCP, Handshake, true, false,
		"the client's third packet arrived without MPTCP",
	},
	{
		"MPCapableSYNTXDrop", rule.Blackhole, Handshake, false, true,
		"a SYN with MPTCP got no answer, and the kernel sent it again without MPTCP",
	},
	{
		"MPCapableSYNTXDisabled", rule.Blackhole, Handshake, false, true,
		"the kernel leaves MPTCP out for a while, because a SYN with MPTCP got no answer before",
	},
	{
		"MPFallbackTokenInit", rule.ShortOfMemory, Handshake, true, true,
		"the kernel could not create a token for the connection",
	},
	{"MD5SigFallback", rule.SocketOption, Handshake, true, true, "the application uses TCP_MD5SIG"},
	{
		"SimultConnectFallback", rule.SocketOption, Handshake, true, true,
		"both ends connected to each other at once",
	},
	{"MPCapableDataFallback", rule.OptionStripped, Data, true, true, "the first data arrived without MPTCP"},
	{"DssFallback", rule.OptionStripped, Data, true, true, "data arrived without an MPTCP mapping"},
	{"DSSCorruptionFallback", rule.DataChanged, Data, true, true, "the data mapping was damaged on the path"},
	{"InfiniteMapTx", rule.DataChanged, Data, true, true, "a checksum failed, and this host fell back to TCP"},
	{"InfiniteMapRx", rule.DataChanged, Data, true, true, "a checksum failed, and the peer fell back to TCP"},
}

// CauseOf decides why a connection fell back, from the stage, the side of
// the connection, and the counters that moved around it. It is certain if one
// counter moved that fits, likely if several did: the one that moved most comes
// first. If none did, the cause is the usual one for the stage, and possible.
func CauseOf(stage Stage, side mptcp.Side, moved counters.Values) Cause {
	best, most := -1, uint64(0)
	var candidates []string
	for i, fc := range table {
		n, _ := moved.Get(fc.Name)
		fits := (stage == Unknown || fc.Stage == stage) &&
			fc.On(side)
		if n == 0 || !fits {
			continue
		}
		candidates = append(candidates, fc.Name)
		if n > most {
			best, most = i, n
		}
	}
	if best < 0 {
		return usualCause(stage)
	}
	c := table[best].cause()
	if len(candidates) > 1 {
		c.Confidence, c.Candidates = track.Likely, candidates
	}
	return c
}

func usualCause(stage Stage) Cause {
	if stage == Data {
		return Cause{
			Rule:       rule.OptionStripped,
			Text:       "a middlebox removed MPTCP from the data",
			Confidence: track.Possible,
		}
	}
	return Cause{Rule: rule.PeerWithoutMPTCP, Text: "the peer answered without MPTCP", Confidence: track.Possible}
}

// Moves returns how much the counters of the table moved, as text.
func (c Cause) Moves(values counters.Values) string {
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
