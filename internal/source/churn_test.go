package source_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for the kernel before it fails.
const patience = 60 * time.Second

// host makes a namespace with two addresses on its loopback link, of which the
// second one has an endpoint.
func host(t *testing.T) *lab.Namespace {
	t.Helper()
	ns := labtest.MPTCP(t)
	for _, a := range []string{"10.77.1.1/32", "10.77.2.1/32"} {
		if err := ns.AddAddress("lo", netip.MustParsePrefix(a)); err != nil {
			t.Fatal(err)
		}
	}
	manage(t, ns, func(pm *pathmanager.Client) error {
		return errors.Join(
			pm.SetLimits(t.Context(), pathmanager.LimitsUpdate{AddAddrAccepted: new(uint32(2)), Subflows: new(uint32(2))}),
			pm.AddEndpoint(t.Context(), mptcp.Endpoint{ID: 5, Address: netip.MustParseAddr("10.77.2.1"), Flags: mptcp.FlagSubflow}),
		)
	})
	return ns
}

func manage(t *testing.T, ns *lab.Namespace, f func(*pathmanager.Client) error) {
	t.Helper()
	err := ns.Do(func() error {
		pm, err := pathmanager.Dial(nil)
		if err != nil {
			return err
		}
		return errors.Join(f(pm), pm.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// dial opens a source in the namespace.
func dial(t *testing.T, ns *lab.Namespace, c *source.Config) *source.Host {
	t.Helper()
	var h *source.Host
	err := ns.Do(func() (err error) {
		h, err = source.Dial(c)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// await waits until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// stalling is a host whose reader stops now and then, so that its socket runs over.
type stalling struct{ *source.Host }

func (s stalling) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		for batch, err := range s.Host.Batches(ctx) {
			if !yield(batch, err) {
				return
			}
			if rand.IntN(8) == 0 {
				select {
				case <-time.After(time.Duration(rand.IntN(150)) * time.Millisecond):
				case <-ctx.Done():
				}
			}
		}
	}
}

// TestTrackerAgreesWithTheKernelAfterChurn runs trackers while connections come, get
// subflows and go in every way there is, and readers stall until events are lost.
// At the end each tracker knows what a dump says, and nothing else.
func TestTrackerAgreesWithTheKernelAfterChurn(t *testing.T) {
	const rounds = 3
	var lost uint64
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			ns := host(t)
			h := dial(t, ns, &source.Config{Events: &pathmanager.ListenConfig{Buffer: 16 << 10}})
			tracker := track.New(stalling{h}, nil)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- tracker.Run(ctx) }()
			kept := churn(t, ns)
			await(t, "the tracker to agree with the kernel", func() bool { return agrees(t, h, tracker) })
			if n := tracker.State().Len(); n < len(kept) {
				t.Errorf("%d connections are open, the tracker has %d", len(kept), n)
			}
			lost += tracker.State().Lost()
			for _, c := range kept {
				c.Close()
			}
			await(t, "the end of all connections", func() bool {
				return agrees(t, h, tracker) && tracker.State().Len() == 0
			})
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	if lost == 0 {
		t.Error("no events were lost: the readers did not stall enough to test that")
	}
}

// churn makes connections that come and go, and returns some that stay.
func churn(t *testing.T, ns *lab.Namespace) (kept []*lab.Conn) {
	t.Helper()
	s, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("0.0.0.0:7000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	until := time.Now().Add(1500 * time.Millisecond)
	var mu sync.Mutex
	var tasks sync.WaitGroup
	for worker := range 4 {
		tasks.Go(func() {
			for i := 0; time.Now().Before(until); i++ {
				c, err := lab.Connect(t.Context(), ns, netip.MustParseAddrPort("10.77.1.1:7000"), &lab.ConnectConfig{
					TCP: i%9 == 8, V6: i%5 == 4,
				})
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.Exchange(10); err != nil {
					t.Error(err)
				}
				switch {
				case i%16 == 3:
					mu.Lock()
					kept = append(kept, c)
					mu.Unlock()
				case (i+worker)%3 == 0:
					_ = c.Abort()
				default:
					c.Close()
				}
			}
		})
	}
	tasks.Wait()
	return kept
}

// agrees reports whether the tracker and two dumps, before and after, say the same.
func agrees(t *testing.T, h *source.Host, tracker *track.Tracker) bool {
	t.Helper()
	before := dumped(t, h)
	known := summary(slices.Collect(tracker.State().Connections()))
	return slices.Equal(before, known) && slices.Equal(before, dumped(t, h))
}

func dumped(t *testing.T, h *source.Host) []string {
	t.Helper()
	s, err := h.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return summary(track.Join(s))
}

// summary returns what must agree, in an order.
func summary(connections []mptcp.Connection) []string {
	var lines []string
	for _, c := range connections {
		line := fmt.Sprintf("%v %v>%v %v fallback %v", c.Token, c.Local, c.Remote, c.State, c.Fallback)
		var subflows []string
		for _, s := range c.Subflows {
			subflows = append(subflows, fmt.Sprintf(" [%v>%v %v:%v %v]", s.Local, s.Remote, s.LocalID, s.RemoteID, s.Initial))
		}
		slices.Sort(subflows)
		lines = append(lines, line+fmt.Sprint(subflows))
	}
	slices.Sort(lines)
	return lines
}

// TestForgedEventsChangeNothing: root of the namespace sends events to the group
// that say what a kernel's would. They are counted, and nobody believes them.
func TestForgedEventsChangeNothing(t *testing.T) {
	ns := host(t)
	h := dial(t, ns, &source.Config{Events: &pathmanager.ListenConfig{}})
	tracker := track.New(h, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go tracker.Run(ctx)
	s, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("0.0.0.0:7000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := lab.Connect(t.Context(), ns, netip.MustParseAddrPort("10.77.1.1:7000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exchange(10); err != nil {
		t.Fatal(err)
	}
	token, _ := c.Token()
	await(t, "the connection", func() bool { return agrees(t, h, tracker) && tracker.State().Len() == 2 })
	family := h.Listener().Family()
	const forged = 20
	for range forged / 2 {
		send(t, ns, family, mptcp.EventClosed, token)
		send(t, ns, family, mptcp.EventCreated, 0xdeadbeef)
	}
	await(t, "the refusals", func() bool { return h.Listener().Refused() == forged })
	// The number of events says nothing: the kernel's own for this connection may
	// arrive after the dump that knew it. What was told of it says all.
	for known := range tracker.State().All() {
		for _, d := range tracker.State().History(known.Key) {
			if d.Event.Type == mptcp.EventClosed {
				t.Errorf("a forged event was applied: %+v", d)
			}
		}
	}
	if _, believed := tracker.State().Find("", 0xdeadbeef); believed || tracker.State().Len() != 2 || !agrees(t, h, tracker) {
		t.Error("a forged event was believed")
	}
}

// send sends an event with a token to the group.
func send(t *testing.T, ns *lab.Namespace, f pathmanager.Family, typ mptcp.EventType, token mptcp.Token) {
	t.Helper()
	ne := binary.NativeEndian
	msg := ne.AppendUint32(nil, 28)
	msg = ne.AppendUint16(msg, f.ID)
	msg = append(msg, make([]byte, 10)...)            // flags, sequence number and port
	msg = append(msg, byte(typ), 1, 0, 0)             // generic netlink header
	msg = ne.AppendUint16(ne.AppendUint16(msg, 8), 1) // MPTCP_ATTR_TOKEN
	msg = ne.AppendUint32(msg, uint32(token))
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (f.Events - 1)})
	})
	if err != nil {
		t.Fatal(err)
	}
}
