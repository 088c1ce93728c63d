package labtest

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// KernelBefore reports whether the running kernel is older than major.minor: for what
// only newer ones do, and what nothing else tells.
func KernelBefore(t testing.TB, major, minor int) bool {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	var is [2]int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &is[0], &is[1]); err != nil {
		t.Fatal(err)
	}
	return is[0] < major || is[0] == major && is[1] < minor
}
