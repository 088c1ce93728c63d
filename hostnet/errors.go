package hostnet

import "fmt"

// Error tells which question to the kernel failed, about what, and how. It unwraps
// to the kernel's answer, a [syscall.Errno], so that [errors.Is] holds for
// [syscall.ENETUNREACH] and the like, and for [io/fs.ErrPermission] and
// [io/fs.ErrNotExist] where they fit.
type Error struct {
	Op     string // "route lookup", "link dump", …
	Object string // what it was about, "" where there is only one
	Err    error
}

// Error returns, for example, "route lookup 203.0.113.1 from 10.0.0.2: network is
// unreachable".
func (e *Error) Error() string {
	if e.Object == "" {
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("%s %s: %v", e.Op, e.Object, e.Err)
}

// Unwrap returns the kernel's answer.
func (e *Error) Unwrap() error { return e.Err }
