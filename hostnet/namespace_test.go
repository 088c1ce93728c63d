package hostnet_test

import (
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
