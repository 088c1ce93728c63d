package process

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Output returns w, standard output under another descriptor. Go ends a program with
// SIGPIPE when it writes to a broken pipe as descriptor 1, and returns an error for any
// other descriptor, so that the program can end in order.
func Output(w io.Writer) io.Writer {
	if w != io.Writer(os.Stdout) {
		return w
	}
	number, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return w // closed: the first line will tell
	}
	return os.NewFile(uintptr(number), os.Stdout.Name())
}

// WhileRead returns a context that also ends when nobody reads the output any more. A
// command that waits for something to happen would notice that only at its next line,
// which may never come: `mptcpctl counters watch | head -1` would stay for ever.
func WhileRead(ctx context.Context, w io.Writer) (context.Context, context.CancelFunc) {
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
				<-woken // it must not write to the descriptor after this, which may be another file's
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
