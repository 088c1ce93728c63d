package force

import (
	"errors"
	"io/fs"
)

// Exit codes of run itself, as env(1), timeout(1) and the shells have them. Any
// other is the program's.
const (
	exitLauncher = 125 // MPTCP could not be forced; the program was not started
	exitCannot   = 126 // the program was found and cannot be executed
	exitNotFound = 127 // no such program
)

// Error tells why the program did not start. It unwraps to the system's error:
// errors.Is(err, fs.ErrNotExist) for a program that does not exist,
// fs.ErrPermission for one that may not be executed,
// [mptcpctl/mptcp.ErrNotSupported] for a kernel that lacks what is needed.
type Error struct {
	Op      string // "find", "execute", "filter", "supervisor"
	Program string
	Err     error
	Code    int // exit code that goes with it
}

// Error returns the operation, the program and the system's words.
func (e *Error) Error() string {
	if e.Program == "" {
		return e.Op + ": " + e.Err.Error()
	}
	return e.Op + " " + e.Program + ": " + e.Err.Error()
}

// Unwrap returns the system's error.
func (e *Error) Unwrap() error { return e.Err }

// launcherError wraps what went wrong before the program's turn.
func launcherError(op string, err error) error {
	return &Error{Op: op, Err: err, Code: exitLauncher}
}

// programError wraps what is wrong with the program itself.
func programError(op, program string, err error) error {
	code := exitCannot
	if errors.Is(err, fs.ErrNotExist) {
		code = exitNotFound
	}
	return &Error{Op: op, Program: program, Err: err, Code: code}
}

// codeOf returns the exit code that goes with an error.
func codeOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return exitLauncher
}
