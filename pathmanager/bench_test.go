package pathmanager

import (
	"context"
	"testing"
	"time"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/pace"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// drain reads n events of listeners in batches.
func drain(t testing.TB, l *Listener, n int) {
	labtest.NeedListenerEvents(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for batch, err := range l.Batches(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if n -= len(batch); n <= 0 {
			return
		}
	}
	t.Fatalf("%d events are missing", n)
}

// From the socket to the batch an event costs no allocation: a hundred times as
// many events cost no more of them.
func TestReceivingAllocatesNothingPerEvent(t *testing.T) {
	eachEngine(t, testReceivingAllocatesNothingPerEvent)
}

func testReceivingAllocatesNothingPerEvent(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: engine, Types: []mptcp.EventType{mptcp.EventListenerCreated}})
	fd, _ := mptcpListener(t, ns, anywhere)
	cost := func(n int) float64 {
		return testing.AllocsPerRun(5, func() {
			for range n {
				_ = unix.Listen(fd, 16)
			}
			drain(t, l, n)
		})
	}
	drain(t, l, 1)
	// The runtime may allocate as well, such as a thread on a host that does much else.
	few, many := cost(20), min(cost(2000), cost(2000), cost(2000))
	if many > few+2 {
		t.Errorf("%v allocations for 20 events, %v for 2000", few, many)
	}
}

// A load above the threshold is read in batches, and the first event after a
// pause at once.
func TestCoalescingGathersEvents(t *testing.T) { eachEngine(t, testCoalescingGathersEvents) }

func testCoalescingGathersEvents(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: engine})
	fd, _ := mptcpListener(t, ns, anywhere)
	ctx, cancel := context.WithTimeout(pace.With(t.Context(), pace.Pace{Coalesce: 50 * time.Millisecond}), patience)
	defer cancel()
	drain(t, l, 1)
	for {
		events, batches, took := loaded(t, ctx, l, fd)
		if events == loadEvents && batches <= events/4 {
			return
		}
		// On a host that does much else the load may have come in drops, with pauses.
		if events != loadEvents || took < 100*time.Millisecond || ctx.Err() != nil {
			t.Fatalf("%d events in %d batches, made within %v", events, batches, took)
		}
	}
}

// loadEvents is how many events loaded makes.
const loadEvents = 400

// loaded makes events at a high rate, and returns how many were read, in how many
// batches, and how long it took to make them.
func loaded(t *testing.T, ctx context.Context, l *Listener, fd int) (events, batches int, took time.Duration) {
	labtest.NeedListenerEvents(t)
	t.Helper()
	ended := make(chan time.Duration, 1)
	go func() {
		began := time.Now()
		for range loadEvents {
			_ = unix.Listen(fd, 16)
			for start := time.Now(); time.Since(start) < 20*time.Microsecond; {
				continue // a sleep takes a millisecond at least
			}
		}
		ended <- time.Since(began)
	}()
	for batch, err := range l.Batches(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		batches++
		if events += len(batch); events >= loadEvents {
			break
		}
	}
	return events, batches, <-ended
}

// BenchmarkDrain reads events that are queued already.
func BenchmarkDrain(b *testing.B) {
	for _, engine := range []Engine{EngineNetlink, EngineRing} {
		b.Run(engine.String(), func(b *testing.B) {
			needEngine(b, engine)
			ns := labtest.MPTCP(b)
			addAddresses(b, ns, first)
			l := listen(b, ns, &ListenConfig{Engine: engine})
			fd, _ := mptcpListener(b, ns, anywhere)
			drain(b, l, 1)
			const queued = 2048
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				relisten(b, fd, queued)
				b.StartTimer()
				drain(b, l, queued)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*queued), "ns/event")
		})
	}
}

// BenchmarkLimits is one request on a client that is open.
func BenchmarkLimits(b *testing.B) {
	ns := labtest.MPTCP(b)
	c := dial(b, ns)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Limits(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDial opens and closes a client, as a command that runs once does.
func BenchmarkDial(b *testing.B) {
	ns := labtest.MPTCP(b)
	err := ns.Do(func() error {
		for b.Loop() {
			c, err := Dial(nil)
			if err != nil {
				return err
			}
			if err := c.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
