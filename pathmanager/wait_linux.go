package pathmanager

import (
	"errors"
	"os"
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
	// dedicatedWait is shortWait in a process that does nothing else. About there
	// the watchdog's ticks during the wait cost as much as the other kind of wait.
	dedicatedWait = 24 * time.Millisecond
	// yieldEvery is how often the scheduler has its turn in such a process: who
	// yields in time is not interrupted by the watchdog.
	yieldEvery = 4 * time.Millisecond
	// tardy is how late a wait may end before the thread's slack is looked to.
	tardy = time.Millisecond
	// usualSlack is how late the kernel may wake a thread by default.
	usualSlack = 50 * time.Microsecond
)

// waiter waits for the socket, for the end of the iteration, or for time.
//
// A blocking call that the scheduler knows of hands the processor over and wakes
// other threads, the watchdog first: measured, it triples the cost of an event that
// comes alone, and delays it by some 20 us. Where messages come about regularly, a
// hundred or more a second, the listener therefore waits in the receiving call
// itself, behind the scheduler's back; the runtime's signal interrupts it when the
// processor is needed. Such a wait is short; when it ends without a message, or
// where messages are rare, the wait is an ordinary one. After rare bursts the former
// would only keep the watchdog ticking.
type waiter struct {
	fds       [1]unix.PollFd // the wake-up descriptor
	wake      int
	both      int // an epoll of the wake-up descriptor, the socket and the output
	output    int32
	unread    bool // nobody reads from the output any more
	ready     unix.EpollEvent
	spec      unix.Timespec
	dedicated bool
	usual     time.Duration // a decaying mean of waits
	began     time.Time     // when the last wait did
	yielded   time.Time     // when the scheduler last had its turn
}

// newWaiter returns a waiter for the socket, with a wake-up descriptor of its own.
// output and dedicated are ListenConfig.Output and Dedicated.
func newWaiter(socket int, output *os.File, dedicated bool) (*waiter, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	both, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, errors.Join(err, unix.Close(wake))
	}
	w := &waiter{
		wake: wake, both: both, output: -1, dedicated: dedicated, yielded: time.Now(),
		fds: [1]unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}},
	}
	for _, fd := range []int{wake, socket} {
		if err := unix.EpollCtl(both, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	w.watch(output)
	return w, nil
}

// watch adds the output to what is waited for, where it is a pipe: the end of its
// reader is an error there, of which the kernel always tells. Where that fails the
// next write tells of it.
func (w *waiter) watch(output *os.File) {
	if output == nil {
		return
	}
	info, err := output.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return
	}
	conn, err := output.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		if unix.EpollCtl(w.both, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Fd: int32(fd)}) == nil {
			w.output = int32(fd)
		}
	})
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

// longest returns how long a short wait may last.
func (w *waiter) longest() time.Duration {
	if w.dedicated {
		return dedicatedWait
	}
	return shortWait
}

// note takes into account how long the last wait was. What a long one says of the
// next is bounded.
func (w *waiter) note(took time.Duration) { w.usual = (w.usual + min(took, 4*w.longest())) / 2 }

// short reports whether the next wait is expected to be a short one.
func (w *waiter) short(processors int) bool {
	if processors > 1 || w.dedicated {
		return w.usual < w.longest()
	}
	return w.usual < shortAlone
}

// begin begins a wait, and returns the time: where there is one processor only,
// everything else that can run has its turn first. Where there are more it has it
// anyway, and runtime.Gosched would wake a thread to look for work.
func (w *waiter) begin() time.Time {
	w.began = time.Now()
	if runtime.GOMAXPROCS(0) == 1 && (!w.dedicated || w.began.Sub(w.yielded) >= yieldEvery) {
		runtime.Gosched()
		w.began = time.Now()
		w.yielded = w.began
	}
	return w.began
}

// over reports whether a short wait has lasted long enough: the runtime's signals
// begin it anew, and must not draw it out.
func (w *waiter) over() bool { return time.Since(w.began) >= w.longest() }

// message waits until the socket has a message, a signal comes, or nobody reads the
// output any more. It reports
// whether the wait was interrupted: by epoll_wait(2) a process learns that it was
// stopped and goes on, while poll(2) would wait on as if nothing had been.
func (w *waiter) message() (interrupted bool, errno syscall.Errno) {
	_, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(w.both), uintptr(unsafe.Pointer(&w.ready)), 1, ^uintptr(0), 0, 0)
	if errno == unix.EINTR {
		return true, 0
	}
	w.unread = errno == 0 && w.output >= 0 && w.ready.Fd == w.output
	return false, errno
}

// sleep waits for the time, or a signal.
func (w *waiter) sleep(d time.Duration) {
	began := w.begin()
	w.spec = unix.NsecToTimespec(int64(d)) // the kernel changes it
	fds, spec := uintptr(unsafe.Pointer(&w.fds[0])), uintptr(unsafe.Pointer(&w.spec))
	if d <= shortAlone || w.dedicated && d <= dedicatedWait {
		_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, fds, 1, spec, 0, 0, 0) // cut short it does no harm
	} else {
		_, _, _ = unix.Syscall6(unix.SYS_PPOLL, fds, 1, spec, 0, 0, 0)
	}
	if time.Since(began) > d+tardy {
		beInTime()
	}
}

// beInTime has the kernel wake the calling thread as near to its time as it does by
// default. A thread may be late by as much as the one that started it: by more, where
// that is the runtime's watchdog and somebody has calmed it.
func beInTime() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(usualSlack), 0, 0, 0) // refused, events wait a little longer
}

// close closes the descriptors of the waiter.
func (w *waiter) close() error { return errors.Join(unix.Close(w.wake), unix.Close(w.both)) }
