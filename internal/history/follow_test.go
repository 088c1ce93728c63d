package history

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// TestFollowMissesNothing follows a history that is written, with files that are closed and
// compressed meanwhile.
func TestFollowMissesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	w, last := open(t, dir, nil)
	last, at := write(t, w, last, 100, start)
	r, err := NewReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan uint64, 1)
	failed := make(chan error, 1)
	const all = 5000
	go func() {
		var n uint64
		for l, err := range r.Follow(ctx, Span{}) {
			if n++; err != nil || l.Seq != n {
				failed <- err
				return
			}
			if n == all {
				seen <- n
			}
		}
	}()
	for last < all {
		last, at = write(t, w, last, 100, at)
		if last%1000 == 0 {
			at = at.Add(time.Hour)
		}
		time.Sleep(20 * time.Millisecond)
	}
	select {
	case <-seen:
	case err := <-failed:
		t.Fatalf("a line is missing, came twice or cannot be read: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the last line does not come")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
