package force

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// front starts the program as a child, waits for it, and reports its sockets.
func front(ctx context.Context, c *Config, name, path string) (int, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return exitLauncher, launcherError("run", err)
	}
	defer unix.Close(ours)

	// Notified before the program starts, so that none is missed; what the caller
	// had ignored (nohup) stays so, also in the program.
	signals := make(chan os.Signal, 16)
	for _, s := range []os.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1,
		syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGWINCH, syscall.SIGTSTP,
	} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	defer signal.Stop(signals)

	argv := append([]string{programName, strconv.Itoa(theirs), name, path}, c.Argv...)
	pid, err := syscall.ForkExec(self, argv, &syscall.ProcAttr{Env: os.Environ(), Files: inherited(c, theirs)})
	unix.Close(theirs)
	if err != nil {
		return exitLauncher, launcherError("run", err)
	}
	report := io.Writer(os.Stderr)
	switch {
	case c.Report != nil:
		report = c.Report
	case c.Stderr != nil:
		report = c.Stderr
	}
	o := newObserver(c, ours, report)
	stop, err := o.start()
	if err != nil {
		stop = func() {} // the last question still tells of the sockets
	}
	status, err := attend(ctx, pid, signals)
	stop()
	if err != nil {
		return exitLauncher, launcherError("wait", err)
	}
	o.finish()
	o.write(name)
	return exitCode(status), nil
}

// exitCode is the shells' way to put a program's end into one number.
func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// inherited returns the descriptors of the program: its standard streams, whatever
// else this process was started with, and the one more at its own number.
func inherited(c *Config, more int) []uintptr {
	files := make([]uintptr, more+1)
	for fd := range files {
		files[fd] = ^uintptr(0) // closed
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			files[fd] = uintptr(fd)
		}
	}
	for fd, file := range []*os.File{c.Stdin, c.Stdout, c.Stderr} {
		if file != nil {
			files[fd] = file.Fd()
		}
	}
	files[more] = uintptr(more)
	return files
}

// attend waits for the program's end, stops when it is stopped, and passes
// signals on.
func attend(ctx context.Context, pid int, signals <-chan os.Signal) (syscall.WaitStatus, error) {
	type event struct {
		status syscall.WaitStatus
		err    error
	}
	events := make(chan event)
	go func() {
		for {
			status, err := wait(pid, syscall.WUNTRACED)
			events <- event{status, err}
			if err != nil || !status.Stopped() {
				return
			}
		}
	}()
	done := ctx.Done()
	for {
		select {
		case e := <-events:
			if e.err != nil || !e.status.Stopped() {
				return e.status, e.err
			}
			stopWith(pid)
		case s := <-signals:
			if n, ok := s.(syscall.Signal); ok && !(fromTerminal(n) && inForeground()) {
				_ = syscall.Kill(pid, n) // it may have ended already
			}
		case <-done:
			_ = syscall.Kill(pid, syscall.SIGKILL)
			done = nil // and wait for its end
		}
	}
}

// stopWith stops this process because the program was stopped, so that the shell
// takes the terminal back, and continues the program when the shell continues us.
// Without a terminal there is no job control, and nobody who would continue us.
func stopWith(pid int) {
	terminal, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return
	}
	unix.Close(terminal)
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	_ = syscall.Kill(pid, syscall.SIGCONT)
}

// fromTerminal reports whether the terminal may have sent the signal: then it has
// sent it to the program too.
func fromTerminal(s syscall.Signal) bool {
	switch s {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH:
		return true
	}
	return false
}

// inForeground reports whether the terminal's signals reach this process and,
// unless it changed its process group, the program.
func inForeground() bool {
	terminal, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer unix.Close(terminal)
	for {
		group, err := unix.IoctlGetInt(terminal, unix.TIOCGPGRP)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && group == unix.Getpgrp()
		}
	}
}
