package pathmanager

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A thread that the runtime's watchdog started may be late by as much as that was
// allowed to be. Events would wait for longer than ListenConfig.Coalesce says: whoever
// waits on such a thread notices, and is in time from then on.
func TestSleepOnTardyThread(t *testing.T) {
	w, err := newWaiter(eventSocket(t), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
	const late = 20 * time.Millisecond
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(late), 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	const span, patience = time.Millisecond, 1000
	for n := range patience { // another timer may end a wait of the late thread in time
		w.sleep(span)
		if slack, _ := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); slack == int(usualSlack) {
			t.Logf("in time after %d waits", n+1)
			return
		}
	}
	t.Errorf("the thread is still late by up to %v after %d waits", late, patience)
}

// eventSocket returns a descriptor that can be waited for.
func eventSocket(t *testing.T) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}
