package track

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

// Counters that tell of more than connections.
const (
	counterStale      = "SubflowStale"
	counterBindErr    = "MPJoinSynTxBindErr"
	counterConnectErr = "MPJoinSynTxConnectErr"
)

// unrisen returns the counters that are compared as they are in a namespace that has
// just been made.
func unrisen() Counters {
	c := make(Counters)
	for _, names := range compared() {
		for _, name := range names {
			c[name] = 0
		}
	}
	return c
}

// compared returns the counters whose rise tells something.
func compared() [][]string {
	return [][]string{handshakeCauses, laterCauses, abortCauses, {counterStale, counterBindErr, counterConnectErr}}
}
