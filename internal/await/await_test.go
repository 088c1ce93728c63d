package await_test

import (
	"errors"
	"testing"

	"mptcpctl/internal/await"
)

// The condition is asked again until it holds, and not once more.
func TestTrue(t *testing.T) {
	asked := 0
	await.True(t, "the third question", func() bool { asked++; return asked == 3 })
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}

func TestSuccess(t *testing.T) {
	asked := 0
	await.Success(t, func() error {
		if asked++; asked < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}
