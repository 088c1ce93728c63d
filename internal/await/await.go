// Package await waits in tests until something holds: it polls, so that a fast machine
// does not wait, and gives up late, so that a busy one does not fail.
package await

import (
	"errors"
	"testing"
	"time"
)

// Patience is how long a test waits for what takes an idle machine a few seconds at
// most.
const Patience = 4 * time.Minute

// pause is between two questions.
const pause = 2 * time.Millisecond

// True polls until the condition holds, and fails the test where it does not within
// [Patience]. What says what is awaited: "the second subflow".
func True(t testing.TB, what string, holds func() bool) {
	t.Helper()
	errNot := errors.New(what)
	Success(t, func() error {
		if holds() {
			return nil
		}
		return errNot
	})
}

// Success polls until f returns no error, and fails the test with the last one where
// it does not within [Patience].
func Success(t testing.TB, f func() error) {
	t.Helper()
	for deadline := time.Now().Add(Patience); ; time.Sleep(pause) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting after %v: %v", Patience, err)
		}
	}
}
