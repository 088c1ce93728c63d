// Package kernel says which release of Linux runs, and compares releases. It is the
// one place that asks: where the release is unknown it is "", and each caller decides
// what it assumes then.
package kernel

import "fmt"

// Before reports whether a release, such as "6.12.30+deb13", is older than
// major.minor, and whether it could be read.
func Before(release string, major, minor int) (before, ok bool) {
	var is [2]int
	if _, err := fmt.Sscanf(release, "%d.%d", &is[0], &is[1]); err != nil {
		return false, false
	}
	return is[0] < major || is[0] == major && is[1] < minor, true
}
