package cli

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// slacks returns by how much the kernel may be late for each thread of the process that
// says it.
func slacks(t *testing.T) map[int]time.Duration {
	t.Helper()
	found := map[int]time.Duration{}
	threads, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		id, _ := strconv.Atoi(filepath.Base(thread))
		text, err := os.ReadFile("/proc/" + strconv.Itoa(id) + "/timerslack_ns")
		if n, bad := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && bad == nil {
			found[id] = time.Duration(n)
		}
	}
	return found
}

// The thread of the runtime's watchdog may be late, and never that of the process
// itself, which may read events. The threads that the watchdog has started, perhaps since
// a monitor of another test, may be as late as it: nothing is said of them here.
func TestCalmWatchdog(t *testing.T) {
	calmWatchdog()
	all := slacks(t)
	first := 0
	for id := range all {
		if id != os.Getpid() && (first == 0 || id < first) {
			first = id
		}
	}
	if late, allowed := all[first] == watchdogSlack, os.Geteuid() == 0; late != allowed {
		t.Errorf("the first thread, %d, may be %v late", first, all[first])
	}
	if slack := all[os.Getpid()]; slack == watchdogSlack {
		t.Errorf("the thread of the process may be %v late", slack)
	}
}
