package track

import (
	"slices"

	"mptcpctl/ledger"
)

// The counters that name the cause of a fallback: in the handshake, and later.
var (
	handshakeCauses = []string{
		"MPCapableFallbackSYNACK", "MPCapableFallbackACK", "MPCapableSYNTXDrop", "MPCapableSYNTXDisabled",
		"MPFallbackTokenInit", "MD5SigFallback", "SimultConnectFallback",
	}
	laterCauses = []string{
		"DssFallback", "MPCapableDataFallback", "DSSCorruptionFallback", "InfiniteMapTx", "InfiniteMapRx",
	}
	abortCauses = []string{"MPFastcloseRx"}
)

// Counters of subflows and endpoints.
const (
	counterStale      = "SubflowStale"
	counterBindErr    = ledger.BindErrors
	counterConnectErr = ledger.ConnectErrors
)

// FallbackCounters returns the counters that the tracker takes as the cause of a FALLBACK: in
// the handshake, and later.
func FallbackCounters() (handshake, later []string) {
	return slices.Clone(handshakeCauses), slices.Clone(laterCauses)
}

// unrisen returns the compared counters as they are in a new namespace: all zero.
func unrisen() Counters {
	c := make(Counters)
	for _, names := range compared() {
		for _, name := range names {
			c[name] = 0
		}
	}
	return c
}

// compared returns the counters whose rises are evidence, by what they explain.
func compared() [][]string {
	return [][]string{handshakeCauses, laterCauses, abortCauses, {counterStale, counterBindErr, counterConnectErr}}
}
