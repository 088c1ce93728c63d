package pathmanager

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// Engines of tests: EngineAuto, when the listener has just moved to the ring, and when
// it did so long ago.
const (
	engineMoving = EngineRing + 1 + iota
	engineMoved
)

// listenMoved is Listen that knows the engines of tests.
func listenMoved(config *ListenConfig) (*Listener, error) {
	if config == nil || config.Engine != engineMoving && config.Engine != engineMoved {
		return Listen(config)
	}
	c := *config
	c.Engine = EngineAuto
	l, err := Listen(&c)
	if err != nil {
		return nil, err
	}
	if err := l.moveToRing(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.engine.(*ringEngine).strays.possible = config.Engine == engineMoving
	return l, nil
}

// unfiltered makes events pass by the ring into the socket, as those of a sender do
// that had passed the filter when the ring took its place. Any goroutine may call it.
func unfiltered(t *testing.T, l *Listener, produce func()) {
	t.Helper()
	if err := unix.SetsockoptInt(l.socket.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil {
		t.Error(err)
	}
	produce()
	if err := ringOf(t, l).ring.attach(l.socket.fd); err != nil {
		t.Error(err)
	}
}

// What is queued when the ring takes over comes before what is in the ring, nothing is
// missing, and nothing comes twice.
func TestMoveKeepsOrder(t *testing.T) {
	labtest.NeedListenerEvents(t)
	needEngine(t, EngineRing)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{slots: 16})
	var want []uint16
	announce := func(n int) {
		fd, addr := mptcpListener(t, ns, anywhere)
		relisten(t, fd, n-1)
		want = append(want, slices.Repeat([]uint16{addr.Port()}, n)...)
	}
	announce(100)
	if err := l.moveToRing(); err != nil {
		t.Fatal(err)
	}
	announce(100)
	unfiltered(t, l, func() {})
	var got []uint16
	take := func() {
		for batch, err := range l.Queued() {
			if err != nil {
				t.Fatal(err)
			}
			for i := range batch {
				got = append(got, batch[i].Sport)
			}
		}
	}
	take()
	unfiltered(t, l, func() { announce(3) })
	announce(3)
	take()
	if !slices.Equal(got, want) {
		t.Errorf("%d events, want %d, in this order:\n%d\n%d", len(got), len(want), got, want)
	}
	if l.Lost() != 0 || l.Refused() != 0 {
		t.Errorf("lost %d, refused %d", l.Lost(), l.Refused())
	}
}

// What comes to the socket long after the move, from a sender that was held up for as
// long, is not lost either, and wakes the reader.
func TestMoveWaitsForNobody(t *testing.T) {
	labtest.NeedListenerEvents(t)
	needEngine(t, EngineRing)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: engineMoved})
	fd, addr := mptcpListener(t, ns, anywhere)
	s := follow(t, l)
	if e := s.next(); e.Type != mptcp.EventListenerCreated {
		t.Fatalf("%+v", e)
	}
	var late sync.WaitGroup
	late.Go(func() {
		time.Sleep(50 * time.Millisecond) // the reader waits by now; if it does not, the test is as true
		unfiltered(t, l, func() { relisten(t, fd, 2) })
	})
	for range 2 {
		if e := s.next(); e.Type != mptcp.EventListenerCreated || e.Sport != addr.Port() {
			t.Errorf("%+v", e)
		}
	}
	late.Wait()
	relisten(t, fd, 1)
	if e := s.next(); e.Type != mptcp.EventListenerCreated {
		t.Errorf("%+v", e)
	}
	if l.Lost() != 0 || l.Refused() != 0 {
		t.Errorf("lost %d, refused %d", l.Lost(), l.Refused())
	}
}

// The losses of the queue before the move and of the ring after it are both reported, each
// at its place.
func TestMoveKeepsItsBooks(t *testing.T) {
	labtest.NeedListenerEvents(t)
	needEngine(t, EngineRing)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Buffer: 16 << 10 * moveShare})
	fd, _ := mptcpListener(t, ns, anywhere)
	relisten(t, fd, 999)
	before := l.Lost()
	if err := l.moveToRing(); err != nil {
		t.Fatal(err)
	}
	relisten(t, fd, 1000)
	after := l.Lost() - before
	if before == 0 || after == 0 {
		t.Fatalf("lost %d before the move and %d after it: the test needs both", before, after)
	}
	var seen uint64
	var losses []mark
	for batch, err := range l.Queued() {
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch {
			if batch[i].Type == mptcp.EventLost {
				losses = append(losses, mark{batch[i].Lost, int(seen)})
			} else {
				seen++
			}
		}
	}
	want := []mark{{before, 1000 - int(before)}, {after, 2000 - int(before+after)}}
	if seen+before+after != 2000 || !slices.Equal(losses, want) {
		t.Errorf("%d seen, losses %v, want %v", seen, losses, want)
	}
	if err := l.Close(); err != nil || l.Lost() != before+after {
		t.Errorf("after the end %d lost, %v", l.Lost(), err)
	}
}

// A listener moves by itself in the middle of a storm. It receives the same messages about
// the connections of that time as a listener that does not move.
func TestMoveInStorm(t *testing.T) {
	labtest.NeedListenerEvents(t)
	needEngine(t, EngineRing)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first, second)
	c := dial(t, ns)
	two := uint32(2)
	if err := c.SetLimits(t.Context(), LimitsUpdate{Subflows: &two, AddAddrAccepted: &two}); err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		var messages [2]map[mptcp.Token][][]byte
		var moving *Listener
		var readers sync.WaitGroup
		for i, engine := range []Engine{EngineNetlink, EngineAuto} {
			var all [][]byte
			l := listen(
				t,
				ns,
				&ListenConfig{Engine: engine, moveAfter: 2000, Tap: func(_ time.Time, _ int32, msg []byte) {
					all = append(all, slices.Clone(msg))
				}},
			)
			moving = l
			readers.Go(func() {
				for e, err := range l.Events(t.Context()) {
					if err != nil {
						t.Error(err)
					}
					if err != nil || e.Type == mptcp.EventListenerClosed {
						break
					}
				}
				messages[i] = byToken(t, all)
			})
		}
		fd, addr := mptcpListener(t, ns, anywhere)
		ctx, stop := context.WithCancel(t.Context())
		var storm sync.WaitGroup
		storm.Go(func() {
			for ctx.Err() == nil && moving.Engine() == EngineNetlink {
				for range 200 {
					_ = unix.Listen(fd, 16)
				}
			}
		})
		deadline := time.Now().Add(patience)
		for made := 0; made < 10 || moving.Engine() == EngineNetlink; made++ {
			p := connect(t, ns, fd, addr)
			p.talk()
			p.close()
			if time.Now().After(deadline) {
				t.Fatal("it does not move")
			}
		}
		stop()
		storm.Wait()
		_ = unix.Shutdown(fd, unix.SHUT_RDWR)
		readers.Wait()
		theirs := messages[1]
		for token, ours := range messages[0] {
			n := min(len(ours), len(theirs[token])) // what ends after the listener may be in one of them
			if token != 0 && (n < len(ours)-3 || !slices.EqualFunc(ours[:n], theirs[token][:n], slices.Equal)) {
				t.Errorf(
					"round %d, token %v: %d and %d messages, and not the same",
					round,
					token,
					len(ours),
					len(theirs[token]),
				)
			}
		}
		if a, b := len(messages[0][0]), len(theirs[0]); a != b {
			t.Errorf("round %d: %d and %d listener events", round, a, b)
		}
		if moving.Lost() != 0 || moving.Refused() != 0 {
			t.Errorf("round %d: lost %d, refused %d", round, moving.Lost(), moving.Refused())
		}
		_ = moving.Close()
	}
}

// Where the ring is not allowed, a storm changes nothing, and costs one attempt.
func TestNoMoveWithoutPrivilege(t *testing.T) {
	labtest.NeedListenerEvents(t)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	fd, _ := mptcpListener(t, ns, anywhere)
	err := ns.Do(func() error {
		if err := keepCapabilities(unix.CAP_NET_ADMIN); err != nil {
			return err
		}
		l, err := Listen(&ListenConfig{moveAfter: 100})
		if err != nil {
			return err
		}
		defer l.Close()
		if err := l.moveToRing(); !errors.Is(err, fs.ErrPermission) || l.Engine() != EngineNetlink {
			t.Errorf("without CAP_BPF: %v", err)
		}
		ctx, stop := context.WithTimeout(t.Context(), patience)
		defer stop()
		var storm sync.WaitGroup
		defer storm.Wait()
		storm.Go(func() {
			for ctx.Err() == nil && unix.Listen(fd, 16) == nil {
			}
		})
		for _, err := range l.Events(ctx) {
			if err != nil {
				return err
			}
			if !l.move.possible {
				stop()
			}
		}
		if l.move.possible || l.Engine() != EngineNetlink || l.Lost() != 0 {
			t.Errorf("possible %v, engine %s, lost %d", l.move.possible, l.Engine(), l.Lost())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Listeners that hear other namespaces too, and those that were told which engine to
// use, do not move.
func TestNoMoveUnasked(t *testing.T) {
	labtest.NeedListenerEvents(t)
	ns := labtest.MPTCP(t)
	for _, config := range []*ListenConfig{{Engine: EngineNetlink}, {AllNamespaces: true}} {
		if l := listen(t, ns, config); l.move.possible {
			t.Errorf("%+v may move", config)
		}
	}
	if l := listen(t, ns, nil); !l.move.possible {
		t.Error("by default it may not move")
	}
}
