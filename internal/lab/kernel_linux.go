package lab

import (
	"errors"
	"fmt"

	"mptcpctl/internal/kernel"

	"golang.org/x/sys/unix"
)

// CheckMPTCP returns nil if the kernel can open MPTCP sockets in the calling
// thread's network namespace, else a [*MissingError] that says what is missing.
func CheckMPTCP() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if err == nil {
		return unix.Close(fd)
	}
	switch {
	case errors.Is(err, unix.ENOPROTOOPT):
		return &MissingError{What: "MPTCP", Why: "it is disabled: sysctl -w net.mptcp.enabled=1", Err: err}
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL):
		return &MissingError{
			What: "MPTCP",
			Why:  "the kernel " + kernel.Release() + " is built without it (CONFIG_MPTCP, Linux 5.6 or later)",
			Err:  err,
		}
	}
	return &MissingError{
		What: "MPTCP",
		Why:  "the system refuses MPTCP sockets (SELinux, seccomp or a container's policy)",
		Err:  err,
	}
}

// IsAhead reports whether the running kernel is older than k.
func (k Kernel) IsAhead() (bool, error) {
	before, ok := kernel.Before(kernel.Release(), k.Major, k.Minor)
	if !ok {
		return false, fmt.Errorf("kernel %s: want a release such as 6.18.44", kernel.Release())
	}
	return before, nil
}
