package serve

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"mptcpctl/sockdiag"

	"golang.org/x/sys/unix"
)

// KeptCapabilities returns the capabilities that the server cannot do without.
// Before Linux 6.15 a dump says which subflow belongs to which connection only to
// CAP_NET_ADMIN, and asks for it each time.
func KeptCapabilities(release string) uint32 {
	if sockdiag.PrivilegedSubflows(release) {
		return 1 << unix.CAP_NET_ADMIN
	}
	return 0
}

// keptAdvice says what to do when privileges could not be given up.
func keptAdvice(err error) string {
	if errors.Is(err, syscall.ENOTSUP) {
		return "this binary is linked with C, so Go cannot change all threads: build it with CGO_ENABLED=0, as make " +
			"does"
	}
	return "run the server as an ordinary user, or as the unit in packaging/systemd does"
}

// dropPrivileges gives up all capabilities but these, in all threads and for good:
// what is open stays open. A program that is linked with C cannot do it.
func dropPrivileges(keep uint32) error {
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("no_new_privs: %w", errno)
	}
	_, _, errno := syscall.AllThreadsSyscall6(
		unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("ambient capabilities: %w", errno)
	}
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	had := &[2]unix.CapUserData{}
	if err := unix.Capget(header, &had[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	keep &= had[0].Permitted
	data := &[2]unix.CapUserData{{Effective: keep, Permitted: keep}}
	_, _, errno = syscall.AllThreadsSyscall(
		unix.SYS_CAPSET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)), 0,
	)
	if errno != 0 {
		return fmt.Errorf("capabilities: %w", errno)
	}
	return nil
}
