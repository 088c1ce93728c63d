package web

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"mptcpctl/mptcp"
)

// TestStreamOfAtMost: a client that wants few events a second gets these, and is told how many
// there were beside them: together they are all.
func TestStreamOfAtMost(t *testing.T) {
	const events = 500
	s := serve(t, 10, Config{})
	messages, _ := s.stream(t, "?most=5")
	next(t, messages)
	batch := make([]mptcp.Event, events)
	for i := range batch {
		batch[i] = s.prio(i % 10)
	}
	s.batches <- batch
	got, missed := 0, 0
	for got+missed < events {
		m := next(t, messages)
		_, data, ok := strings.Cut(m, "event: gap\ndata: ")
		if !ok {
			got++
			continue
		}
		var gap struct{ Missed int }
		if err := json.Unmarshal([]byte(data), &gap); err != nil {
			t.Fatal(err)
		}
		missed += gap.Missed
	}
	if missed == 0 || got+missed != events {
		t.Errorf("%d events came, and %d were left out", got, missed)
	}
}

func TestRation(t *testing.T) {
	r, now := ration{most: 2}, time.Unix(1000, 0)
	r.begin(now)
	for i, want := range []bool{true, true, false, false, false} {
		if got := r.take(); got != want {
			t.Errorf("event %d: %v", i, got)
		}
	}
	if left := r.begin(now.Add(999 * time.Millisecond)); left != 0 || r.take() {
		t.Errorf("%d left out, or another event, before the second was over", left)
	}
	if left := r.begin(now.Add(time.Second)); left != 4 || !r.take() {
		t.Errorf("%d left out, want 4 and a new ration", left)
	}
	all := ration{}
	for range 1000 {
		if !all.take() {
			t.Fatal("a stream without a bound left an event out")
		}
	}
}
