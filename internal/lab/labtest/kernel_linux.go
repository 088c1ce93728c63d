package labtest

import (
	"testing"

	"mptcpctl/internal/lab"
)

// KernelBefore reports whether the running kernel is older than major.minor: for what
// only newer ones do, and what nothing else tells.
func KernelBefore(t testing.TB, major, minor int) bool {
	t.Helper()
	before, err := lab.Kernel{Major: major, Minor: minor}.IsAhead()
	if err != nil {
		t.Fatal(err)
	}
	return before
}
