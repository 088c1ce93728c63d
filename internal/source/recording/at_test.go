package recording

import (
	"path/filepath"
	"testing"
	"time"
)

// TestAtKnowsNothingLater cuts recordings at the end of each of their snapshots: what the
// shorter one shows was known by then.
func TestAtKnowsNothingLater(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.pcapng*")
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings", err)
	}
	cuts := 0
	for _, file := range files {
		whole, err := Open(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(whole.snapshots) == 0 {
			continue
		}
		if _, err := whole.At(whole.snapshots[0].until.Add(-time.Nanosecond)); err == nil {
			t.Errorf("%s: before its first snapshot it knows something", file)
		}
		for i, s := range whole.snapshots {
			past, err := whole.At(s.until)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			cuts++
			if n := len(past.snapshots); n < i+1 || past.snapshots[n-1].until.After(s.until) {
				t.Errorf("%s: %d of %d snapshots up to the end of number %d", file, n, len(whole.snapshots), i+1)
			}
			for _, e := range past.entries {
				if e.time.After(s.until) {
					t.Fatalf("%s: something of %v is known at %v", file, e.time, s.until)
				}
			}
			if s == whole.snapshots[len(whole.snapshots)-1] && len(past.snapshots) != len(whole.snapshots) {
				t.Errorf("%s: at its end it has %d of %d snapshots", file, len(past.snapshots), len(whole.snapshots))
			}
		}
	}
	if cuts < 100 {
		t.Errorf("only %d cuts", cuts)
	}
}
