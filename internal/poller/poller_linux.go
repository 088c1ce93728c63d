// Package poller waits for many descriptors on one thread. A listener to events that waits
// by itself holds a thread, which is the quickest way for one of them. With a listener in
// each of a thousand network namespaces that would be a thousand threads.
//
// The runtime's own poller would do, but for one thing: it does not tell when the process
// was stopped and goes on, which is how a listener knows that its events are old. Here a
// stop interrupts the wait before anything that came meanwhile is seen.
package poller

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"mptcpctl/internal/pace"

	"golang.org/x/sys/unix"
)

// atOnce is how many descriptors one system call reports.
const atOnce = 64

// Poller is a thread that waits, and what it waits for. It is safe for concurrent use.
type Poller struct {
	epoll, wake int
	done        chan struct{} // closed when the thread has ended

	mu      sync.Mutex // guards waiters
	waiters map[int32]*waiter
}

// waiter is one descriptor, for which one goroutine waits. The kernel reports it once for
// each wait, so that it costs nothing while nobody does.
type waiter struct {
	poller *Poller
	fd     int
	ready  chan pace.Wake // of one element
}

// New starts a poller.
func New() (*Poller, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("poller: %w", os.NewSyscallError("eventfd", err))
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		event := &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)}
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, event)
		if err != nil {
			unix.Close(epoll)
		}
	}
	if err != nil {
		unix.Close(wake)
		return nil, fmt.Errorf("poller: %w", os.NewSyscallError("epoll", err))
	}
	p := &Poller{epoll: epoll, wake: wake, done: make(chan struct{}), waiters: map[int32]*waiter{}}
	go p.run()
	return p, nil
}

// Close ends the thread. Waits that go on end with [os.ErrClosed].
func (p *Poller) Close() error {
	one := [8]byte{1}
	_, err := unix.Write(p.wake, one[:])
	if err != nil {
		return fmt.Errorf("poller: %w", os.NewSyscallError("write", err))
	}
	<-p.done
	p.mu.Lock() // nobody is about to use the descriptors
	defer p.mu.Unlock()
	err = errors.Join(unix.Close(p.epoll), unix.Close(p.wake))
	p.epoll, p.wake = -1, -1
	return err
}

// Add takes in a descriptor that epoll can wait for. Remove it before it is closed.
func (p *Poller) Add(fd int) (pace.Waiter, error) {
	w := &waiter{poller: p, fd: fd, ready: make(chan pace.Wake, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := w.control(unix.EPOLL_CTL_ADD, 0); err != nil {
		return nil, err
	}
	p.waiters[int32(fd)] = w
	return w, nil
}

// control changes how the kernel reports the descriptor. The caller holds mu.
func (w *waiter) control(operation int, events uint32) error {
	event := &unix.EpollEvent{Events: events | unix.EPOLLONESHOT, Fd: int32(w.fd)}
	if err := unix.EpollCtl(w.poller.epoll, operation, w.fd, event); err != nil {
		return fmt.Errorf("poller: %w", os.NewSyscallError("epoll_ctl", err))
	}
	return nil
}

// Wait waits until the descriptor can be read.
func (w *waiter) Wait() (pace.Wake, error) {
	w.poller.mu.Lock()
	err := w.control(unix.EPOLL_CTL_MOD, unix.EPOLLIN)
	w.poller.mu.Unlock()
	if err != nil {
		return pace.Wake{}, err
	}
	select {
	case wake := <-w.ready:
		return wake, nil
	case <-w.poller.done:
		return pace.Wake{}, fmt.Errorf("poller: %w", os.ErrClosed)
	}
}

// Remove takes the descriptor out.
func (w *waiter) Remove() {
	w.poller.mu.Lock()
	defer w.poller.mu.Unlock()
	_ = w.control(unix.EPOLL_CTL_DEL, 0) // of a closed poller, it is out already
	delete(w.poller.waiters, int32(w.fd))
}

// run waits until Close.
func (p *Poller) run() {
	defer close(p.done)
	events := make([]unix.EpollEvent, atOnce)
	interrupted := false // what comes next may have come while the process was stopped
	for {
		timeout := -1
		if interrupted {
			timeout = 0
		}
		n, err := unix.EpollWait(p.epoll, events, timeout)
		if err == unix.EINTR {
			interrupted = true
			continue
		}
		if err != nil || !p.report(events[:n], pace.Wake{At: time.Now(), Interrupted: interrupted}) {
			return
		}
		interrupted = interrupted && n == len(events)
		runtime.Gosched() // those that are ready have their turn on this processor
	}
}

// report wakes those that wait for the events. It reports whether to go on.
func (p *Poller) report(events []unix.EpollEvent, wake pace.Wake) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range events {
		if events[i].Fd == int32(p.wake) {
			return false
		}
		w := p.waiters[events[i].Fd]
		if w == nil {
			continue // it was removed meanwhile
		}
		select {
		case w.ready <- wake:
		default: // it is awake
		}
	}
	return true
}
