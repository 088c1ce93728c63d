package pathmanager

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// shortWait is how long a wait in the socket may hold the processor of the
	// scheduler, which takes it away from whoever holds it for 10 ms.
	shortWait = 8 * time.Millisecond
	// shortAlone is the usual wait up to which that is done where there is one
	// processor only.
	shortAlone = 2 * time.Millisecond
	// longestUsual bounds what one long wait says of the next.
	longestUsual = 4 * shortWait
)

// waiter waits for the socket, for the end of the iteration, or for time.
//
// A blocking call that the scheduler knows of hands the processor over and wakes
// other threads, the watchdog first: measured, it triples the cost of an event that
// comes alone, and delays it by some 20 us. Where messages come about regularly, a
// hundred or more a second, the listener therefore waits in the receiving call
// itself, behind the scheduler's back; the runtime's signal interrupts it when the processor is needed. Such a
// wait is short; when it ends without a message, or where messages are rare, the
// wait is an ordinary one. After rare bursts the former would only keep the
// watchdog ticking.
type waiter struct {
	fds   [2]unix.PollFd // the wake-up descriptor, the socket
	wake  int
	spec  unix.Timespec
	usual time.Duration // a decaying mean of waits
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

// note takes into account how long the last wait was.
func (w *waiter) note(took time.Duration) { w.usual = (w.usual + min(took, longestUsual)) / 2 }

// short reports whether the next wait is expected to be a short one.
func (w *waiter) short(processors int) bool {
	if processors > 1 {
		return w.usual < shortWait
	}
	return w.usual < shortAlone
}

// begin begins a wait: where there is one processor only, everything else that can
// run has its turn first. Where there are more it has it anyway, and runtime.Gosched
// would wake a thread to look for work.
func (w *waiter) begin() time.Time {
	if runtime.GOMAXPROCS(0) == 1 {
		runtime.Gosched()
	}
	return time.Now()
}

// message waits until the socket has a message, or a signal comes.
func (w *waiter) message() syscall.Errno {
	for {
		n, errno := w.poll(true, len(w.fds), -1)
		if n > 0 || errno != unix.EINTR {
			return errno
		}
	}
}

// sleep waits for the time, or a signal.
func (w *waiter) sleep(d time.Duration) {
	w.begin()
	if d <= shortAlone {
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
