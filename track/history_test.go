package track

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mptcpctl/mptcp"
)

func TestHistoryKeepsWhatADeltaSays(t *testing.T) {
	h, tracker := newHistory(10), New(newFakeKernel(), nil)
	key := mptcp.Key{Netns: "blue", Token: 7, Instance: 2}
	sub := row(7, "[fd00::1]:5", "[fd00::2]:80", "j", 3, 4).Subflow
	r := record{Connection: mptcp.Connection{Token: 7, Netns: "blue"}}
	e := created(7)
	e.Netns, e.Time, e.Error, e.Backup, e.ServerSide, e.IfIndex = "blue", time.Unix(5, 6), 111, 1, 1, 9
	e.ResetReason, e.ResetFlags, e.Flags = 6, 1, mptcp.EventFlagServerSide
	mapped := created(7)
	mapped.Netns, mapped.Time = "blue", time.Unix(7, 8)
	setLocal(&mapped, ap("[::ffff:10.0.0.1]:80"))
	want := []Delta{
		{Name: "CREATED", Key: key, Event: e},
		{Name: "CREATED", Key: key, Event: mapped},
		{
			Kind:       KindFallback,
			Name:       "FALLBACK",
			Key:        key,
			Event:      tracker.eventOf(&r, nil),
			Cause:      "DssFallback",
			Evidence:   []string{"one", "two"},
			Confidence: Likely,
		},
		{
			Kind:       KindSubflowSilent,
			Name:       "SF_SILENT",
			Key:        key,
			Event:      tracker.eventOf(&r, &sub),
			Evidence:   []string{"three"},
			Confidence: Certain,
		},
	}
	newest := uint32(0)
	for i := range want {
		newest = h.add(&want[i], newest)
	}
	past := h.freeze()
	got := past.deltas(key, newest, 100)
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if got := past.deltas(key, newest, 2); len(got) != 2 || got[1].Name != "SF_SILENT" {
		t.Errorf("the last two are %v", got)
	}
	if got := past.deltas(mptcp.Key{Token: 8}, newest, 2); len(got) != 0 {
		t.Errorf("a foreign connection has %v", got)
	}
}

// Two connections share a ring of eight: what was written over is not shown, nor
// what took its place, and a frozen history stays.
func TestHistoryRingForgetsTheOldest(t *testing.T) {
	h := newHistory(8)
	var newest [2]uint32
	add := func(token mptcp.Token, n int) {
		d := Delta{Key: mptcp.Key{Token: token}, Evidence: []string{fmt.Sprint(n)}, Kind: KindFallback}
		newest[token] = h.add(&d, newest[token])
	}
	read := func(p past, token mptcp.Token, from uint32) (out string) {
		for _, d := range p.deltas(mptcp.Key{Token: token}, from, 100) {
			out += d.Evidence[0] + " "
		}
		return out
	}
	for n := range 3 {
		add(0, n)
		add(1, n)
	}
	photo, then := h.freeze(), newest
	for n := 3; n < 10; n++ {
		add(1, n)
	}
	if got := read(h.view(), 0, newest[0]); got != "" {
		t.Errorf("the first has %q, all of it was written over", got)
	}
	if got := read(h.view(), 1, newest[1]); got != "2 3 4 5 6 7 8 9 " {
		t.Errorf("the second has %q", got)
	}
	for token := range then {
		if got := read(photo, mptcp.Token(token), then[token]); got != "0 1 2 " {
			t.Errorf("the frozen history of %d is %q", token, got)
		}
	}
}

// Notes are fewer than entries: an entry whose note was written over has none, and
// not that of another.
func TestHistoryNotesAreBounded(t *testing.T) {
	h := newHistory(3 * notesKept)
	newest := uint32(0)
	key := mptcp.Key{Token: 1}
	for n := range notesKept + 5 {
		newest = h.add(&Delta{Key: key, Kind: KindFallback, Cause: fmt.Sprint(n)}, newest)
		if n == notesKept {
			h.freeze()
		}
	}
	past := h.view()
	got := past.deltas(key, newest, 3*notesKept)
	for n, d := range got {
		want := fmt.Sprint(n)
		if n < 5 {
			want = ""
		}
		if d.Cause != want {
			t.Fatalf("entry %d has the cause %q, want %q", n, d.Cause, want)
		}
	}
}
