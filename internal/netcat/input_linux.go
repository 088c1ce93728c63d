package netcat

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// input is the input of netcat, with reads that can be interrupted.
type input struct {
	reader        io.Reader
	interruptible bool // a pending Read returns after interrupt
	terminal      bool

	deadline interface{ SetReadDeadline(time.Time) error }
	fd       int // of a file that no deadline can interrupt, else -1
	mu       sync.Mutex
	wake     int // eventfd that interrupts reads of fd, else -1
}

// newInput takes the reader as it is: it never closes it.
func newInput(r io.Reader) *input {
	if r == nil {
		r = strings.NewReader("")
	}
	in := &input{reader: r, fd: -1, wake: -1}
	if _, ok := r.(*strings.Reader); ok {
		in.interruptible = true // never waits
	}
	if d, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok && d.SetReadDeadline(time.Time{}) == nil {
		in.deadline, in.interruptible = d, true
	}
	if file, ok := r.(*os.File); ok {
		in.inspect(file)
	}
	return in
}

// inspect finds out what file the input is. File.Fd is not used: it would make the
// file blocking and its deadlines void.
func (in *input) inspect(file *os.File) {
	raw, err := file.SyscallConn()
	if err != nil {
		return // closed: reading it fails at once
	}
	_ = raw.Control(func(fd uintptr) { // fails on a closed file only
		_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		in.terminal = err == nil
		if in.deadline == nil {
			in.watch(int(fd))
		}
	})
}

// watch makes reads of a file that the runtime does not poll, such as a standard
// input in blocking mode, wait for the file and for interrupt.
func (in *input) watch(fd int) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return // then reads cannot be interrupted, and Run does not wait for them
	}
	in.fd, in.wake, in.interruptible = fd, wake, true
}

// Read reads once there is something, or fails after interrupt.
func (in *input) Read(b []byte) (int, error) {
	if in.fd >= 0 {
		if err := in.poll(); err != nil {
			return 0, err
		}
	}
	return in.reader.Read(b)
}

// poll waits until the file can be read without waiting.
func (in *input) poll() error {
	fds := []unix.PollFd{
		{Fd: int32(in.fd), Events: unix.POLLIN}, {Fd: int32(in.wake), Events: unix.POLLIN},
	}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case fds[1].Revents != 0:
			return os.ErrDeadlineExceeded
		}
		return nil
	}
}

// interrupt makes a pending Read return, and every later one fail.
func (in *input) interrupt() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.deadline != nil {
		_ = in.deadline.SetReadDeadline(past()) // fails on a closed input: nothing pends then
	}
	if in.wake >= 0 {
		_, _ = unix.Write(in.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// close gives the reader back as it was. No Read may be pending.
func (in *input) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.deadline != nil {
		_ = in.deadline.SetReadDeadline(time.Time{})
		in.deadline = nil
	}
	if in.wake >= 0 {
		unix.Close(in.wake)
		in.wake = -1
	}
}
