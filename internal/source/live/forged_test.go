package live_test

import (
	"fmt"
	"net/netip"
	"testing"

	"mptcpctl/hostnet"
	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"

	"golang.org/x/sys/unix"
)

// connected makes a connection in the namespace, whose both ends stay open.
func connected(t *testing.T, ns *lab.Namespace) mptcp.Token {
	t.Helper()
	s, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:7000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c, err := lab.Connect(t.Context(), ns, s.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Exchange(10); err != nil {
		t.Fatal(err)
	}
	token, ok := c.Token()
	if !ok {
		t.Fatal("a connection without a token")
	}
	return token
}

// checkUnmoved fails the test if the tracker believed a forged event: both ends of
// the connection are there, and nothing was told of them that says otherwise. The
// number of events says nothing: the kernel's own for this connection may arrive
// after the dump that knew it.
func checkUnmoved(t *testing.T, s *track.State, netns string) {
	t.Helper()
	for known := range s.All() {
		for _, d := range s.History(known.Key) {
			if d.Event.Type == mptcp.EventClosed {
				t.Errorf("a forged event was applied: %+v", d)
			}
		}
	}
	if _, believed := s.Find(netns, forgedToken); believed {
		t.Error("a connection that was forged")
	}
	if n := len(connectionsIn(s, netns)); n != 2 {
		t.Errorf("%d ends of connections, want 2", n)
	}
}

// TestForgedEventsChangeNothing: root of the namespace sends events to the group
// that say what a kernel's would. They are counted, and nobody believes them.
func TestForgedEventsChangeNothing(t *testing.T) {
	ns := host(t)
	h := dial(t, ns, &live.Config{Events: &pathmanager.ListenConfig{}})
	tracker := track.New(h, nil)
	stop := run(t, tracker)
	token := connected(t, ns)
	await.True(t, "the connection", func() bool { return agrees(t, h, tracker) && tracker.State().Len() == 2 })
	family := h.Listener().Family()
	const forged = 20
	err := ns.Do(func() error {
		to := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (family.Events - 1)}
		for range forged / 2 {
			if err := sendTo(to, forgery(family, mptcp.EventClosed, token)); err != nil {
				return err
			}
			if err := sendTo(to, forgery(family, mptcp.EventCreated, forgedToken)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	await.True(t, "the refusals", func() bool { return h.Listener().Refused() == forged })
	checkUnmoved(t, tracker.State(), "")
	await.True(t, "the kernel's state, no matter what was forged", func() bool { return agrees(t, h, tracker) })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestForgedEventsOfAContainerChangeNothing: root of a container, with a user and a
// network namespace of its own, sends events to the group, and to the listener
// where it sees it. Those who hear all namespaces get them, count them, and do not
// believe them.
func TestForgedEventsOfAContainerChangeNothing(t *testing.T) {
	for _, numbered := range []bool{true, false} {
		t.Run(fmt.Sprintf("numbered %v", numbered), func(t *testing.T) {
			const name = "container"
			w := newWorld(t)
			container := startForger(t, w.own, unix.CLONE_NEWNET)
			inside, err := hostnet.OpenNamespace(fmt.Sprintf("/proc/%d/ns/net", container.pid))
			if err != nil {
				t.Fatal(err)
			}
			defer inside.Close()
			if err := w.name(inside.Path(), name); err != nil {
				t.Fatal(err)
			}
			if numbered {
				if err := w.number(inside); err != nil {
					t.Fatal(err)
				}
			}
			hosts := w.dial(t, &pathmanager.ListenConfig{})
			tracker := track.New(hosts, nil)
			stop := run(t, tracker)
			token := connected(t, &lab.Namespace{Namespace: inside})
			await.True(t, "the connection", func() bool { return len(connectionsIn(tracker.State(), name)) == 2 })
			sent, refused, listeners := container.forge(
				t,
				dial(t, w.own, &live.Config{Events: &pathmanager.ListenConfig{}}).Listener().Family(),
				token,
			)
			if sent == 0 || refused != 0 || (listeners == 0) != numbered {
				t.Errorf("%d sent, %d refused by the kernel, %d listeners seen", sent, refused, listeners)
			}
			await.True(t, "the refusals", func() bool { return hosts.Refused() == uint64(sent) })
			checkUnmoved(t, tracker.State(), name)
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestForgedEventsOfAnotherUserNamespace: root of a child user namespace shares the
// network namespace, and has no power over it. The kernel refuses what it sends, or
// it is counted; nobody believes it.
func TestForgedEventsOfAnotherUserNamespace(t *testing.T) {
	ns := host(t)
	h := dial(t, ns, &live.Config{Events: &pathmanager.ListenConfig{}})
	tracker := track.New(h, nil)
	stop := run(t, tracker)
	token := connected(t, ns)
	await.True(t, "the connection", func() bool { return agrees(t, h, tracker) && tracker.State().Len() == 2 })
	sent, refused, listeners := startForger(t, ns, 0).forge(t, h.Listener().Family(), token)
	if sent+refused == 0 || listeners != 1 {
		t.Errorf("%d sent, %d refused by the kernel, %d listeners seen", sent, refused, listeners)
	}
	await.True(t, "the refusals", func() bool { return h.Listener().Refused() == uint64(sent) })
	checkUnmoved(t, tracker.State(), "")
	await.True(t, "the kernel's state, no matter what was forged", func() bool { return agrees(t, h, tracker) })
	if err := stop(); err != nil {
		t.Error(err)
	}
}
