package tui

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// isTerminal reports whether the file is a terminal.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// saveTerminal returns a function that gives the terminal back the settings that
// it has now, and throws away what the terminal may have answered meanwhile.
func saveTerminal(f *os.File) (restore func(), err error) {
	fd := int(f.Fd())
	saved, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("settings of the terminal: %w", err)
	}
	return func() {
		_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) // what nobody has read
		// At once: waiting for the output to drain would hang on a line that stands.
		_ = unix.IoctlSetTermios(fd, unix.TCSETS, saved)
	}, nil
}

// parting is how long the last words to a terminal may take that takes nothing:
// stopped with ctrl+s, or a line that hangs.
const parting = 500 * time.Millisecond

// line writes to the terminal, and gives up on one that takes nothing any more
// once the view is to end. Everything but Write is that of the terminal itself.
type line struct {
	*os.File
	out  *os.File // the same terminal, without blocking, where it can be opened anew
	stop func() bool
}

// newLine returns a line to the terminal. The terminal is opened a second time:
// not to block is a property that all who have it open would share otherwise, the
// shell among them.
func newLine(ctx context.Context, terminal *os.File) *line {
	l := &line{File: terminal}
	out, err := os.OpenFile(
		"/proc/self/fd/"+strconv.Itoa(int(terminal.Fd())), os.O_WRONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0,
	)
	if err != nil {
		return l // another user's, as after su: then it blocks
	}
	l.out = out
	l.stop = context.AfterFunc(ctx, func() { _ = out.SetWriteDeadline(time.Now().Add(parting)) })
	return l
}

// Write writes to the terminal.
func (l *line) Write(b []byte) (int, error) {
	if l.out == nil {
		return l.File.Write(b)
	}
	return l.out.Write(b)
}

// WriteString is as Write.
func (l *line) WriteString(s string) (int, error) { return l.Write([]byte(s)) }

// close closes what newLine opened.
func (l *line) close() {
	if l.out != nil {
		l.stop()
		l.out.Close()
	}
}
