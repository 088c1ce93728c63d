package process

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slacks returns by how much the kernel may wake each thread of the process late.
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

// The runtime's monitor thread may be late, and never that of the process itself, which may
// read events. Threads that the monitor thread has started may be as late as it.
func TestCalmMonitor(t *testing.T) {
	CalmMonitor()
	all := slacks(t)
	first := 0
	for id := range all {
		if id != os.Getpid() && (first == 0 || id < first) {
			first = id
		}
	}
	if late, allowed := all[first] == monitorSlack, os.Geteuid() == 0; late != allowed {
		t.Errorf("the first thread, %d, may be %v late", first, all[first])
	}
	if slack := all[os.Getpid()]; slack == monitorSlack {
		t.Errorf("the thread of the process may be %v late", slack)
	}
}

func TestBeInTime(t *testing.T) {
	runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(20*time.Millisecond), 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	BeInTime()
	if slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); slack != int(usualSlack) || err != nil {
		t.Errorf("the thread may be %v late, %v", time.Duration(slack), err)
	}
}
