package counters

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// fileError wraps what a function of package os returned, whose own path would
// say the same twice.
func fileError(path string, err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	return &Error{Path: path, Err: err}
}

// readLine returns the text of a file of one line, without the line's end.
func readLine(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fileError(path, err)
	}
	return strings.TrimRight(string(text), "\n"), nil
}
