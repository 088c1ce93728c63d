package process

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// monitorSlack is how late the runtime's monitor thread may wake up: less than after how
	// long it asks a goroutine to let others run.
	monitorSlack = 4 * time.Millisecond
	// usualSlack is how late the kernel wakes a thread by default at most.
	usualSlack = 50 * time.Microsecond
)

// CalmMonitor lets the kernel wake the runtime's monitor thread (sysmon) later than that
// asks for. While a thread runs Go code, sysmon wakes up every 20 µs at first, to see
// whether another goroutine should have its turn. Beside one goroutine that reads events
// and yields by itself this costs a tenth to a quarter of a backlog's processor time on a
// busy host, and 1 % on an idle one. It changes the thread that the runtime started first.
// If that is another one, or the process may not change it (CAP_SYS_NICE), no harm is done.
//
// A thread inherits the slack of the thread that starts it, so a thread that sysmon starts
// is late as well: see [BeInTime].
func CalmMonitor() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	first := 0
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err == nil && id != os.Getpid() && (first == 0 || id < first) {
			first = id
		}
	}
	file, err := os.OpenFile("/proc/"+strconv.Itoa(first)+"/timerslack_ns", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer file.Close()
	_, _ = file.WriteString(strconv.FormatInt(int64(monitorSlack), 10))
}

// BeInTime has the kernel wake the calling thread as near to its time as it does by
// default. A reader of events calls it when a wait has ended late.
func BeInTime() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(usualSlack), 0, 0, 0) // refused, events wait a little longer
}
