package recording

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// played returns the deltas of a recording, a line each, and checks that their times
// are its own.
func played(t *testing.T, r *Recording) []byte {
	t.Helper()
	tracker := track.New(r, &track.Config{Buffer: 1 << 16})
	deltas := tracker.Deltas(t.Context())
	if err := tracker.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	first, last := r.Span()
	before := first
	for d, err := range deltas {
		if err != nil {
			t.Fatal(err)
		}
		at := d.Event.Time
		if at.Before(before.Add(-batchTime)) || at.After(last) {
			t.Errorf("%s at %v, after %v, in a recording from %v to %v", d.Name, at, before, first, last)
		}
		before = at
		fmt.Fprintf(&lines, "%v %s %v %q\n", at, d.Name, d.Key, d.Evidence)
	}
	return lines.Bytes()
}

// TestReplayGoesByTheTimesOfTheRecording: whatever the tracker derives while it plays
// a recording happened in it, in the order of time, and is the same each time.
func TestReplayGoesByTheTimesOfTheRecording(t *testing.T) {
	names, err := filepath.Glob("testdata/*/*.pcapng*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	derived := false
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			var lines [2][]byte
			for i := range lines {
				r, err := Open(name)
				if err != nil {
					t.Fatal(err)
				}
				lines[i] = played(t, r)
			}
			if !bytes.Equal(lines[0], lines[1]) {
				t.Errorf("first\n%s\nthen\n%s", lines[0], lines[1])
			}
			derived = derived || bytes.Contains(lines[0], []byte(" SF_STALE "))
		})
	}
	if !derived {
		t.Error("no recording has a subflow that became stale")
	}
}

// TestSeekKnowsNothingThatComesLater: before the event that made a connection a
// lookup does not find it, and behind it does; the other way round with its end.
func TestSeekKnowsNothingThatComesLater(t *testing.T) {
	for name, data := range recordings(t) {
		r, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		there := func(token mptcp.Token) bool {
			found, err := r.Lookup(t.Context(), "", []mptcp.Token{token})
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(found, func(c mptcp.Connection) bool { return c.Token == token })
		}
		asked := 0
		for batch := range r.Events() {
			for i := range batch {
				e := &batch[i]
				if e.Type != mptcp.EventCreated && e.Type != mptcp.EventClosed || dumped(t, r, e) {
					continue
				}
				asked++
				r.Seek(e.Time.Add(-time.Nanosecond))
				if there(e.Token) == (e.Type == mptcp.EventCreated) {
					t.Errorf("%s: before %v at %v: there is %v", name, e.Type, e.Time, there(e.Token))
				}
				r.Seek(e.Time)
				if there(e.Token) != (e.Type == mptcp.EventCreated) {
					t.Errorf("%s: behind %v at %v: there is %v", name, e.Type, e.Time, there(e.Token))
				}
			}
		}
		if asked == 0 {
			t.Errorf("%s: nothing was asked", name)
		}
	}
}

// dumped reports whether a dump saw before the event what it tells: it was not read at
// once.
func dumped(t *testing.T, r *Recording, e *mptcp.Event) bool {
	t.Helper()
	for _, s := range r.snapshots {
		if s.time.After(e.Time) {
			continue
		}
		all, err := s.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		has := slices.ContainsFunc(all.Connections, func(c mptcp.Connection) bool { return c.Token == e.Token })
		if e.Type == mptcp.EventCreated && has || !e.Time.After(s.until) {
			return true
		}
	}
	return e.Time.Before(r.snapshots[0].time)
}

// TestNextSnapshotGoesOn: each snapshot is later than the time that was sought.
func TestNextSnapshotGoesOn(t *testing.T) {
	for name, data := range recordings(t) {
		r, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		taken := 1 // the first
		for at := r.NextSnapshot(); !at.IsZero(); at = r.NextSnapshot() {
			r.Seek(at)
			if next := r.NextSnapshot(); !next.IsZero() && !next.After(at) {
				t.Fatalf("%s: at %v the next is at %v", name, at, next)
			}
			if all, err := r.Snapshots(t.Context()); err != nil || len(all) != 1 || !all[0].Time.Equal(at) {
				t.Errorf("%s: %d snapshots at %v: %v", name, len(all), at, err)
			}
			taken++
		}
		if taken != len(r.snapshots) {
			t.Errorf("%s: %d snapshots of %d", name, taken, len(r.snapshots))
		}
	}
}
