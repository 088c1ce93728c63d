package pathmanager

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// eachEngine runs the test with each engine that this process may use.
func eachEngine(t *testing.T, test func(t *testing.T, engine Engine)) {
	for _, engine := range []Engine{EngineNetlink, EngineRing, engineMoving, engineMoved} {
		t.Run(
			map[Engine]string{engineMoving: "moving", engineMoved: "moved"}[engine]+engine.String(),
			func(t *testing.T) {
				needEngine(t, engine)
				test(t, engine)
			},
		)
	}
}

// needEngine skips the test where the engine cannot run: BPF is for the initial
// user namespace, and an ordinary user's tests run in another. There nothing is
// missing; for root a kernel without it is a reason to fail where none may be.
func needEngine(t testing.TB, engine Engine) {
	t.Helper()
	if engine == EngineNetlink {
		return
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if f := strings.Fields(string(users)); !slices.Equal(f, []string{"0", "0", "4294967295"}) {
		t.Skip("the ring engine needs the initial user namespace")
	}
	ns := labtest.MPTCP(t)
	err = ns.Do(func() error {
		l, err := Listen(&ListenConfig{Engine: EngineRing, Buffer: 1})
		if err != nil {
			return err
		}
		return l.Close()
	})
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, mptcp.ErrNotSupported):
		labtest.Skip(t, "%v", err)
	case err != nil:
		t.Fatal(err)
	}
}

// smallBuffer holds far less than a thousand events.
func smallBuffer(engine Engine) int {
	switch engine {
	case EngineRing:
		return 16 << 10
	case engineMoving, engineMoved:
		return 16 << 10 * moveShare
	}
	return 100 << 10
}

// Both engines say the same of the same events.
func TestEnginesAgree(t *testing.T) {
	labtest.NeedListenerEvents(t)
	needEngine(t, EngineRing)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first, second)
	c := dial(t, ns)
	two := uint32(2)
	if err := c.SetLimits(t.Context(), LimitsUpdate{Subflows: &two, AddAddrAccepted: &two}); err != nil {
		t.Fatal(err)
	}
	var messages [2][][]byte
	var followed [2]*stream
	for i, engine := range []Engine{EngineNetlink, EngineRing} {
		followed[i] = follow(
			t,
			listen(t, ns, &ListenConfig{Engine: engine, Tap: func(_ time.Time, _ int32, msg []byte) {
				messages[i] = append(messages[i], slices.Clone(msg))
			}}),
		)
	}
	fd, addr := mptcpListener(t, ns, anywhere)
	for range 20 {
		p := connect(t, ns, fd, addr)
		p.talk()
		if err := c.AddEndpoint(t.Context(), mptcp.Endpoint{ID: 4, Address: second, Flags: mptcp.FlagSubflow}); err != nil {
			t.Fatal(err)
		}
		if err := c.RemoveEndpoint(t.Context(), 4); err != nil {
			t.Fatal(err)
		}
		p.close()
	}
	_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	for _, s := range followed {
		s.find(mptcp.EventListenerClosed)
	}
	// Two processors that send at once may come to the two listeners in different
	// order: it is one for each connection.
	theirs := byToken(t, messages[1])
	for token, ours := range byToken(t, messages[0]) {
		n := min(len(ours), len(theirs[token])) // what ends after the listener may be in one of them
		if n < len(ours)-3 || !slices.EqualFunc(ours[:n], theirs[token][:n], slices.Equal) {
			t.Errorf("token %v: %d and %d messages, and not the same:\n%x\n%x", token, len(ours),
				len(theirs[token]), ours, theirs[token])
		}
	}
	if len(messages[0]) < 100 || len(theirs) < 40 {
		t.Errorf("%d messages, of %d connections: the test makes too few", len(messages[0]), len(theirs))
	}
}

// byToken puts messages together by the connection that they tell of.
func byToken(t *testing.T, messages [][]byte) map[mptcp.Token][][]byte {
	t.Helper()
	all := map[mptcp.Token][][]byte{}
	for _, msg := range messages {
		var e mptcp.Event
		if err := DecodeEvent(msg, &e); err != nil {
			t.Fatal(err)
		}
		all[e.Token] = append(all[e.Token], msg)
	}
	return all
}

// ringOf returns the ring engine of the listener.
func ringOf(t testing.TB, l *Listener) *ringEngine {
	t.Helper()
	e, ok := l.engine.(*ringEngine)
	if !ok {
		t.Fatalf("the engine is %v", l.Engine())
	}
	return e
}

// The filter of the ring drops by the sender that the kernel knows: a message that
// is the kernel's to the last byte, but from a process, changes nothing.
func TestRingSeesTheSender(t *testing.T) {
	needEngine(t, EngineRing)
	ns := labtest.MPTCP(t)
	l := listen(t, ns, &ListenConfig{Engine: EngineRing})
	self, err := unix.Getsockname(l.socket.fd)
	if err != nil {
		t.Fatal(err)
	}
	inside(t, ns, func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, forge(l.socket.family), 0,
			&unix.SockaddrNetlink{Pid: self.(*unix.SockaddrNetlink).Pid, Groups: l.socket.group.mask()})
	})
	if l.Refused() != 1 || ringOf(t, l).ring.pending() {
		t.Errorf("refused %d, in the ring: %v", l.Refused(), ringOf(t, l).ring.pending())
	}
	if err := l.Close(); err != nil || l.Refused() != 1 {
		t.Errorf("after the end refused %d, %v", l.Refused(), err)
	}
}

// Where the kernel's structures are others than the program knows, it is not used.
func TestRingProvesItsOffsets(t *testing.T) {
	needEngine(t, EngineRing)
	ns := labtest.MPTCP(t)
	r := ringOf(t, listen(t, ns, &ListenConfig{Engine: EngineRing, Buffer: 1})).ring
	// The second proof finds the count of the first: as if another than ours had come.
	if err := r.prove(); !errors.Is(err, mptcp.ErrNotSupported) {
		t.Errorf("a proof that failed is %v", err)
	}
}

// A loss stands exactly where it happened: between the last event that had room,
// and the first that had room again.
func TestRingPlacesLossExactly(t *testing.T) {
	labtest.NeedListenerEvents(t)
	needEngine(t, EngineRing)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: EngineRing, Buffer: 4 << 10, slots: 8})
	fd, addr := mptcpListener(t, ns, anywhere)
	relisten(t, fd, 199)
	fits := 200 - int(l.Lost())
	s := follow(t, l)
	for range 9 { // the second batch makes room for eight
		s.next()
	}
	_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	for i := 9; i < fits; i++ {
		if e := s.next(); e.Type != mptcp.EventListenerCreated || e.Sport != addr.Port() {
			t.Fatalf("event %d of %d that fit is %v", i, fits, e.Type)
		}
	}
	if e := s.next(); e.Type != mptcp.EventLost || e.Lost != uint64(200-fits) {
		t.Errorf("%+v, want %d lost", e, 200-fits)
	}
	if e := s.next(); e.Type != mptcp.EventListenerClosed {
		t.Errorf("after the loss %v", e.Type)
	}
}

// An engine that cannot do what it should returns an error, and leaves nothing behind.
func TestRingRefusals(t *testing.T) {
	ns := labtest.MPTCP(t)
	inside(t, ns, func() error {
		_, err := Listen(&ListenConfig{Engine: EngineRing, AllNamespaces: true})
		if !errors.Is(err, mptcp.ErrNotSupported) {
			t.Errorf("all namespaces: %v", err)
		}
		return nil
	})
	err := ns.Do(func() error {
		if err := keepCapabilities(unix.CAP_NET_ADMIN); err != nil {
			return err
		}
		_, err := Listen(&ListenConfig{Engine: EngineRing})
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "CAP_BPF") {
			t.Errorf("without CAP_BPF: %v", err)
		}
		l, err := Listen(nil)
		if err != nil {
			return err
		}
		return l.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEngineNames(t *testing.T) {
	for _, e := range []Engine{EngineAuto, EngineNetlink, EngineRing} {
		if got, err := ParseEngine(e.String()); got != e || err != nil {
			t.Errorf("%v: %v, %v", e, got, err)
		}
	}
	if _, err := ParseEngine("engine 3"); err == nil || Engine(3).String() != "engine 3" {
		t.Error("engine 3 is none")
	}
}

// Other listeners of the group get every message whole, also those that wake the ring's
// reader. The kernel serves the youngest listener first, with the message itself, and
// the others with copies: what a filter cuts off for the first is missing in them all.
func TestRingLeavesOthersAlone(t *testing.T) {
	labtest.NeedListenerEvents(t)
	needEngine(t, EngineRing)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	fd, _ := mptcpListener(t, ns, anywhere)
	other := listen(t, ns, nil)
	l := listen(t, ns, &ListenConfig{Engine: EngineRing})
	const events = 20
	seen := make(chan mptcp.EventType, events)
	var reader sync.WaitGroup
	reader.Go(func() {
		for e, err := range l.Events(t.Context()) {
			if err != nil {
				break
			}
			seen <- e.Type
		}
	})
	for range events {
		time.Sleep(2 * time.Millisecond) // the reader waits
		relisten(t, fd, 1)
		select {
		case typ := <-seen:
			if typ != mptcp.EventListenerCreated {
				t.Error(typ)
			}
		case <-time.After(patience):
			t.Fatal("the reader sleeps on")
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	reader.Wait()
	if ringOf(t, l).strays.possible {
		t.Error("what woke the reader is expected once more")
	}
	got := 0
	for batch, err := range other.Queued() {
		if err != nil {
			t.Fatal(err)
		}
		got += len(batch)
	}
	if got != events || other.Refused() != 0 || l.Lost() != 0 || l.Refused() != 0 {
		t.Errorf("the other listener got %d events of %d and refused %d; the ring lost %d and refused %d",
			got, events, other.Refused(), l.Lost(), l.Refused())
	}
}

// The event that a reader asked for comes to the socket, those after it to the ring:
// they keep their order, and none comes twice, or late.
func TestAskedEventKeepsItsPlace(t *testing.T) {
	labtest.NeedListenerEvents(t)
	needEngine(t, EngineRing)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: EngineRing, slots: 4})
	for round := range 10 {
		for range l.Queued() {
			t.Fatal("there was nothing")
		}
		var want []uint16
		for range 8 {
			_, addr := mptcpListener(t, ns, anywhere)
			want = append(want, addr.Port())
		}
		var got []uint16
		for batch, err := range l.Queued() {
			if err != nil {
				t.Fatal(err)
			}
			for i := range batch {
				got = append(got, batch[i].Sport)
			}
		}
		if !slices.Equal(got, want) || ringOf(t, l).strays.possible {
			t.Errorf("round %d: listeners of %d, want %d; more is expected in the socket: %v", round, got, want,
				ringOf(t, l).strays.possible)
		}
	}
}

// When the event that was asked for does not come, the others are not held up, and it
// does not cost a look into the socket for ever.
func TestAskedEventMayFailToCome(t *testing.T) {
	labtest.NeedListenerEvents(t)
	needEngine(t, EngineRing)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: EngineRing})
	for range l.Queued() {
		t.Fatal("there was nothing")
	}
	// Somebody has taken the request, and is on his way.
	atomic.StoreUint64(ringOf(t, l).ring.waiting(), 0)
	fd, _ := mptcpListener(t, ns, anywhere)
	relisten(t, fd, 2)
	take := func() (n int) {
		for batch, err := range l.Queued() {
			if err != nil {
				t.Fatal(err)
			}
			n += len(batch)
		}
		return n
	}
	if n := take(); n != 3 || !ringOf(t, l).strays.possible {
		t.Errorf("%d events of 3; the one that is missing is expected: %v", n, ringOf(t, l).strays.possible)
	}
	ringOf(t, l).strays.since = ringOf(t, l).strays.since.Add(-strayTime)
	if n := take(); n != 0 || ringOf(t, l).strays.possible {
		t.Errorf("%d events; it is expected for ever: %v", n, ringOf(t, l).strays.possible)
	}
}
