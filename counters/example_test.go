package counters_test

import (
	"fmt"

	"mptcpctl/counters"
)

// What went wrong between two readings, in words.
func Example() {
	before := counters.FromMap(map[string]uint64{"MPJoinSynTx": 1, "MPJoinSynTxBindErr": 0})
	after := counters.FromMap(map[string]uint64{"MPJoinSynTx": 1, "MPJoinSynTxBindErr": 2})
	for name, n := range after.Since(before).Moved().All() {
		if d, ok := counters.Describe(name); ok && d.Trouble {
			fmt.Printf("%d x %s\n", n, d.Meaning)
		}
	}
	// Output: 2 x an additional subflow could not bind to its source address
}
