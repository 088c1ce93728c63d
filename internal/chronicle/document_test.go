package chronicle

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestDocumentHasAllKindsAndKeys compares docs/history.md with the code.
func TestDocumentHasAllKindsAndKeys(t *testing.T) {
	text, err := os.ReadFile("../../docs/history.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, rest, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` | "); ok && strings.HasPrefix(line, "| `") {
			rows[name] = rest
		}
	}
	for _, key := range []string{"seq", "t", "kind", "pair"} {
		if rows[key] == "" {
			t.Errorf("no row of the key %s", key)
		}
	}
	for _, kind := range Kinds() {
		row := rows[string(kind)]
		if row == "" {
			t.Errorf("no row of the kind %s", kind)
		}
		for _, key := range keysOf(kind) {
			if !strings.Contains(row, "`"+key+"`") {
				t.Errorf("the row of the kind %s has no key %s", kind, key)
			}
		}
	}
	if known := len(Kinds()) + 4; len(rows) != known {
		t.Errorf("%d rows of kinds and keys, and %d are known: %v", len(rows), known, rows)
	}
}

// keysOf returns the keys of the objects of a kind.
func keysOf(kind Kind) []string {
	switch kind {
	case KindBegin:
		return tags(Begin{})
	case KindHost:
		return tags(Host{})
	case KindCounters:
		return tags(Counted{})
	case KindSummary:
		return tags(passed{})
	case KindConnection:
		return []string{"change", "seen", "changed", "ended", "how", "trouble", "closed_subflows", "connection"}
	case KindState:
		return []string{"connection", "instance"}
	case KindFinding:
		return []string{"change", "came", "went", "holds"}
	case KindLost:
		return []string{"lines", "where"}
	}
	return nil
}

func tags(v any) (keys []string) {
	t := reflect.TypeOf(v)
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		keys = append(keys, key)
	}
	return keys
}
