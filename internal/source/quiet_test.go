package source_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"mptcpctl/counters"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// listening counts this process's sockets in the group of events: another one that
// watches all namespaces of the machine may have its own there.
func listening(t *testing.T, ns *lab.Namespace, group uint32) (n int) {
	t.Helper()
	own := ownSockets(t)
	err := ns.Do(func() error {
		sockets, err := counters.New("").NetlinkSockets()
		for _, s := range sockets {
			if s.Protocol == unix.NETLINK_GENERIC && slices.Contains(own, s.Inode) && s.Groups&(1<<(group-1)) != 0 {
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

// ownSockets returns the inodes of this process's sockets.
func ownSockets(t *testing.T) (inodes []uint32) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var inode uint32
		if to, err := os.Readlink(file); err == nil {
			if n, _ := fmt.Sscanf(to, "socket:[%d]", &inode); n == 1 {
				inodes = append(inodes, inode)
			}
		}
	}
	return inodes
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
	gather(t, ns, nil)
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
	dial(t, ns, &source.Config{Events: &pathmanager.ListenConfig{}})
	if n := listening(t, ns, group); n != 1 {
		t.Errorf("%d sockets listen where one should", n)
	}
}
