package live_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"mptcpctl/counters"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/owners"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// listening counts this process's sockets in the group of events: another one that
// watches all namespaces of the machine may have its own there.
func listening(t *testing.T, ns *lab.Namespace, group uint32) (n int) {
	t.Helper()
	own, err := owners.SocketsOf(0)
	if err != nil {
		t.Fatal(err)
	}
	err = ns.Do(func() error {
		sockets, err := counters.New("").NetlinkSockets()
		for _, s := range sockets {
			if s.Protocol == unix.NETLINK_GENERIC && own[s.Inode] && s.Groups&(1<<(group-1)) != 0 {
				n++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestReadersDoNotListen: who only looks costs the kernel nothing afterwards. One
// listener makes it build messages in all namespaces, and lets the userspace path
// manager take what it would otherwise refuse.
func TestReadersDoNotListen(t *testing.T) {
	ns := labtest.MPTCP(t)
	var group uint32
	manage(t, ns, func(pm *pathmanager.Client) error { group = pm.Family().Events; return nil })
	if group == 0 || group > 32 {
		labtest.Skip(t, "the kernel shows the first 32 groups only")
	}
	h := dial(t, ns, nil)
	factsOf(t, ns, nil)
	token := connected(t, ns)
	if _, err := h.Snapshot(t.Context()); err != nil {
		t.Error(err)
	}
	for range 3 {
		if _, err := h.Sample(t.Context(), "", []mptcp.Token{token}); err != nil {
			t.Error(err)
		}
		if n := listening(t, ns, group); n != 0 {
			t.Fatalf("%d sockets listen to events, and nobody asked for any", n)
		}
	}
	dial(t, ns, &live.Config{Events: &pathmanager.ListenConfig{}})
	if n := listening(t, ns, group); n != 1 {
		t.Errorf("%d sockets listen where one should", n)
	}
}
