package labtest

import (
	"os"
	"strconv"
	"testing"
)

// Setting returns the number in an environment variable, or the usual one where it is not
// set: of the worlds of a model, of its series.
func Setting(t testing.TB, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
