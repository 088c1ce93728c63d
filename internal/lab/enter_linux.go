package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"mptcpctl/internal/thread"

	"golang.org/x/sys/unix"
)

// enteredEnv marks a program that Enter started: a second user namespace would
// help no more than the first.
const enteredEnv = "MPTCPCTL_LAB_ENTERED"

// CanMakeNamespaces returns nil if this process may make network namespaces.
func CanMakeNamespaces() error {
	return thread.Run(func() error { return unix.Unshare(unix.CLONE_NEWNET) })
}

// Enter makes sure that the program can make network namespaces. Where it may
// not, Enter starts the program again, with the same arguments, as root of a user
// namespace of its own, passes its signals and standard streams through, and
// returns that program's exit code and true: the caller then exits with it.
//
// The error says what is forbidden where even that is refused; it unwraps to the
// kernel's errno.
func Enter() (code int, ran bool, err error) {
	if CanMakeNamespaces() == nil {
		return 0, false, nil
	}
	if os.Getenv(enteredEnv) != "" {
		return 0, false, &MissingError{
			What: "network namespaces",
			Why:  "refused even inside a user namespace",
			Err:  unix.EPERM,
		}
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), enteredEnv+"=1")
	// The program ends with this one, even if this one is killed. The death signal
	// fires when the thread that forked ends: hold it until then.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig:   syscall.SIGKILL,
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Start(); err != nil {
		return 0, false, &MissingError{
			What: "user namespaces",
			Why: "this system forbids them to ordinary users " +
				"(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone or " +
				"kernel.apparmor_restrict_unprivileged_userns): run as root",
			Err: err,
		}
	}
	return forward(cmd), true, nil
}

// forward passes terminating signals to the command and returns its exit code.
func forward(cmd *exec.Cmd) int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it may have ended already
		case err := <-done:
			return exitCode(cmd, err)
		}
	}
}

// exitCode returns the command's exit code, or 128+n after signal n as shells do.
func exitCode(cmd *exec.Cmd, err error) int {
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		return 1
	}
	return 0
}

// MissingError tells that the lab cannot run here, and what is missing.
type MissingError struct {
	What string // "MPTCP", "user namespaces", …
	Why  string // what was found, and what to do
	Err  error  // the kernel's answer, nil where nothing was refused
}

// Error returns what is missing, why, and the kernel's words.
func (e *MissingError) Error() string {
	s := fmt.Sprintf("%s missing: %s", e.What, e.Why)
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	return s
}

// Unwrap returns the kernel's answer.
func (e *MissingError) Unwrap() error { return e.Err }
