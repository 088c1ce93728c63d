package mptcp_test

import (
	"fmt"

	"mptcpctl/mptcp"
)

// Tokens come from many tools in many forms; compare them as numbers.
func ExampleParseToken() {
	fromMonitor, _ := mptcp.ParseToken("0910da67")
	fromSS, _ := mptcp.ParseToken("910da67")
	fmt.Println(fromMonitor, fromMonitor == fromSS)
	// Output: 0910da67 true
}
