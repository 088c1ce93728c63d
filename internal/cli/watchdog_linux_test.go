package cli

import (
	"os"
	"path/filepath"
	"slices"
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
	before := slacks(t)
	calmWatchdog()
	after := slacks(t)
	var late []int
	for id, slack := range after {
		if old, was := before[id]; was && old != slack {
			late = append(late, id)
			restore := strconv.FormatInt(int64(old), 10)
			t.Cleanup(func() { _ = os.WriteFile("/proc/"+strconv.Itoa(id)+"/timerslack_ns", []byte(restore), 0) })
		}
	}
	if os.Geteuid() != 0 && len(late) == 0 {
		return // it may not; nothing has changed
	}
	others := slices.Sorted(func(yield func(int) bool) {
		for id := range after {
			if id != os.Getpid() && !yield(id) {
				return
			}
		}
	})
	if len(late) != 1 || late[0] != others[0] || after[late[0]] != watchdogSlack {
		t.Errorf("threads %v of %v may be late: %v", late, others, after)
	}
}
