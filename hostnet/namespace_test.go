package hostnet_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"mptcpctl/hostnet"
	"mptcpctl/internal/lab/labtest"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Whatever threads the runtime picks, none stays behind in another namespace, the
// process' first one least of all.
func TestDoLeavesTheProcessWhereItWas(t *testing.T) {
	ns := labtest.Namespace(t)
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			err := ns.Do(func() error {
				if unix.Gettid() == unix.Getpid() {
					t.Error("on the process' first thread")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	after, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if after != before {
		t.Errorf("the process was in %s and is in %s", before, after)
	}
	here, err := hostnet.CurrentNamespace()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if own, err := os.Readlink("/proc/thread-self/ns/net"); err != nil || own != before {
		t.Errorf("this thread is in %s, %v", own, err)
	}
}

// A namespace that is closed while others enter it is entered, or refused, and never
// mistaken for another whose descriptor has the same number.
func TestNamespaceIsClosedUnderItsUsers(t *testing.T) {
	inode := func() (uint64, error) {
		var stat unix.Stat_t
		err := unix.Stat("/proc/thread-self/ns/net", &stat)
		return stat.Ino, err
	}
	for range 20 {
		ns := labtest.Namespace(t)
		want, err := ns.Inode()
		if err != nil {
			t.Fatal(err)
		}
		var users sync.WaitGroup
		for range 8 {
			users.Go(func() {
				for {
					var got uint64
					err := ns.Do(func() (err error) {
						got, err = inode()
						return err
					})
					switch {
					case errors.Is(err, os.ErrClosed):
						return
					case err != nil || got != want:
						t.Errorf("in namespace %d, want %d: %v", got, want, err)
						return
					}
				}
			})
		}
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
		if other, err := hostnet.CurrentNamespace(); err == nil { // with the same number, likely
			defer other.Close()
		}
		users.Wait()
	}
}

// A closed reader tells so, rather than to ask where the thread happens to be.
func TestClosedReader(t *testing.T) {
	var r *hostnet.Reader
	err := labtest.Namespace(t).Do(func() (err error) {
		r, err = hostnet.New(nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	here, err := hostnet.CurrentNamespace()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	_, links := r.Links(t.Context())
	_, route := r.Lookup(t.Context(), hostnet.LookupRequest{Dst: netip.MustParseAddr("127.0.0.1")})
	_, _, id := r.NSID(here)
	for what, err := range map[string]error{"links": links, "route": route, "id": id, "close": r.Close()} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestNamespaces(t *testing.T) {
	ns := labtest.Namespace(t)
	inode, err := ns.Inode()
	if err != nil {
		t.Fatal(err)
	}
	named := t.TempDir()
	if err := os.Symlink(ns.Path(), filepath.Join(named, "blue")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(named, "left-over"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	child := labtest.Hold(t, ns.Start)

	list, err := hostnet.NamespaceSearch{Named: []string{named, filepath.Join(named, "absent")}}.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !list.Namespaces[0].Current || list.Namespaces[0].PID == 0 {
		t.Errorf("first %+v", list.Namespaces[0])
	}
	i := slices.IndexFunc(list.Namespaces, func(n hostnet.NamedNamespace) bool { return n.Inode == inode })
	if i < 0 {
		t.Fatalf("not in %+v", list.Namespaces)
	}
	if n := list.Namespaces[i]; n.Name != "blue" || n.PID != child || n.Current || n.String() != "blue" ||
		n.Process == "" {
		t.Errorf("%+v", n)
	}
	seen := map[uint64]bool{}
	for _, n := range list.Namespaces {
		if n.Name == "left-over" || seen[n.Inode] {
			t.Errorf("listed twice or no namespace: %+v", n)
		}
		seen[n.Inode] = true
	}

	// Without a name it is known by its process.
	list, err = hostnet.NamespaceSearch{Named: []string{}}.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i = slices.IndexFunc(list.Namespaces, func(n hostnet.NamedNamespace) bool { return n.Inode == inode })
	if i < 0 {
		t.Fatalf("not in %+v", list.Namespaces)
	}
	n := list.Namespaces[i]
	if n.String() != fmt.Sprintf("pid %d", child) {
		t.Errorf("%+v is called %q", n, n)
	}
	again, err := hostnet.OpenNamespace(n.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, err := again.Inode(); err != nil || got != inode {
		t.Errorf("its path leads to %d, %v, want %d", got, err, inode)
	}
	if _, err := hostnet.Namespaces(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNSID(t *testing.T) {
	here, there := labtest.Namespace(t), labtest.Namespace(t)
	r := reader(t, here)
	if id, ok, err := r.NSID(there.Namespace); err != nil || ok {
		t.Fatalf("a namespace that was not named to this one has the id %d, %v, %v", id, ok, err)
	}
	do(t, here, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		return h.SetNetNsIdByFd(there.Fd(), 0) // 0 is an id like any other
	})
	if id, ok, err := r.NSID(there.Namespace); err != nil || !ok || id != 0 {
		t.Errorf("id %d, %v, %v, want 0", id, ok, err)
	}
	if _, _, err := r.NSIDOfProcess(os.Getpid()); err != nil {
		t.Error(err)
	}
	if _, _, err := r.NSIDOfProcess(1 << 30); !errors.Is(err, unix.ESRCH) && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such process: %v", err)
	}
}
