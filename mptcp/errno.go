package mptcp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrnoName returns the C name of an error number, such as "ECONNREFUSED".
func ErrnoName(e syscall.Errno) (string, bool) {
	name := unix.ErrnoName(e)
	return name, name != ""
}
