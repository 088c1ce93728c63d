package pathmanager

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/pace"
	"mptcpctl/mptcp"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// The events received and those lost add up, and the loss stands where it happened.
func TestLossIsExact(t *testing.T) { eachEngine(t, testLossIsExact) }

func testLossIsExact(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	fd, _ := mptcpListener(t, ns, anywhere)
	for _, slots := range []int{1, 16, receiveSlots} {
		l := listen(t, ns, &ListenConfig{Engine: engine, Buffer: smallBuffer(engine), slots: slots})
		const produced, later = 1000, 5
		relisten(t, fd, produced)
		lost := l.Lost()
		if lost == 0 || lost >= produced {
			t.Fatalf("%d of %d lost: the test needs some", lost, produced)
		}
		s := follow(t, l)
		before := s.until(mptcp.EventLost)
		if got := uint64(len(before)-1) + before[len(before)-1].Lost; got != produced {
			t.Errorf(
				"%d slots: %d events and %d lost, produced %d",
				slots,
				len(before)-1,
				before[len(before)-1].Lost,
				produced,
			)
		}
		if got := before[len(before)-1].Lost; got != lost || l.Lost() != lost {
			t.Errorf("%d slots: lost %d in the stream, %d and %d by the counter", slots, got, lost, l.Lost())
		}
		relisten(t, fd, later)
		for range later {
			if e := s.next(); e.Type != mptcp.EventListenerCreated {
				t.Errorf("%d slots: after the loss %v", slots, e.Type)
			}
		}
	}
}

// Queued gives all events that have come, and the losses, and does not wait.
func TestQueuedIsAllThatCame(t *testing.T) { eachEngine(t, testQueuedIsAllThatCame) }

func testQueuedIsAllThatCame(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	fd, _ := mptcpListener(t, ns, anywhere)
	l := listen(t, ns, &ListenConfig{Engine: engine, Buffer: smallBuffer(engine), slots: 16})
	for _, produced := range []uint64{0, 1, 16, 100, 1000} {
		relisten(t, fd, int(produced))
		before := l.Lost()
		var events, lost uint64
		for batch, err := range l.Queued() {
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range batch {
				if e.Type == mptcp.EventLost {
					lost += e.Lost
				} else {
					events++
				}
			}
		}
		if events+lost != produced || l.Lost() != before || produced == 1000 && lost == 0 {
			t.Errorf("%d events and %d lost, produced %d", events, lost, produced)
		}
	}
	// What a loop over events left behind comes first.
	relisten(t, fd, 10)
	for range l.Events(t.Context()) {
		break
	}
	n := 0
	for batch := range l.Queued() {
		n += len(batch)
	}
	if n != 9 {
		t.Errorf("%d events after the first of 10", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range l.Queued() {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

// After an overrun events arrive as soon as there is room, not only when all that
// was queued before has been read.
func TestOverrunDoesNotCloseTheQueue(t *testing.T) { eachEngine(t, testOverrunDoesNotCloseTheQueue) }

func testOverrunDoesNotCloseTheQueue(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	fd, _ := mptcpListener(t, ns, anywhere)
	l := listen(t, ns, &ListenConfig{Engine: engine, Buffer: smallBuffer(engine), slots: 1})
	relisten(t, fd, 1000)
	lost := l.Lost()
	s := follow(t, l)
	for range 20 {
		s.next()
	}
	relisten(t, fd, 10)
	if got := l.Lost(); got != lost || lost == 0 {
		t.Errorf("%d lost with room for more, %d before", got, lost)
	}
}

// Under a load that overruns the buffer again and again the books stay exact.
func TestLossIsExactUnderLoad(t *testing.T) { eachEngine(t, testLossIsExactUnderLoad) }

func testLossIsExactUnderLoad(t *testing.T, engine Engine) {
	labtest.NeedListenerEvents(t)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	fd, _ := mptcpListener(t, ns, anywhere)
	l := listen(t, ns, &ListenConfig{Engine: engine, Buffer: 4 << 10})
	const produced = 50_000
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range produced {
			_ = unix.Listen(fd, 16)
		}
		_ = unix.Shutdown(fd, unix.SHUT_RDWR) // LISTENER_CLOSED
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var events, lost uint64
	marks := 0
	for e, err := range l.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == mptcp.EventLost {
			lost += e.Lost
			marks++
		} else {
			events++
		}
		if events+lost >= produced+1 {
			break
		}
	}
	<-ended
	if events+lost != produced+1 || lost != l.Lost() {
		t.Errorf("%d events and %d lost (%d by the counter) in %d marks, produced %d", events, lost, l.Lost(),
			marks, produced+1)
	}
}

// A message that does not fit is counted, and the next of its size fits.
func TestMessageThatDoesNotFitIsLost(t *testing.T) { eachEngine(t, testMessageThatDoesNotFitIsLost) }

func testMessageThatDoesNotFitIsLost(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: engine, size: 24})
	s := follow(t, l)
	fd, _ := heardListener(t, ns, anywhere)
	if e := s.next(); e.Type != mptcp.EventLost || e.Lost != 1 || l.Lost() != 1 {
		t.Errorf("%+v, lost %d", e, l.Lost())
	}
	if engine != EngineNetlink {
		return // its longest message is fixed
	}
	relisten(t, fd, 1)
	if e := s.next(); e.Type != mptcp.EventListenerCreated {
		t.Errorf("%+v", e)
	}
}

// What the filter of another socket cut off, which the kernel serves before us, is lost,
// and nothing that anybody forged.
func TestMessageThatAnotherCutsIsLost(t *testing.T) { eachEngine(t, testMessageThatAnotherCutsIsLost) }

func testMessageThatAnotherCutsIsLost(t *testing.T, engine Engine) {
	labtest.NeedListenerEvents(t)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: engine})
	other := listen(t, ns, nil)
	cut := []unix.SockFilter{{Code: bpfReturn, K: nlmsg.HeaderSize - 1}}
	if err := unix.SetsockoptSockFprog(other.socket.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: 1, Filter: &cut[0]}); err != nil {
		t.Fatal(err)
	}
	fd, _ := mptcpListener(t, ns, anywhere)
	relisten(t, fd, 2)
	time.AfterFunc(20*time.Millisecond, func() { _ = unix.Shutdown(fd, unix.SHUT_RDWR) }) // when the reader waits
	s := follow(t, l)
	for i := range 4 {
		if e := s.next(); e.Type != mptcp.EventLost || e.Lost != 1 {
			t.Errorf("event %d: %+v, want LOST 1", i, e)
		}
	}
	if l.Lost() != 4 || l.Refused() != 0 {
		t.Errorf("lost %d, refused %d", l.Lost(), l.Refused())
	}
}

// The end of the context ends the iteration promptly, waiting or not, and the
// listener can be read again; no goroutine stays behind.
func TestCancellation(t *testing.T) { eachEngine(t, testCancellation) }

func testCancellation(t *testing.T, engine Engine) {
	defer labtest.NoLeaks(t, goleak.IgnoreCurrent())
	for procs := 1; procs <= 2; procs++ {
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			ns := labtest.MPTCP(t)
			addAddresses(t, ns, first)
			l := listen(t, ns, &ListenConfig{Engine: engine})
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Millisecond)
				for e, err := range l.Events(ctx) {
					t.Errorf("%v %v", e.Type, err)
				}
				cancel()
			}
			fd, _ := mptcpListener(t, ns, anywhere)
			relisten(t, fd, 9)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			n := 0
			for _, err := range l.Events(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n == 10 {
					cancel()
				}
			}
			if n != 10 {
				t.Errorf("%d events after cancellations, want 10", n)
			}
			for range l.Events(ctx) {
				t.Error("an event with a context that has ended")
			}
			_ = l.Close()
		}()
	}
}

// Events that waited because nobody read them say so: their time is that of the
// reading. Those that are read as they come do not.
func TestLateEventsAreMarked(t *testing.T) { eachEngine(t, testLateEventsAreMarked) }

func testLateEventsAreMarked(t *testing.T, engine Engine) {
	labtest.NeedListenerEvents(t)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	began := time.Now()
	l := listen(t, ns, &ListenConfig{Engine: engine, slots: 4})
	fd, _ := mptcpListener(t, ns, anywhere)
	relisten(t, fd, 9) // several batches
	time.Sleep(2 * lateFrom)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	n := 0
	for e, err := range l.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n <= 10 {
			if e.Late < 2*lateFrom || e.Late > time.Since(began)+lateFrom {
				t.Errorf("event %d: late by %v, and the listener is %v old", n, e.Late, time.Since(began))
			}
			if n == 10 { // the reader is away
				relisten(t, fd, 1)
				time.Sleep(2 * lateFrom)
			}
			continue
		}
		if n == 11 && e.Late < 2*lateFrom {
			t.Errorf("late by %v after %v without a look", e.Late, 2*lateFrom)
		}
		if n > 11 && e.Late == 0 {
			return
		}
		go func() { _ = unix.Listen(fd, 16) }() // on a busy host an event may be late indeed
	}
	t.Error("each event is late")
}

// Other goroutines run while a listener waits and while it is busy, even on one
// processor.
func TestOthersRunOnOneProcessor(t *testing.T) { eachEngine(t, testOthersRunOnOneProcessor) }

func testOthersRunOnOneProcessor(t *testing.T, engine Engine) {
	labtest.NeedListenerEvents(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: engine})
	fd, _ := mptcpListener(t, ns, anywhere)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var turns atomic.Int64
	go func() {
		for turns.Load() < 200 && ctx.Err() == nil {
			_ = unix.Listen(fd, 16)
			turns.Add(1)
			runtime.Gosched()
		}
	}()
	n := 0
	for _, err := range l.Events(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 201 {
			break
		}
	}
	if n != 201 {
		t.Errorf("%d events, the other goroutine had %d turns", n, turns.Load())
	}
}

// A program that writes the events to a pipe learns without an event that nobody reads the
// pipe any more.
func TestOutputWithoutReaderEndsIteration(t *testing.T) {
	eachEngine(t, testOutputWithoutReaderEndsIteration)
}

func testOutputWithoutReaderEndsIteration(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	fd, _ := mptcpListener(t, ns, anywhere)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	for range 2 {
		l := listen(t, ns, &ListenConfig{Engine: engine})
		relisten(t, fd, 1)
		events := 0
		for _, err := range l.Events(pace.With(t.Context(), pace.Pace{Output: w})) {
			if err != nil {
				t.Error(err)
			}
			events++
			r.Close() // the second listener begins where nobody reads
		}
		if events != 1 {
			t.Errorf("%d events, want 1", events)
		}
	}
}

func TestCloseEndsIteration(t *testing.T) { eachEngine(t, testCloseEndsIteration) }

func testCloseEndsIteration(t *testing.T, engine Engine) {
	labtest.NeedListenerEvents(t)
	defer labtest.NoLeaks(t, goleak.IgnoreCurrent())
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: engine})
	started := make(chan struct{})
	ended := make(chan error)
	go func() {
		var last error
		for _, err := range l.Batches(context.Background()) {
			if last = err; err == nil {
				close(started)
			}
		}
		ended <- last
	}()
	heardListener(t, ns, anywhere)
	<-started
	for _, err := range l.Batches(t.Context()) {
		if err == nil {
			t.Error("two iterations at a time")
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("the iteration ended with %v", err)
	}
	for _, err := range l.Events(t.Context()) {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
	if err := l.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// Close from within the loop is no deadlock.
func TestCloseWithinIteration(t *testing.T) { eachEngine(t, testCloseWithinIteration) }

func testCloseWithinIteration(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: engine})
	heardListener(t, ns, anywhere)
	var last error
	for _, err := range l.Events(t.Context()) {
		if last = err; err == nil {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if !errors.Is(last, os.ErrClosed) {
		t.Errorf("%v", last)
	}
}

// A few large messages of others fill the queue. A loss behind them is reported too.
func TestLossBehindForgedMessages(t *testing.T) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	fd, _ := mptcpListener(t, ns, anywhere)
	l := listen(t, ns, &ListenConfig{Buffer: 256 << 10})
	inside(t, ns, func() error {
		from, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
		if err != nil {
			return err
		}
		defer unix.Close(from)
		if err := unix.SetsockoptInt(from, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20); err != nil {
			return err
		}
		// The large ones first, so that no room is left between them.
		for size := 200 << 10; size > 8<<10; size /= 2 {
			for range 4 {
				msg := append(forge(l.socket.family), make([]byte, size)...)
				if err := unix.Sendto(from, msg, 0, &unix.SockaddrNetlink{Groups: l.socket.group.mask()}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	const produced = 500
	relisten(t, fd, produced)
	if l.Lost() == 0 {
		t.Fatal("nothing was lost: the test needs some")
	}
	seen, lost := uint64(0), uint64(0)
	for batch, err := range l.Queued() {
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch {
			if lost += batch[i].Lost; batch[i].Type == mptcp.EventListenerCreated {
				seen++
			}
		}
	}
	if l.Refused() == 0 || seen+lost < produced || lost != l.Lost() {
		t.Errorf("%d seen, %d lost in the stream, %d by the counter, of %d; %d refused", seen, lost, l.Lost(),
			produced, l.Refused())
	}
}
