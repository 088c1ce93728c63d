package pathmanager

import (
	"errors"
	"os"
	"runtime"
	"time"
	"unsafe"

	"mptcpctl/internal/pace"

	"golang.org/x/sys/unix"
)

const (
	// shortWait is how long a wait in the socket may hold the processor of the scheduler,
	// which takes the processor away after 10 ms.
	shortWait = 8 * time.Millisecond
	// dedicatedWait is shortWait in a process that does nothing else. After about that time
	// the ticks of the runtime's monitor cost as much as the other kind of wait.
	dedicatedWait = 24 * time.Millisecond
	// yieldEvery is how long others may wait for their turn where there is one processor.
	yieldEvery = 4 * time.Millisecond
	// unhandedSleep is up to how long the listener sleeps without handing its processor
	// over.
	unhandedSleep = 2 * time.Millisecond
	// tooLate is by how much a sleep may be longer than it should.
	tooLate = time.Millisecond
)

// waiter waits for the socket, for the end of the iteration, or for time.
//
// A blocking call that the scheduler knows of hands the processor over and wakes other
// threads. With several processors that costs more than the event: measured beside each
// other on Linux 6.18 with two processors, a monitor of single events (4,000 a second) used
// 4.4 times the processor time, one of connections at full speed 1.35 times, and a line
// came 1.3 times as late. So where messages come about regularly, a hundred or more a
// second, the listener waits in the receiving call without telling the scheduler; the
// runtime's signal interrupts it when the processor is needed. Such a wait is short. When
// it ends without a message, where messages are rare, and with one processor unless the
// process does little else, the wait is an ordinary one.
//
// Where a process has many listeners, a poller waits for all of them, so that a wait holds
// no thread.
type waiter struct {
	wake      int            // a descriptor that ends a wait
	wakes     [1]unix.PollFd // the same, for ppoll
	all       int            // an epoll of wake, the socket and the output
	output    int32
	unread    bool // nobody reads from the output any more
	ready     unix.EpollEvent
	spec      unix.Timespec
	dedicated bool          // pace.Pace.Dedicated
	late      func()        // pace.Pace.Late
	poller    pace.Waiter   // of pace.Pace.Poller; nil: waits are the listener's own
	nudge     chan struct{} // of one element: ends a sleep where the poller waits
	usual     time.Duration // a decaying mean of waits
	began     time.Time     // when the last wait did
	ended     time.Time     // when the last wait for a message did
	yielded   time.Time     // when other goroutines last had their turn
}

// newWaiter returns a waiter for the socket, with a wake-up descriptor of its own.
func newWaiter(socket int) (*waiter, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	all, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, errors.Join(err, unix.Close(wake))
	}
	w := &waiter{
		wake: wake, all: all, output: -1, yielded: time.Now(), nudge: make(chan struct{}, 1),
		wakes: [1]unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}},
	}
	for _, fd := range []int{wake, socket} {
		event := &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
		if err := unix.EpollCtl(all, unix.EPOLL_CTL_ADD, fd, event); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, nil
}

// watch lets waits end when nobody reads from the output any more, if it is a pipe: the
// kernel always reports that as an error of the descriptor. If it cannot be watched, the
// next write finds out. The function it returns ends that.
func (w *waiter) watch(output *os.File) (end func()) {
	w.unread = false
	end = func() {}
	if output == nil {
		return end
	}
	info, err := output.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return end
	}
	conn, err := output.SyscallConn()
	if err != nil {
		return end
	}
	_ = conn.Control(func(fd uintptr) {
		if unix.EpollCtl(w.all, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Fd: int32(fd)}) == nil {
			w.output = int32(fd)
			end = w.unwatch
		}
	})
	return end
}

// unwatch takes the output out of what is waited for.
func (w *waiter) unwatch() {
	_ = unix.EpollCtl(w.all, unix.EPOLL_CTL_DEL, int(w.output), nil) // closed, it is out already
	w.output = -1
}

// share has the poller wait for the listener, until the function that it returns is called.
// nil lets the listener wait for itself.
func (w *waiter) share(p pace.Poller) (end func(), err error) {
	if p == nil {
		return func() {}, nil
	}
	if w.poller, err = p.Add(w.all); err != nil {
		return nil, err
	}
	return func() {
		w.poller.Remove()
		w.poller = nil
	}, nil
}

// signal ends the present wait, or the next one.
func (w *waiter) signal() {
	select {
	case w.nudge <- struct{}{}:
	default: // one is under way
	}
	one := [8]byte{1}
	// The counter can only be full, and then the wait ends as well.
	_, _ = unix.Write(w.wake, one[:])
}

// reset forgets signals.
func (w *waiter) reset() {
	var b [8]byte
	_, _ = unix.Read(w.wake, b[:]) // EAGAIN: there was none
	select {
	case <-w.nudge:
	default:
	}
}

// longest returns how long a short wait may last.
func (w *waiter) longest() time.Duration {
	if w.dedicated {
		return dedicatedWait
	}
	return shortWait
}

// note takes into account how long the last wait was. The weight of a long one is
// bounded.
func (w *waiter) note(took time.Duration) { w.usual = (w.usual + min(took, 4*w.longest())) / 2 }

// short reports whether the next wait should be in the receiving call: whether it is
// expected to be a short one, and nobody else needs the processor.
func (w *waiter) short(processors int) bool {
	return (processors > 1 || w.dedicated) && w.usual < w.longest() && w.poller == nil
}

// begin begins a wait, and returns the time. With one processor, other goroutines have
// their turn first, every few milliseconds. With several they have it anyway, and
// runtime.Gosched would wake a thread to look for work.
func (w *waiter) begin() time.Time {
	w.began = time.Now()
	if runtime.GOMAXPROCS(0) == 1 && w.began.Sub(w.yielded) >= yieldEvery {
		runtime.Gosched()
		w.began = time.Now()
		w.yielded = w.began
	}
	return w.began
}

// over reports whether a short wait has lasted long enough. The runtime's signals begin
// it anew, and must not draw it out.
func (w *waiter) over() bool { return time.Since(w.began) >= w.longest() }

// message waits until the socket has a message, a signal comes, or nobody reads the
// output any more. It reports whether the wait was interrupted, which is how a process
// learns that it was stopped and goes on: poll(2) would wait on as if nothing had been.
func (w *waiter) message() (interrupted bool, err error) {
	w.unread = false
	wait := ^uintptr(0)
	if w.poller != nil {
		wake, err := w.poller.Wait()
		if err != nil {
			return false, err
		}
		interrupted, w.ended, wait = wake.Interrupted, wake.At, 0 // all that is left is what it was
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(w.all),
		uintptr(unsafe.Pointer(&w.ready)), 1, wait, 0, 0)
	if w.poller == nil {
		w.ended = time.Now()
	}
	switch errno {
	case 0:
	case unix.EINTR:
		return true, nil
	default:
		return false, os.NewSyscallError("epoll_wait", errno)
	}
	w.unread = n > 0 && w.output >= 0 && w.ready.Fd == w.output
	return interrupted, nil
}

// sleep waits for the time, or a signal.
func (w *waiter) sleep(d time.Duration) {
	if w.poller != nil {
		w.sleepShared(d)
		return
	}
	began := w.begin()
	w.spec = unix.NsecToTimespec(int64(d)) // the kernel changes it
	wakes, spec := uintptr(unsafe.Pointer(&w.wakes[0])), uintptr(unsafe.Pointer(&w.spec))
	if d <= unhandedSleep && (w.dedicated || runtime.GOMAXPROCS(0) > 1) {
		_, _, _ = unix.RawSyscall6(unix.SYS_PPOLL, wakes, 1, spec, 0, 0, 0) // cut short, it does no harm
	} else {
		_, _, _ = unix.Syscall6(unix.SYS_PPOLL, wakes, 1, spec, 0, 0, 0)
	}
	if w.late != nil && time.Since(began) > d+tooLate {
		w.late()
	}
}

// sleepShared is sleep where the poller waits: it holds no thread either.
func (w *waiter) sleepShared(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.nudge:
		w.signal() // also to the next wait
	}
}

// close closes the descriptors of the waiter.
func (w *waiter) close() error { return errors.Join(unix.Close(w.wake), unix.Close(w.all)) }
