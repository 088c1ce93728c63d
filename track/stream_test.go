package track

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mptcpctl/internal/pages"
	"mptcpctl/mptcp"
)

func created(n int) mptcp.Event {
	e := mptcp.Event{Type: mptcp.EventCreated, Fields: mptcp.FieldToken, Token: mptcp.Token(n)}
	setLocal(&e, ap("10.0.0.1:80"))
	setRemote(&e, ap("10.0.0.2:4000"))
	return e
}

func closed(n int) mptcp.Event {
	return mptcp.Event{Type: mptcp.EventClosed, Fields: mptcp.FieldToken, Token: mptcp.Token(n)}
}

// run starts a tracker over the kernel and returns what ends it and its error.
func run(t *testing.T, k *fakeKernel, c *Config) (*Tracker, func() error) {
	tracker := New(k, c)
	return tracker, start(t, tracker)
}

// start runs the tracker, and returns what ends it and its error.
func start(t *testing.T, tracker *Tracker) func() error {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tracker.Run(ctx) }()
	synctest.Wait()
	return func() error {
		cancel()
		return <-done
	}
}

func TestSlowReaderOfDeltasIsToldHowManyItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		tracker, stop := run(t, k, &Config{Reconcile: -1, Buffer: 3})
		stream := tracker.Deltas(t.Context())
		k.mu.Lock()
		for i := range 10 {
			k.emit(mptcp.Event{Type: 70, Fields: mptcp.FieldToken, Token: mptcp.Token(i)})
		}
		k.mu.Unlock()
		synctest.Wait()
		var got []int
		for d, err := range stream {
			if err != nil {
				t.Fatal(err)
			}
			if d.Kind == KindOverflow {
				got = append(got, -int(d.Event.Lost))
				break
			}
			got = append(got, int(d.Event.Token))
		}
		if want := []int{0, 1, 2, -7}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if tracker.State().Events() != 10 {
			t.Errorf("the tracker waited: %d events", tracker.State().Events())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// The marker stands where the deltas are missing, not at the end.
func TestOverflowKeepsItsPlace(t *testing.T) {
	q := &queue{limit: 3, ready: make(chan struct{}, 1)}
	push := func(n int) { q.push(&Delta{Event: mptcp.Event{Token: mptcp.Token(n)}}) }
	for n := range 5 {
		push(n)
	}
	var got []int
	pop := func() {
		if d, more, _ := q.pop(); more && d.Kind == KindOverflow {
			got = append(got, -int(d.Event.Lost))
		} else if more {
			got = append(got, int(d.Event.Token))
		}
	}
	pop()
	pop()
	push(5)
	push(6)
	for range 5 {
		pop()
	}
	if want := []int{0, 1, 2, -2, 5, -1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What is delivered and what is counted as missing add up, whatever the rhythm.
func FuzzOverflowAddsUp(f *testing.F) {
	f.Add([]byte{5, 0, 3, 9, 1, 0, 0, 200})
	f.Fuzz(func(t *testing.T, rhythm []byte) {
		q := &queue{limit: 4, ready: make(chan struct{}, 1)}
		var pushed, seen, last uint64
		take := func() bool {
			d, more, _ := q.pop()
			switch {
			case !more:
				return false
			case d.Kind == KindOverflow:
				seen += d.Event.Lost
			default:
				if seen++; uint64(d.Event.Token) != seen {
					t.Fatalf("delta %d at place %d, after %d", d.Event.Token, seen, last)
				}
			}
			last = seen
			return true
		}
		for _, r := range rhythm {
			for range r % 8 {
				pushed++
				q.push(&Delta{Event: mptcp.Event{Token: mptcp.Token(pushed)}})
			}
			for range r / 32 {
				take()
			}
		}
		for take() {
		}
		if seen != pushed {
			t.Errorf("%d of %d", seen, pushed)
		}
	})
}

func TestStatesDoNotChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		tracker, stop := run(t, k, &Config{Reconcile: -1})
		var states []*State
		for i := range 50 {
			changed := tracker.Changed()
			k.mu.Lock()
			e := created(i)
			c := connection(e.Token, "10.0.0.1:80", "10.0.0.2:4000")
			k.namespace("").connections[e.Token] = &c
			k.emit(e)
			if i >= 10 {
				delete(k.namespace("").connections, mptcp.Token(i-10))
				k.emit(closed(i - 10))
			}
			k.mu.Unlock()
			<-changed
			time.Sleep(time.Second)
			synctest.Wait()
			states = append(states, tracker.State())
		}
		for i, s := range states {
			if want := min(i+1, 10); s.Len() != want {
				t.Fatalf("state %d has %d connections, want %d", i, s.Len(), want)
			}
			for n := range 50 {
				_, live := s.Find("", mptcp.Token(n))
				if want := n <= i && n > i-10; live != want {
					t.Fatalf("state %d: connection %d live %v, want %v", i, n, live, want)
				}
				c, known := s.Lookup(mptcp.Key{Token: mptcp.Token(n)})
				if want := n <= i; known != want || known && c.Token != mptcp.Token(n) {
					t.Fatalf("state %d: connection %d known %v, want %v", i, n, known, want)
				}
				if h := s.History(mptcp.Key{Token: mptcp.Token(n)}); n <= i-10 &&
					(len(h) != 2 || h[1].Name != "CLOSED") ||
					n > i-10 && n <= i && len(h) != 1 {
					t.Fatalf("state %d: history of %d: %v", i, n, h)
				}
			}
		}
		if last := tracker.State(); last != states[len(states)-1] {
			t.Error("two states without a change in between")
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRunReturnsTheErrorOfTheFirstDumpAndOfTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		k := newFakeKernel()
		k.fail = broken
		if err := New(k, nil).Run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("first dump: %v", err)
		}
		k = newFakeKernel()
		tracker, stop := run(t, k, nil)
		stream := tracker.Deltas(t.Context())
		k.mu.Lock()
		k.err, k.closed = broken, true
		k.emit()
		k.mu.Unlock()
		var last error
		for _, err := range stream {
			last = err
		}
		if !errors.Is(last, broken) {
			t.Errorf("stream of deltas: %v", last)
		}
		if err := stop(); !errors.Is(err, broken) {
			t.Errorf("Run: %v", err)
		}
		for range tracker.Deltas(t.Context()) {
			t.Log("a stream that begins after the end, ends")
		}
	})
}

// A recording ends: what was open is settled before Run returns.
func TestEndOfARecordingSettlesWhatIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		k.emit(created(1), closed(1), created(2), closed(2), created(3))
		c := connection(3, "10.0.0.1:80", "10.0.0.2:4000")
		k.namespace("").connections[3] = &c
		k.closed = true
		tracker := New(k, nil)
		if err := tracker.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := tracker.State()
		if s.Len() != 1 || s.Counts().Connections != 1 {
			t.Errorf("%d connections, want the one that was not closed", s.Len())
		}
	})
}

func TestFailedDumpIsShownAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		k := newFakeKernel()
		tracker, stop := run(t, k, &Config{Reconcile: -1})
		k.mu.Lock()
		k.fail = broken
		c := connection(1, "10.0.0.1:80", "10.0.0.2:4000")
		k.namespace("").connections[1] = &c
		k.lost = 5
		k.emit()
		k.mu.Unlock()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if s := tracker.State(); !errors.Is(s.Err(), broken) || s.Generation() != 0 || s.Lost() != 5 {
			t.Errorf("error %v, generation %d, lost %d", s.Err(), s.Generation(), s.Lost())
		}
		k.mu.Lock()
		k.fail = nil
		k.mu.Unlock()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if s := tracker.State(); s.Err() != nil || s.Generation() != 1 || s.Len() != 1 {
			t.Errorf("error %v, generation %d, %d connections", s.Err(), s.Generation(), s.Len())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A storm of losses must not make dumps follow each other without a pause.
func TestDumpsPauseInAStormOfLosses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		tracker, stop := run(t, k, &Config{Reconcile: -1})
		k.mu.Lock()
		k.dumpTime = 100 * time.Millisecond
		k.dumps = 0
		k.mu.Unlock()
		for range 100 {
			k.mu.Lock()
			k.lost++
			k.emit()
			k.mu.Unlock()
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		k.mu.Lock()
		dumps := k.dumps
		k.mu.Unlock()
		if dumps > 25 || dumps < 10 {
			t.Errorf("%d dumps of 100 ms in 10 s of losses", dumps)
		}
		if s := tracker.State(); s.Lost() != 100 {
			t.Errorf("lost %d", s.Lost())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestLookReadsFiguresInEveryPeriodAndProcessesAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		n := k.namespace("")
		c := connection(1, "10.0.0.1:80", "10.0.0.2:4000")
		c.Inode = 77
		n.connections[1] = &c
		n.subflows = []SubflowRow{row(1, "10.0.0.1:80", "10.0.0.2:4000", "M", 0, 0)}
		tracker, stop := run(t, k, &Config{Reconcile: -1})
		tracker.SetProcesses(map[uint32][]mptcp.Process{77: {{PID: 5, Name: "nc"}}})
		tracker.Look([]mptcp.Key{{Token: 1}, {Token: 2}})
		for sent := range uint64(3) {
			k.mu.Lock()
			n.subflows[0].BytesSent, c.BytesSent = 100*sent, 100*sent
			k.mu.Unlock()
			time.Sleep(1500 * time.Millisecond)
			synctest.Wait()
			got, _ := tracker.State().Find("", 1)
			if got.Connection.BytesSent != 100*sent || got.Connection.Subflows[0].BytesSent != 100*sent {
				t.Errorf(
					"sent %d, shown %d and %d",
					100*sent,
					got.Connection.BytesSent,
					got.Connection.Subflows[0].BytesSent,
				)
			}
			if p := got.Connection.Processes; len(p) != 1 || p[0].PID != 5 {
				t.Errorf("processes %v", p)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A day's worth of connections comes and goes: what is held afterwards is what the
// bounds allow, and not a trace of the rest.
func TestChurnLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 50
		k := newFakeKernel()
		tracker, stop := run(t, k, &Config{Reconcile: -1, Keep: bound, HistoryTotal: 1000})
		const batches, each = 200, 250
		for i := range batches {
			k.mu.Lock()
			for j := range each {
				n := i*each + j + 1
				e, s := created(n), created(n)
				s.Type = mptcp.EventSubflowEstablished
				setLocal(&s, ap("[fd00::7]:7"))
				setRemote(&s, ap("[fd00::8]:8"))
				k.emit(e, s)
				if j%10 != 0 {
					k.emit(closed(n)) // the others are never closed, and looked up when unknown tokens turn up
				}
			}
			k.mu.Unlock()
			time.Sleep(time.Second)
			synctest.Wait()
		}
		k.mu.Lock()
		k.lost = 1
		k.emit()
		k.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		s := tracker.State()
		if s.Events() != batches*each*2+batches*each*9/10 || s.Len() != 0 {
			t.Errorf("%d events, %d connections", s.Events(), s.Len())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		table := tracker.table
		if n := table.slots.Used() + table.writable.joins.Used() + table.writable.v6.Used() + table.writable.locals.Used() + len(tracker.checks.heap) + len(tracker.checks.by); n > 0 {
			t.Errorf("%d records are left", n)
		}
		if held := len(table.core) + len(table.joins) + len(table.v6) + len(table.locals); held > 4*(batches*each/10/pages.Len+3) ||
			table.indexSize > 4*pages.Len {
			t.Errorf("%d pages, index of %d", held, table.indexSize)
		}
		if len(tracker.archive.ended) > bound || len(tracker.archive.last) > bound ||
			len(tracker.archive.closed) > 2*bound ||
			len(tracker.archive.finals.by) > recentKept ||
			len(tracker.archive.unsettled.by) > recentKept {
			t.Errorf(
				"%d ended, %d by token, %d subflows",
				len(tracker.archive.ended),
				len(tracker.archive.last),
				len(tracker.archive.closed),
			)
		}
		if len(tracker.delivery.history.pages) > 1000/pages.Len+1 || len(tracker.delivery.history.notes) > notesKept {
			t.Errorf("%d pages of history", len(tracker.delivery.history.pages))
		}
	})
}

// Last figures are those of the subflow that they came with, where its addresses are
// used again.
func TestRecentForgets(t *testing.T) {
	var r recent[int]
	k := tuple{"", ap("10.0.0.1:1"), ap("10.0.0.2:80")}
	now := time.Now()
	r.put(k, 1, now)
	r.put(k, 2, now)
	if v, ok := r.take(k, now); v != 2 || !ok {
		t.Errorf("%d %v, want the newest", v, ok)
	}
	if _, ok := r.take(k, now); ok {
		t.Error("taken twice")
	}
	r.put(k, 3, now)
	if _, ok := r.take(k, now.Add(recentTime)); ok {
		t.Error("figures of long ago")
	}
	r.put(k, 4, now)
	for i := range recentKept - 1 {
		r.put(tuple{"", netip.AddrPortFrom(k.local.Addr(), uint16(2+i)), k.remote}, 5, now)
	}
	if v, ok := r.take(k, now); v != 4 || !ok {
		t.Errorf("%d %v, dropped before its turn", v, ok)
	}
	for i := range 5 * recentKept {
		r.put(tuple{"", netip.AddrPortFrom(k.local.Addr(), uint16(2+i)), k.remote}, 6, now)
	}
	if len(r.by) != recentKept || len(r.order)-r.head != recentKept || len(r.order) > 3*recentKept {
		t.Errorf("%d values, %d of %d in order", len(r.by), len(r.order)-r.head, len(r.order))
	}
}

// A look at a connection that the kernel no longer knows leaves its CLOSED the time to
// come.
func TestLookLeavesClosedItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newFakeKernel()
		c := connection(1, "10.0.1.1:4000", "10.0.1.2:80")
		k.namespace("").connections[1] = &c
		tracker, stop := run(t, k, nil)
		deltas := tracker.Deltas(t.Context())
		synctest.Wait()
		tracker.Look([]mptcp.Key{{Token: 1}})
		time.Sleep(4900 * time.Millisecond)
		k.mu.Lock()
		delete(k.namespace("").connections, 1)
		k.mu.Unlock()
		time.Sleep(400 * time.Millisecond)
		k.mu.Lock()
		k.emit(mptcp.Event{Type: mptcp.EventClosed, Token: 1, Fields: mptcp.FieldToken})
		k.mu.Unlock()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		var names []string
		for d := range deltas {
			names = append(names, d.Name)
		}
		if !slices.Equal(names, []string{"CLOSED"}) {
			t.Errorf("told %v, want CLOSED alone", names)
		}
	})
}

// A namespace that cannot be read is as it was, until it can be read again. The others go on,
// also where it cannot be read from the start.
func TestUnreadNamespaceIsKeptAndReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		k := newFakeKernel()
		put := func(netns string, token mptcp.Token) {
			c := connection(token, "10.0.0.1:80", "10.0.0.2:4000")
			c.Netns = netns
			k.namespace(netns).connections[token] = &c
		}
		put("a", 1)
		put("b", 2)
		k.namespace("never")
		k.unread = map[string]error{"never": broken}
		tracker, stop := run(t, k, &Config{Reconcile: time.Second})
		check := func(what string, want error, namespaces int, tokens ...mptcp.Token) {
			t.Helper()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			s := tracker.State()
			var live []mptcp.Token
			for c := range s.Connections() {
				live = append(live, c.Token)
			}
			slices.Sort(live)
			if !errors.Is(s.Err(), want) || len(s.Namespaces()) != namespaces || !slices.Equal(live, tokens) {
				t.Errorf("%s: error %v, %d namespaces, connections %v", what, s.Err(), len(s.Namespaces()), live)
			}
		}
		change := func(unread map[string]error, f func()) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.unread = unread
			f()
		}
		check("from the start", broken, 3, 1, 2) // that of the reader is the third
		change(map[string]error{"a": broken}, func() {
			delete(k.namespace("a").connections, 1)
			delete(k.namespace("b").connections, 2)
			put("b", 3)
		})
		check("later", broken, 4, 1, 3)
		change(nil, func() {})
		check("at the end", nil, 4, 3)
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
