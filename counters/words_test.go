package counters

import (
	"slices"
	"testing"
)

func TestWords(t *testing.T) {
	for name, want := range map[string][]string{
		"MPFallbackTokenInit": {"Fallback", "Token", "Init"},
		"MPCapableSYNRX":      {"Capable"},
		"RcvPruned":           {"Pruned"},
		"":                    nil,
	} {
		if got := Words(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
