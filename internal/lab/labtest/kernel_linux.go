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

// NeedListenerEvents skips the test where the kernel does not tell of listeners.
func NeedListenerEvents(t testing.TB) {
	t.Helper()
	if KernelBefore(t, 6, 2) {
		Skip(t, "the kernel has no events of listeners (Linux 6.2 or later)")
	}
}
