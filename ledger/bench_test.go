package ledger

import (
	"slices"
	"testing"

	"mptcpctl/mptcp"
)

// BenchmarkOf accounts for 10,000 connections of which each has failed to get its second
// subflow.
func BenchmarkOf(b *testing.B) {
	f := situation()
	f.use(1)
	first := f.Connections[0]
	f.Connections = nil
	for i := range 10_000 {
		c := first
		c.Token = mptcp.Token(i + 1)
		c.Subflows = slices.Clone(first.Subflows)
		f.Connections = append(f.Connections, c)
	}
	f.count(10_000, 10_000, 10_000, 0, 0)
	for b.Loop() {
		Of(*f)
	}
}
