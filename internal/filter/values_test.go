package filter

import (
	"slices"
	"strings"
	"testing"
)

// TestValues parses each name that is offered behind a term.
func TestValues(t *testing.T) {
	offered := 0
	for _, term := range Terms() {
		for _, value := range Values(term.Word) {
			offered++
			if _, err := Parse(term.Word, value); err != nil {
				t.Errorf("%s %s: %v", term.Word, value, err)
			}
		}
	}
	for word, want := range map[string]string{"state": "established", "event": "SF_CLOSED", "side": "client", "family": "inet6", "reason": "middlebox"} {
		if got := Values(word); !slices.Contains(got, want) {
			t.Errorf("%s: %q, want %s among them", word, got, want)
		}
	}
	if got := Values("process"); got != nil || offered == 0 {
		t.Errorf("process: %q of %d, want none", strings.Join(got, " "), offered)
	}
}
