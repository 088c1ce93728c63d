package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// survivable returns the output under another number: Go ends a program that writes
// to a broken pipe by the number 1 with SIGPIPE, and by others tells it so.
func survivable(w io.Writer) io.Writer {
	if w != io.Writer(os.Stdout) {
		return w
	}
	number, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return w // closed: the first line will tell
	}
	return os.NewFile(uintptr(number), os.Stdout.Name())
}

// whileRead returns a context that ends also when nobody reads the output any more. A
// command that waits for something to happen would learn of that only at its next
// line, which may never come: `mptcpctl monitor | head -1` would stay for ever.
func whileRead(ctx context.Context, w io.Writer) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	f, ok := w.(*os.File)
	if !ok {
		return ctx, cancel
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return ctx, cancel
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return ctx, cancel
	}
	// The poll must not outlive the command: a batch has others behind it.
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	pipe := int(f.Fd())
	go func() {
		defer func() {
			if !stop() {
				<-woken // who writes to it must be through before the number is another file's
			}
			unix.Close(wake)
		}()
		for ctx.Err() == nil {
			fds := []unix.PollFd{{Fd: int32(pipe)}, {Fd: int32(wake), Events: unix.POLLIN}}
			_, err := unix.Poll(fds, -1)
			if err != nil && !errors.Is(err, unix.EINTR) {
				return
			}
			if fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
				cancel()
			}
		}
	}()
	return ctx, cancel
}
