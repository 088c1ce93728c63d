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

// One thread may be late, that of the runtime's watchdog, and never that of the process
// itself, which may read events.
func TestCalmWatchdog(t *testing.T) {
	calmWatchdog() // a monitor of another test may have done so already
	all := slacks(t)
	first := 0
	for id := range all {
		if id != os.Getpid() && (first == 0 || id < first) {
			first = id
		}
	}
	for id, slack := range all {
		allowed := id == first && os.Geteuid() == 0
		if late := slack == watchdogSlack; late != allowed {
			t.Errorf("thread %d, the first is %d, may be %v late", id, first, slack)
		}
	}
}
