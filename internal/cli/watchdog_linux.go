package cli

import (
	"os"
	"strconv"
	"time"
)

// watchdogSlack is how late the watchdog may be: less than after how long it asks a
// goroutine to make way for others.
const watchdogSlack = 4 * time.Millisecond

// calmWatchdog lets the kernel wake the runtime's watchdog later than it asked for.
// While a thread runs it looks every 20 µs at first, whether another should have its
// turn: beside one goroutine that reads events and makes way by itself that takes up to
// a tenth of the processor time of a burst. It is the thread that the runtime started
// first; where that is another, or the process may not (CAP_SYS_NICE), nothing is lost.
// Threads that it starts may be as late; the listener, which waits for a millisecond,
// sees to that itself.
func calmWatchdog() {
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
	_, _ = file.WriteString(strconv.FormatInt(int64(watchdogSlack), 10))
}
