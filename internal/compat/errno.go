package compat

import (
	"errors"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// Errno is an errno in the C library's spelling.
type Errno struct{ syscall.Errno }

func (e Errno) Error() string { return Strerror(e.Errno) }
func (e Errno) Unwrap() error { return e.Errno }

// CError reduces an error to its errno, spelled as the C library does.
func CError(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return Errno{errno}
	}
	return err
}

// Strerror returns the error number's text as the C library spells it.
func Strerror(e syscall.Errno) string {
	text := e.Error()
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
