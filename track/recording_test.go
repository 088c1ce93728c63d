package track

import (
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	"mptcpctl/mptcp"
)

// tape is a recording of one connection that falls back in the handshake, one that
// the peer aborts, and one that lives on, made long ago.
type tape struct {
	t     *testing.T
	began time.Time
	at    time.Time
}

func (r *tape) after(d time.Duration) bool { return !r.at.Before(r.began.Add(d)) }

func (r *tape) Seek(to time.Time) {
	if to.Before(r.at) {
		r.t.Errorf("seek from %v back to %v", r.at, to)
	}
	r.at = to
}

// NextSnapshot: it was looked at every five seconds, for an hour.
func (r *tape) NextSnapshot() time.Time {
	next := r.at.Sub(r.began).Truncate(5*time.Second) + 5*time.Second
	if next > time.Hour {
		return time.Time{}
	}
	return r.began.Add(next)
}

func (r *tape) Batches(context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		for _, e := range []struct {
			at    time.Duration
			event mptcp.Event
		}{{2 * time.Second, created(1)}, {3 * time.Second, created(2)}, {4 * time.Second, closed(3)}, {time.Hour, created(4)}} {
			e.event.Time = r.began.Add(e.at)
			if !yield([]mptcp.Event{e.event}, nil) {
				return
			}
		}
	}
}

func (r *tape) Snapshots(ctx context.Context) ([]Snapshot, error) {
	s := Snapshot{Time: r.at}
	if r.at.IsZero() {
		s.Time = r.began
	}
	s.Connections, _ = r.Lookup(ctx, "", []mptcp.Token{1, 2, 3, 4})
	return []Snapshot{s}, nil
}

func (r *tape) Lookup(_ context.Context, _ string, tokens []mptcp.Token) (out []mptcp.Connection, _ error) {
	for _, token := range tokens {
		if token == 1 && r.after(2*time.Second) && !r.after(12*time.Second) || token == 2 && r.after(3*time.Second) ||
			token == 4 && r.after(time.Hour) {
			out = append(out, connection(token, "10.0.0.1:80", "10.0.0.2:4000"))
		}
	}
	return out, nil
}

func (r *tape) Sample(context.Context, string, []mptcp.Token) ([]SubflowRow, error) { return nil, nil }

func (r *tape) Namespace(context.Context, string) (*Snapshot, error) { return nil, nil }

func (r *tape) Counters(context.Context, string) (Counters, error) {
	c := Counters{"MPCapableFallbackSYNACK": 1}
	if r.after(4 * time.Second) {
		c["MPCapableFallbackSYNACK"] = 2
	}
	return c, nil
}

// A recording is played by its own clock: the derived events have the times at
// which they would have been seen, though it is read in an instant.
func TestRecordingGoesByItsOwnClock(t *testing.T) {
	r := &tape{t: t, began: time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)}
	tracker := New(r, nil)
	stream := tracker.Deltas(t.Context())
	if err := tracker.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for d, err := range stream {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, since(r.began, d.Event.Time)+" "+d.Name+" "+d.Key.String())
	}
	want := []string{
		"+2.00s CREATED 00000001", "+3.00s CREATED 00000002", "+4.00s CLOSED 00000003", "+4.02s FALLBACK 00000003",
		"+15.50s ABORTED 00000001", "+3600.00s CREATED 00000004",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s := tracker.State(); s.Len() != 2 || !s.Time().Before(r.began.Add(2*time.Hour)) {
		t.Errorf("%d connections at %v", s.Len(), s.Time())
	}
}
