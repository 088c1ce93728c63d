package force

import (
	"encoding/binary"
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notification is struct seccomp_notif; the kernel may know a longer one.
type notification struct {
	id    uint64
	pid   uint32 // of the thread, as the supervisor's PID namespace numbers it
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
	_     [176]byte
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	val   int64
	error int32
	flags uint32
}

// addition is struct seccomp_notif_addfd.
type addition struct {
	id       uint64
	flags    uint32
	source   uint32
	target   uint32
	newFlags uint32
}

// install puts the filter on the calling thread and returns the listener. The
// caller has locked its goroutine to the thread, and executes the program from it:
// what other threads there are, execve ends.
//
// no_new_privs is set only where the kernel asks for it, that is without
// CAP_SYS_ADMIN: root's set-user-ID programs keep working.
//
// steady reports whether a caller, once its notification is taken, waits for the
// answer whatever signals come, but for a fatal one (Linux 5.19).
//
// EBUSY: a filter with a listener is on the process already.
func install() (listener int, steady bool, err error) {
	calls := socketCalls(runtime.GOARCH)
	if calls == nil {
		return -1, false, unix.ENOSYS
	}
	code := filter(calls, binary.NativeEndian)
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	for {
		fd, _, errno := unix.Syscall(
			unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)),
		)
		switch {
		case errno == 0:
			return int(fd), flags&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0, nil
		case errno == unix.EINTR:
		case errno == unix.EACCES && !hasNoNewPrivs():
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return -1, false, err
			}
		case errno == unix.EINVAL && flags&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0:
			flags &^= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV // before Linux 5.19
		default:
			return -1, false, errno
		}
	}
}

// hasNoNewPrivs reports whether no_new_privs is set on the thread.
func hasNoNewPrivs() bool {
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err == nil && set == 1
}

// ioctl is ioctl(2) with a pointer, again after a signal.
func ioctl(fd int, request uint, p unsafe.Pointer) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(p))
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR:
		default:
			return -1, errno
		}
	}
}

// receive takes the next notification; ENOENT if its thread is gone again.
func receive(listener int, n *notification) error {
	*n = notification{} // the kernel insists on zeros
	_, err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(n))
	return err
}

// hand puts the file into the waiting thread's process, and makes its call return
// the new descriptor.
//
// The kernel can do both in one step (SECCOMP_ADDFD_FLAG_SEND). But if the
// supervisor is interrupted in it, by a signal, a stop, the freezer of a container
// or of a machine that goes to sleep, the file is withdrawn after the call was
// marked as answered: the program's socket() returns 0, and the program takes its
// standard input for a socket (measured on Linux 6.18: most calls, under a storm of
// SIGSTOP and SIGCONT). In two steps nothing can go wrong as long as the thread
// waits between them, that is where it is steady. Elsewhere a signal to the thread
// would leave a stray descriptor behind: there the one step is the lesser evil, and
// the supervisor's thread has blocked the signals that can be blocked.
func hand(listener int, id uint64, fd int, closeOnExec, steady bool) error {
	a := addition{id: id, source: uint32(fd)}
	if closeOnExec {
		a.newFlags = unix.O_CLOEXEC
	}
	if !steady {
		a.flags = unix.SECCOMP_ADDFD_FLAG_SEND
	}
	number, err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&a))
	if err != nil || !steady {
		return err
	}
	return send(listener, &response{id: id, val: int64(number)})
}

// letGo lets the thread's own call go on, as if there were no filter.
func letGo(listener int, id uint64) error {
	return send(listener, &response{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

func send(listener int, r *response) error {
	_, err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(r))
	return err
}

// wakeOnSameCPU asks that the two sides be woken where the other runs, which
// halves the detour (Linux 6.6); without it everything works the same.
func wakeOnSameCPU(listener int) {
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener),
		uintptr(unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS), unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
}

// canHand reports whether the kernel can add and send in one step: it looks at the
// flags before it looks for the notification, and there is none with that number.
func canHand(listener int) bool {
	a := addition{id: ^uint64(0), flags: unix.SECCOMP_ADDFD_FLAG_SEND, source: uint32(listener)}
	_, err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&a))
	return errors.Is(err, unix.ENOENT)
}
