package pathmanager

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A thread may wake up late because of its timer slack. Events would wait for longer than
// they should; the program learns of it.
func TestLateSleepIsReported(t *testing.T) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	w, err := newWaiter(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	reports := 0
	w.late = func() { reports++ }
	runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
	const late = 20 * time.Millisecond
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(late), 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	const waits = 1000
	for range waits { // another timer may end a wait of the late thread in time
		if w.sleep(time.Millisecond); reports > 0 {
			return
		}
	}
	t.Errorf("the thread is late by up to %v, and that was not reported in %d waits", late, waits)
}
