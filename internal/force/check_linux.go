package force

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// Check returns what [Run] would miss on this machine, nil if nothing. errors.Is
// [mptcp.ErrNotSupported] for a kernel that lacks seccomp user notification or
// MPTCP, [mptcp.ErrDisabled] for MPTCP that is switched off in the calling thread's
// network namespace, io/fs.ErrPermission where a policy forbids MPTCP sockets.
// Where only MPTCP is missing, Run still starts the program, with TCP. It needs no
// privilege and changes nothing.
func Check() error { return errors.Join(checkSeccomp(), checkMPTCP()) }

// checkSeccomp asks the kernel for the action that the filter returns.
func checkSeccomp() error {
	if socketCalls(runtime.GOARCH) == nil {
		return launcherError("filter", fmt.Errorf("architecture %s: %w", runtime.GOARCH, mptcp.ErrNotSupported))
	}
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	switch errno {
	case 0:
		return nil
	case unix.EOPNOTSUPP:
		return launcherError("filter", explain(unix.EINVAL))
	}
	return launcherError("filter", explain(errno))
}

// checkMPTCP opens an MPTCP socket.
func checkMPTCP() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocolMPTCP)
	switch {
	case err == nil:
		return unix.Close(fd)
	case errors.Is(err, unix.ENOPROTOOPT):
		return mptcp.ErrDisabled
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("MPTCP: %w", mptcp.ErrNotSupported)
	}
	return fmt.Errorf("MPTCP socket: %w", err)
}
