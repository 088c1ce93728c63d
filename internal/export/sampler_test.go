package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// crowd is a kernel with that many connections of two subflows, one for each of two
// devices, and runs a tracker over them.
func crowd(t testing.TB, connections int) *track.Tracker {
	t.Helper()
	f := newFixture()
	f.snapshot.Connections, f.snapshot.Subflows = nil, nil
	for i := range connections {
		var remote [4]byte
		binary.BigEndian.PutUint32(remote[:], 0x0b000000+uint32(i))
		c := mptcp.Connection{
			Token: mptcp.Token(i + 1), Family: mptcp.FamilyINET, Side: mptcp.SideServer, State: mptcp.StateEstablished,
			Local:  netip.MustParseAddrPort("10.0.0.1:443"),
			Remote: netip.AddrPortFrom(netip.AddrFrom4(remote), 50000), Cookie: uint64(i), Inode: uint32(i),
		}
		f.snapshot.Connections = append(f.snapshot.Connections, c)
		for k := range byte(2) {
			f.snapshot.Subflows = append(f.snapshot.Subflows, track.SubflowRow{
				Subflow: mptcp.Subflow{
					Local: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, k, 1}), 443), Remote: c.Remote,
					LocalID: mptcp.AddressID(k), State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished,
					FullyEstablished: true, RTTMicros: 3000, BytesSent: uint64(i), BytesReceived: 500, Inode: c.Inode,
				},
				Token: c.Token, HasToken: true, Join: k > 0,
			})
		}
	}
	tracker := track.New(f, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := tracker.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	for deadline := time.Now().Add(2 * time.Minute); tracker.State().Len() < connections; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d connections", tracker.State().Len(), connections)
		}
	}
	if n := tracker.State().Counts().Subflows; n != 2*connections {
		t.Fatalf("%d subflows of %d connections", n, connections)
	}
	return tracker
}

// TestSampleAllocatesNothingForASubflow: the memory that a sample takes does not depend
// on the number of subflows. It was 13,600 bytes for each of four labels of each.
func TestSampleAllocatesNothingForASubflow(t *testing.T) {
	allocated := func(connections int) float64 {
		tracker := crowd(t, connections)
		p := newSampler()
		state := tracker.State()
		p.add(state)
		return testing.AllocsPerRun(3, func() { p.add(state) })
	}
	few, many := allocated(10), allocated(4000)
	if many > few+100 {
		t.Errorf("%v allocations with 4,000 connections, %v with 10", many, few)
	}
}

func TestScrapeAllocatesNothingForASubflow(t *testing.T) {
	allocated := func(connections int) float64 {
		c := New(Config{Tracker: crowd(t, connections)})
		return testing.AllocsPerRun(3, func() {
			if err := c.Write(io.Discard); err != nil {
				t.Error(err)
			}
		})
	}
	few, many := allocated(10), allocated(4000)
	if many > few+200 {
		t.Errorf("%v allocations with 4,000 connections, %v with 10", many, few)
	}
}

// slowWriter takes nothing until it is released.
type slowWriter struct {
	entered, release chan struct{}
	bytes.Buffer
}

func (w *slowWriter) Write(b []byte) (int, error) {
	close(w.entered)
	<-w.release
	return w.Buffer.Write(b)
}

// TestNobodyWaitsForAScrape counts events and takes a sample while a scrape is under
// way: the scrape says what was true when it began.
func TestNobodyWaitsForAScrape(t *testing.T) {
	tracker := crowd(t, 10)
	c := New(Config{Tracker: tracker})
	event := track.Delta{Kind: track.KindEvent, Name: "CLOSED", Event: mptcp.Event{Type: mptcp.EventClosed}}
	c.count(&event)
	w := &slowWriter{entered: make(chan struct{}), release: make(chan struct{})}
	var scraping sync.WaitGroup
	scraping.Go(func() {
		if err := c.Write(w); err != nil {
			t.Error(err)
		}
	})
	<-w.entered
	c.count(&event)
	c.sample(tracker.State())
	close(w.release)
	scraping.Wait()
	const one = "mptcp_events_total{netns=\"\",event=\"CLOSED\"} 1\n"
	if text := w.String(); !strings.Contains(text, one) || strings.Contains(text, "mptcp_subflow_rtt_seconds") {
		t.Errorf("the scrape shows what came after it began:\n%s", text)
	}
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	const two = "mptcp_events_total{netns=\"\",event=\"CLOSED\"} 2\n"
	if text := b.String(); !strings.Contains(text, two) || !strings.Contains(text, "mptcp_subflow_rtt_seconds_count") {
		t.Errorf("the next scrape lacks what was counted meanwhile:\n%s", text)
	}
}

// TestScrapesAmongEvents lets the race detector look at all three at once.
func TestScrapesAmongEvents(t *testing.T) {
	tracker := crowd(t, 100)
	c := New(Config{Tracker: tracker})
	var running sync.WaitGroup
	event := track.Delta{Kind: track.KindEvent, Name: "CREATED", Event: mptcp.Event{Type: mptcp.EventCreated}}
	running.Go(func() {
		for range 2000 {
			c.count(&event)
		}
	})
	running.Go(func() {
		for range 50 {
			c.sample(tracker.State())
		}
	})
	for range 50 {
		if err := c.Write(io.Discard); err != nil {
			t.Error(err)
		}
	}
	running.Wait()
	if got := c.book.counts.events.series[labels{"", "CREATED"}]; got != 2000 {
		t.Errorf("%v events were counted, want 2000", got)
	}
}

// BenchmarkUpdate measures the processor time of one update of the metrics of 60,000
// connections with two subflows each: one sample and one scrape.
func BenchmarkUpdate(b *testing.B) {
	c := New(Config{Tracker: crowd(b, 60_000)})
	state := c.config.Tracker.State()
	c.sample(state)
	runtime.GC()
	for name, update := range map[string]func(){
		"sample": func() { c.sample(state) },
		"scrape": func() { _ = c.Write(io.Discard) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := usedProcessor(b)
			for b.Loop() {
				update()
			}
			b.ReportMetric(float64((usedProcessor(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

func usedProcessor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
