package counters

import "fmt"

// Error tells which file could not be read or understood. It unwraps to the
// reason: an errno, [mptcpctl/mptcp.ErrNotSupported], or the fault in the text.
type Error struct {
	Path string // of the file
	Err  error
}

// Error returns the path and the reason.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Path, e.Err) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }
