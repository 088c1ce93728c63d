package hostnet_test

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"testing"

	"mptcpctl/hostnet"
	"mptcpctl/internal/lab/labtest"

	"golang.org/x/sys/unix"
)

// Whatever threads the runtime picks, none stays behind in another namespace, the
// process' first one least of all.
func TestOnThreadLeavesTheProcessWhereItWas(t *testing.T) {
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
