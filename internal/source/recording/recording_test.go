package recording

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/pcapng"
	"mptcpctl/track"
)

// recordings returns the project's recordings.
func recordings(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/*/*.pcapng")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = data
	}
	return all
}

// TestTrackerFollowsRecordings: a tracker of a recording ends with what the last
// snapshot holds, having heard every event.
func TestTrackerFollowsRecordings(t *testing.T) {
	for name, data := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			r, err := Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
			defer cancel()
			tracker := track.New(r, nil)
			if err := tracker.Run(ctx); err != nil || ctx.Err() != nil {
				t.Fatal(err, ctx.Err())
			}
			state := tracker.State()
			if state.Events() != uint64(r.events) || state.Lost() != 0 {
				t.Errorf("%d events of %d, %d lost", state.Events(), r.events, state.Lost())
			}
			last, err := r.Views()[0].Snapshot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			want := track.Join(last)
			if state.Len() != len(want) {
				t.Errorf("%d connections at the end, want %d", state.Len(), len(want))
			}
			for _, c := range want {
				got, found := state.Find("", c.Token)
				if !found || len(got.Connection.Subflows) != len(c.Subflows) {
					t.Errorf(
						"%v: found %v with %d subflows, want %d",
						c.Token,
						found,
						len(got.Connection.Subflows),
						len(c.Subflows),
					)
				}
			}
			first, end := r.Span()
			for e := range state.Ended() {
				if at := e.At; at.Before(first) || at.After(end) {
					t.Errorf("%v ended at %v, outside of %v to %v", e.Key, at, first, end)
				}
			}
		})
	}
}

// TestRecordingWithoutAnEnd: a snapshot without its end does not count, events do.
func TestRecordingWithoutAnEnd(t *testing.T) {
	for name, data := range recordings(t) {
		whole, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		for cut := 1000; cut < len(data); cut += 997 {
			r, err := Parse(data[:cut])
			if err != nil {
				t.Fatalf("%s cut at %d: %v", name, cut, err)
			}
			if ends := bytes.Count(data[:cut-4], []byte(`{"fact":"end"}`)); len(r.snapshots) > ends ||
				len(r.snapshots) < ends-1 ||
				r.events > whole.events {
				t.Errorf("%s cut at %d: %d snapshots of %d, %d events", name, cut, len(r.snapshots), ends, r.events)
			}
		}
	}
}

// TestLargeFacts: what is too large for a packet that Wireshark takes is written in
// parts, and read as a whole.
func TestLargeFacts(t *testing.T) {
	for _, size := range []int{0, mostFact - 100, mostFact, 10 * mostFact} {
		want := Fact{Fact: FactFile, Path: "net/netstat", Text: strings.Repeat("\u00e4\"", size/4)}
		b := pcapng.AppendSection(nil, pcapng.Section{})
		for range 2 {
			b = pcapng.AppendInterface(b, pcapng.Interface{LinkType: pcapng.LinkTypeUser0})
		}
		var err error
		for _, f := range []Fact{{Fact: FactSnapshot}, want, {Fact: FactEnd}} {
			if b, err = AppendFactPacket(b, 1, time.Now(), &f); err != nil {
				t.Fatal(err)
			}
		}
		r := &Recording{named: map[string]*recordedSpace{}}
		allowance := NewAllowance(func() int64 { return int64(len(b)) })
		var file pcapng.File
		for p, err := range pcapng.Parse(b, &file) {
			if err != nil || len(p.Data) > 256<<10 {
				t.Fatalf("a packet of %d bytes, %v", len(p.Data), err)
			}
			if err := r.takeFact(p, r.space(""), allowance); err != nil {
				t.Fatal(err)
			}
		}
		if text, _ := r.snapshots[0].file(want.Path); len(r.snapshots) != 1 || text != want.Text {
			t.Errorf("a text of %d bytes is not read as it was written", len(want.Text))
		}
	}
}
