package pathmanager

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// rawWait is how long a wait may hold the processor of the scheduler,
	rawWait = 2 * time.Millisecond
	// rawWaitMost where the next message is expected within that time: the
	// scheduler takes the processor away from whoever holds it for 10 ms.
	rawWaitMost = 9 * time.Millisecond
)

// waiter waits for the socket, for the end of the iteration, or for time.
//
// A blocking call that the scheduler knows of hands the processor over and wakes
// other threads: measured, it triples the cost of an event that comes alone. A
// short wait is therefore made behind the scheduler's back, after everything else
// that can run had its turn; the runtime's signal interrupts it when the processor
// is needed. A long wait is an ordinary one: it costs some 20 us when it ends,
// because the scheduler's watchdog is woken first. Therefore the short one lasts
// until the next message where messages come about regularly, a hundred or more a
// second, and there is another processor for others.
type waiter struct {
	fds  [2]unix.PollFd // the wake-up descriptor, the socket
	wake int
	spec unix.Timespec
}

// newWaiter returns a waiter for the socket, with a wake-up descriptor of its own.
func newWaiter(socket int) (*waiter, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return &waiter{wake: wake, fds: [2]unix.PollFd{
		{Fd: int32(wake), Events: unix.POLLIN},
		{Fd: int32(socket), Events: unix.POLLIN},
	}}, nil
}

// signal ends the present wait, or the next one.
func (w *waiter) signal() {
	one := [8]byte{1}
	// The counter can only be full, and then the wait ends as well.
	_, _ = unix.Write(w.wake, one[:])
}

// reset forgets signals.
func (w *waiter) reset() {
	var b [8]byte
	_, _ = unix.Read(w.wake, b[:]) // EAGAIN: there was none
}

// message waits until the socket has a message, or a signal comes. gap is the
// usual time between messages.
func (w *waiter) message(gap time.Duration) syscall.Errno {
	runtime.Gosched()
	raw := rawWait
	if gap < rawWaitMost && runtime.GOMAXPROCS(0) > 1 {
		raw = min(max(rawWait, 2*gap), rawWaitMost)
	}
	n, errno := w.poll(false, len(w.fds), raw)
	if n > 0 || errno != 0 && errno != unix.EINTR {
		return errno
	}
	for {
		n, errno = w.poll(true, len(w.fds), -1)
		if n > 0 || errno != unix.EINTR {
			return errno
		}
	}
}

// sleep waits for the time, or a signal.
func (w *waiter) sleep(d time.Duration) {
	runtime.Gosched()
	if d <= rawWait {
		_, _ = w.poll(false, 1, d) // cut short it does no harm
		return
	}
	_, _ = w.poll(true, 1, d)
}

// poll calls ppoll(2) for the first n descriptors, with or without telling the
// scheduler. A timeout below 0 is none.
func (w *waiter) poll(aware bool, n int, timeout time.Duration) (int, syscall.Errno) {
	var spec unsafe.Pointer
	if timeout >= 0 {
		w.spec = unix.NsecToTimespec(int64(timeout)) // the kernel changes it
		spec = unsafe.Pointer(&w.spec)
	}
	var ready uintptr
	var errno syscall.Errno
	if aware {
		ready, _, errno = unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&w.fds[0])), uintptr(n), uintptr(spec), 0, 0, 0)
	} else {
		ready, _, errno = unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&w.fds[0])), uintptr(n), uintptr(spec), 0, 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(ready), 0
}

// close closes the wake-up descriptor.
func (w *waiter) close() error { return unix.Close(w.wake) }
