package hostnet

import (
	"fmt"
	"os"
	"runtime"

	"mptcpctl/internal/thread"
)

// Namespace is an open network namespace. It lives at least as long as it is open.
type Namespace struct {
	file *os.File
}

// CurrentNamespace opens the network namespace of the calling thread.
func CurrentNamespace() (*Namespace, error) {
	return OpenNamespace("/proc/thread-self/ns/net")
}

// OpenNamespace opens the network namespace at a path such as /run/netns/NAME or
// /proc/PID/ns/net. Opening that of another user's process needs the rights of
// ptrace(2) over it.
func OpenNamespace(path string) (*Namespace, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	return &Namespace{file: file}, nil
}

// Close lets go of the namespace. The kernel removes it when no process and no
// socket is left in it.
func (n *Namespace) Close() error { return n.file.Close() }

// Fd returns the descriptor of the namespace, for setns(2).
func (n *Namespace) Fd() int { return int(n.file.Fd()) }

// Path returns a path at which other processes of the same user can open the
// namespace while this process holds it.
func (n *Namespace) Path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd())
}

// Do runs f on a thread in the namespace. Sockets that f opens stay in the
// namespace; goroutines that f starts do not. It needs CAP_SYS_ADMIN. After Close it
// is [os.ErrClosed].
func (n *Namespace) Do(f func() error) error {
	return thread.Run(func() error {
		if err := n.Enter(); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// inside runs f in the namespace, on the calling thread if that is there already. It needs
// CAP_SYS_ADMIN otherwise.
func (n *Namespace) inside(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	home, err := n.file.Stat()
	if err != nil {
		return err
	}
	if os.SameFile(here, home) {
		return f()
	}
	return n.Do(f)
}

// Enter puts the calling thread, which must be locked to its goroutine and never
// unlocked ([runtime.LockOSThread]), into the namespace for good. It needs
// CAP_SYS_ADMIN. After Close it is [os.ErrClosed].
func (n *Namespace) Enter() error { return thread.Enter(n.file) }

// use calls f with the descriptor, which stays open meanwhile.
func (n *Namespace) use(f func(fd int) error) error {
	conn, err := n.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return os.ErrClosed
	}
	return failed
}
