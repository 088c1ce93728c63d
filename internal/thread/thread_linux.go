// Package thread runs functions on a thread of their own, in another network namespace
// where they need that. A namespace belongs to a thread, and goroutines change threads:
// without this, what one function does to its thread would leak into others.
package thread

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Run runs f on a thread that ends with f. Goroutines that f starts run elsewhere.
func Run(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			done <- f() // never unlocked: the thread ends with the goroutine
			return
		}
		// The process' first thread cannot end: it would stay in f's namespace for
		// good, and /proc/PID/ns/net, which is that thread's, would name it to all
		// others. While this goroutine holds it, the next one gets another.
		defer runtime.UnlockOSThread()
		done <- Run(f)
	}()
	return <-done
}

// Enter puts the calling thread, which must be locked, into the network namespace of
// the open file, for good. It holds the descriptor meanwhile: where another goroutine
// closes the file, its number may become another namespace's. It needs CAP_SYS_ADMIN.
// The error is the errno of setns(2), or [os.ErrClosed].
func Enter(namespace *os.File) error {
	conn, err := namespace.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = unix.Setns(int(fd), unix.CLONE_NEWNET) }); err != nil {
		return os.ErrClosed
	}
	return failed
}
