package sockdiag

import (
	"errors"
	"fmt"
	"syscall"

	"mptcpctl/mptcp"
)

// Error is what every method of this package returns: what was tried, on what,
// and the kernel's answer.
//
// [errors.Is] holds for [io/fs.ErrNotExist] (no such connection or subflow),
// [io/fs.ErrPermission] (CAP_NET_ADMIN is needed), [io/fs.ErrClosed] (the client
// was closed), [mptcp.ErrNotSupported] (this kernel has no inet_diag, or none for
// MPTCP) and the error of a context that ended.
type Error struct {
	Op     string // "connection list", "connection lookup", "subflow destroy", …
	Object string // the token or the addresses; "" for a list
	Err    error  // a syscall.Errno where the kernel refused
}

// Error returns, for instance, "connection lookup 63c070d2: no such socket".
func (e *Error) Error() string {
	s := e.Op
	if e.Object != "" {
		s += " " + e.Object
	}
	if e.Err == syscall.ENOENT {
		return s + ": no such socket"
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// errTruncated: a message is shorter than the kernel makes it.
var errTruncated = errors.New("truncated message")

// notSupported keeps the errno as text only: its own meaning (ENOENT is "does not
// exist") would mislead errors.Is.
func notSupported(what string, err error) error {
	if err == nil {
		return fmt.Errorf("%s: %w", what, mptcp.ErrNotSupported)
	}
	return fmt.Errorf("%s: %w (%v)", what, mptcp.ErrNotSupported, err)
}
