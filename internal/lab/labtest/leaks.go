package labtest

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// NoLeaks fails the test unless soon no goroutines are left but those to ignore.
func NoLeaks(t testing.TB, ignored goleak.Option) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		err := goleak.Find(ignored) // which tries for half a second
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Error(err)
			return
		}
	}
}
