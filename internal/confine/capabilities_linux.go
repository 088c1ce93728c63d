package confine

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Advice says what to do where privileges could not be given up.
func Advice(err error) string {
	if errors.Is(err, syscall.EINVAL) {
		return "this user namespace does not have the user: name one that it has with --user"
	}
	return "run it as an ordinary user, or as the unit in packaging/systemd does"
}

// Become gives up all capabilities but these, and, where an identity is given and the
// process is root, root itself.
func Become(id *Identity, keep uint32) error {
	if _, _, errno := psx.Syscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("no_new_privs: %w", errno)
	}
	_, _, errno := psx.Syscall6(
		unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("ambient capabilities: %w", errno)
	}
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	had := &[2]unix.CapUserData{}
	if err := unix.Capget(header, &had[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	for capability := range uintptr(unix.CAP_LAST_CAP + 1) {
		// Without CAP_SETPCAP nothing can be given back by a program file, either: no_new_privs.
		_, _, _ = psx.Syscall6(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, capability, 0, 0, 0, 0)
	}
	var failed error
	if id != nil && syscall.Geteuid() == 0 {
		failed = id.take()
	}
	keep &= had[0].Permitted
	data := &[2]unix.CapUserData{{Effective: keep, Permitted: keep}}
	_, _, errno = psx.Syscall3(
		unix.SYS_CAPSET, uintptr(unsafe.Pointer(header)), uintptr(unsafe.Pointer(data)), 0,
	)
	if errno != 0 {
		failed = errors.Join(failed, fmt.Errorf("capabilities: %w", errno))
	}
	return failed
}

// take makes the process one of the user: its groups, then its user id. The capabilities
// that are permitted stay so, for [Become] to choose from.
func (id *Identity) take() error {
	if _, _, errno := psx.Syscall6(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("keep capabilities: %w", errno)
	}
	if err := syscall.Setgroups(nil); err != nil && !errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("become %s: groups: %w", id, err) // EPERM: a user namespace that denies setgroups(2)
	}
	if err := syscall.Setresgid(id.GID, id.GID, id.GID); err != nil {
		return fmt.Errorf("become %s: group %d: %w", id, id.GID, err)
	}
	if err := syscall.Setresuid(id.UID, id.UID, id.UID); err != nil {
		return fmt.Errorf("become %s: user %d: %w", id, id.UID, err)
	}
	return nil
}
