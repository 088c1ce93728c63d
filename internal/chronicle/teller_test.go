package chronicle

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// model is a kernel that holds what a test puts into it.
type model struct {
	mu          sync.Mutex
	connections []mptcp.Connection
	subflows    []track.SubflowRow
	endpoints   []mptcp.Endpoint
	counters    track.Counters
	batches     chan []mptcp.Event
}

func (m *model) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case b := <-m.batches:
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

func (m *model) Snapshots(context.Context) ([]track.Snapshot, error) {
	s, _ := m.Namespace(context.Background(), "")
	return []track.Snapshot{*s}, nil
}

func (m *model) Namespace(context.Context, string) (*track.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &track.Snapshot{
		Time: time.Now(), PathManager: "kernel", Connections: slices.Clone(m.connections), Subflows: slices.Clone(m.subflows),
		Links:     []track.LinkFact{{Index: 2, Name: "eth\x1b0", Up: true, Carrier: true}},
		Addresses: []track.AddressFact{{Addr: netip.MustParseAddr("10.0.0.1"), IfIndex: 2}},
		Endpoints: slices.Clone(m.endpoints), Limits: mptcp.Limits{Subflows: 2},
	}, nil
}

func (m *model) Lookup(_ context.Context, _ string, tokens []mptcp.Token) (found []mptcp.Connection, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.connections {
		if slices.Contains(tokens, c.Token) {
			found = append(found, c)
		}
	}
	return found, nil
}

func (m *model) Sample(_ context.Context, _ string, tokens []mptcp.Token) (rows []track.SubflowRow, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.subflows {
		if slices.Contains(tokens, r.Token) {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func (m *model) Counters(context.Context, string) (track.Counters, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counters, nil
}

// told parses lines and checks their numbers.
func told(t *testing.T, text []byte, books *Books) (lines []Line) {
	t.Helper()
	for line := range bytes.Lines(text) {
		l, err := Parse(line)
		if err == nil && !json.Valid(line) {
			t.Errorf("no JSON: %s", line)
		}
		if err == nil {
			err = books.Add(&l)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if bytes.ContainsFunc(line[:len(line)-1], func(r rune) bool { return r < ' ' }) {
			t.Errorf("control characters in %q", line)
		}
		lines = append(lines, l)
	}
	return lines
}

func kinds(lines []Line) string {
	var words []string
	for i := range lines {
		var object struct{ Change, How string }
		_ = json.Unmarshal(lines[i].Object, &object)
		words = append(words, strings.TrimSpace(strings.Join([]string{string(lines[i].Kind), object.Change, object.How}, " ")))
	}
	return strings.Join(words, ", ")
}

// TestTellerTellsALife follows a connection from its first event to its end.
func TestTellerTellsALife(t *testing.T) {
	m := &model{batches: make(chan []mptcp.Event), counters: track.Counters{"MPTCPRetrans": 7}}
	tracker := track.New(m, &track.Config{Connections: true, Reconcile: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	deltas := make(chan track.Delta, 100)
	stream := tracker.Deltas(ctx)
	go func() {
		for d, err := range stream {
			if err == nil {
				deltas <- d
			}
		}
	}()
	go tracker.Run(ctx)
	await.True(t, "the first state", func() bool { return len(tracker.State().Namespaces()) > 0 })

	var books Books
	teller := NewTeller(&Config{Host: "host", Kernel: "6.18"}, 41)
	lines := told(t, teller.Begin(nil, tracker.State()), &books)
	if got := kinds(lines); got != "begin, host" || lines[0].Seq != 42 {
		t.Fatalf("a file begins with %s, number %d", got, lines[0].Seq)
	}

	token := mptcp.Token(0x63c070d2)
	local, remote := netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.2:443")
	e := mptcp.Event{
		Type: mptcp.EventCreated, Token: token, Time: time.Now(), Source: local.Addr(), Destination: remote.Addr(),
		Sport: 4000, Dport: 443,
		Fields: mptcp.FieldToken | mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport,
	}
	m.mu.Lock()
	m.connections = []mptcp.Connection{{Token: token, Local: local, Remote: remote, State: mptcp.StateEstablished, Pair: mptcp.NewPair(1, 2)}}
	m.subflows = []track.SubflowRow{{Token: token, Subflow: mptcp.Subflow{
		Local: local, Remote: remote, Initial: true, State: mptcp.SubflowEstablished, BytesSent: 1000,
	}}}
	m.mu.Unlock()
	m.batches <- []mptcp.Event{e}
	first := <-deltas
	lines = told(t, teller.Delta(nil, &first), &books)
	if got := kinds(lines); got != "event" || !bytes.Contains(lines[0].Object, []byte(`"event":"CREATED","token":"63c070d2"`)) {
		t.Fatalf("%s: %s", got, lines[0].Object)
	}
	var looks string
	await.True(t, "that the connection is seen", func() bool {
		looks += kinds(told(t, teller.Look(nil, tracker.State(), time.Now()), &books))
		return looks != ""
	})
	looks += kinds(told(t, teller.Look(nil, tracker.State(), time.Now()), &books))
	if looks != "connection seen" {
		t.Fatalf("looks: %s", looks)
	}
	if got := kinds(told(t, teller.Minute(nil, tracker.State()), &books)); !strings.HasPrefix(got, "counters") && got != "" {
		t.Fatalf("a minute: %s", got)
	}

	closed := e
	closed.Type = mptcp.EventClosed
	m.mu.Lock()
	m.connections, m.subflows = nil, nil
	m.endpoints = []mptcp.Endpoint{{ID: 3, Address: netip.MustParseAddr("10.0.0.1"), Flags: mptcp.FlagSubflow}}
	m.mu.Unlock()
	closed.Time = time.Now().Add(-time.Minute) // long enough ago that its figures are the last ones
	m.batches <- []mptcp.Event{closed}
	var all string
	await.True(t, "the end", func() bool {
		all += kinds(told(t, teller.Look(nil, tracker.State(), time.Now()), &books)) + ";"
		return strings.Contains(all, "connection ended closed") && strings.Contains(all, "host")
	})
	if strings.Count(all, "ended") != 1 || strings.Count(all, "host") != 1 {
		t.Errorf("the end is told as %s", all)
	}
	if got := kinds(told(t, teller.Stop(nil, time.Now()), &books)); got != "stop" {
		t.Errorf("the stop: %s", got)
	}
	if books.First != 42 || books.Last != teller.Last() || books.Missing+books.Lost > 0 {
		t.Errorf("%+v", books)
	}
}

func TestFindingsComeAndGo(t *testing.T) {
	teller := NewTeller(&Config{}, 0)
	var books Books
	at := time.Now()
	one := Finding{"D01", json.RawMessage(`{"rule":"D01"}`)}
	for i, c := range []struct {
		list []Finding
		want string
	}{
		{nil, ""},
		{[]Finding{one}, "finding came"},
		{[]Finding{one}, ""},
		{[]Finding{{"D02", json.RawMessage(`{}`)}}, "finding came, finding went"},
		{nil, "finding went"},
	} {
		if got := kinds(told(t, teller.Findings(nil, at, c.list), &books)); got != c.want {
			t.Errorf("look %d: %q, want %q", i, got, c.want)
		}
	}
}

// TestBusySecondsAreSummed has more events in a second than are written in full.
func TestBusySecondsAreSummed(t *testing.T) {
	teller := NewTeller(&Config{Busy: 10}, 0)
	var books Books
	at := time.Now()
	var text []byte
	for range 100 {
		text = teller.Delta(text, &track.Delta{Name: "CREATED", Event: mptcp.Event{Type: mptcp.EventCreated, Time: at}})
	}
	text = teller.Delta(text, &track.Delta{Name: "FALLBACK", Kind: track.KindFallback, Event: mptcp.Event{Time: at}})
	text = teller.Delta(text, &track.Delta{Kind: track.KindOverflow, Event: mptcp.Event{Time: at, Lost: 5}})
	text = teller.Minute(text, track.NewState(at, nil))
	lines := told(t, text, &books)
	if len(lines) != 13 || books.Lost != 5 || books.Missing != 0 || !strings.HasSuffix(kinds(lines), "event, lost, summary") ||
		!bytes.Contains(text, []byte(`"summary":{"events":{"CREATED":90}}`)) {
		t.Errorf("%s, %+v", kinds(lines), books)
	}
}
