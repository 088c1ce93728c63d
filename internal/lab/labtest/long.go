package labtest

import "os"

// Long reports whether LONG=1 is set: the tests that take long, such as churn, storms and
// the whole catalogue of scenarios, then run in their long form. Without it they run in
// a short form, which tests the same with fewer rounds or examples.
func Long() bool { return os.Getenv("LONG") == "1" }

// Rounds returns how often a test repeats what it does: short times, or long times where
// the long forms are asked for.
func Rounds(short, long int) int {
	if Long() {
		return long
	}
	return short
}
