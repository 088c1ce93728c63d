package force

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// Names under which the program is started again as a helper.
const (
	starterName    = "mptcpctl-run-starter"
	supervisorName = "mptcpctl-run-supervisor"
	programName    = "mptcpctl-run-program"
)

// Kinds of the supervisor's voice.
const (
	voiceText  = "text"
	voiceAsked = "asked"
)

const self = "/proc/self/exe"

// IsStub reports whether this process, by its arguments, is one of the package's
// helpers. Then [Stub] is all that main does.
func IsStub(args []string) bool {
	if len(args) == 0 {
		return false
	}
	switch args[0] {
	case starterName, supervisorName, programName:
		return true
	}
	return false
}

// Stub is the helpers' main; it returns the exit code, or never returns because
// the process has become the program.
func Stub() int {
	args := os.Args
	switch args[0] {
	case starterName:
		return startSupervisor(args[1:])
	case supervisorName:
		return supervise(args[1:])
	case programName:
		return stubProgram(args[1:])
	}
	return exitLauncher
}

// stubProgram is the process that becomes the program in the verbose form. Its
// arguments: the descriptor of the voice, the name for messages, the path, and the
// program's own arguments.
func stubProgram(args []string) int {
	if len(args) < 4 {
		return exitLauncher
	}
	voice, err := strconv.Atoi(args[0])
	if err != nil {
		return exitLauncher
	}
	unix.CloseOnExec(voice)
	err = become(&launch{name: args[1], path: args[2], argv: args[3:], voice: voice, kind: voiceAsked})
	fmt.Fprintf(os.Stderr, "%s: %v\n", args[1], err)
	return codeOf(err)
}

// find looks the program up as execvp(3) does.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrDot) {
		err = nil // the user's PATH says so
	}
	if err != nil {
		if e, ok := errors.AsType[*exec.Error](err); ok {
			err = e.Err
		}
		if errors.Is(err, exec.ErrNotFound) {
			err = unix.ENOENT
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = unix.ENOENT // without the path once more
		}
		return "", programError("find", name, err)
	}
	return path, nil
}

// launch is what a process needs to become the program.
type launch struct {
	name  string // who speaks
	path  string
	argv  []string
	voice int // the supervisor's: it gets a copy
	kind  string
}

// become starts the supervisor, filters the calling thread and executes the
// program. It returns only with an error.
func become(l *launch) error {
	runtime.LockOSThread() // the filter is this thread's, and execve ends the others
	control, err := spawnSupervisor(l)
	if err != nil {
		return launcherError("supervisor", err)
	}
	listener, steady, err := install()
	switch {
	case errors.Is(err, unix.EBUSY):
		// A run inside a run: the outer one's supervisor serves this program too.
		unix.Close(control)
		if !forced() {
			fmt.Fprintf(os.Stderr, "%s: another seccomp supervisor watches this process, so it uses TCP\n", l.name)
		}
	case err != nil:
		return launcherError("filter", explain(err))
	default:
		if err := sendListener(control, listener, steady); err != nil {
			return launcherError("supervisor", err)
		}
		unix.Close(listener)
		unix.Close(control)
	}
	return execute(l)
}

// execute is execve(2), with a shell for scripts that do not name one, as
// execvp(3) has it.
func execute(l *launch) error {
	err := syscall.Exec(l.path, l.argv, os.Environ())
	if errors.Is(err, unix.ENOEXEC) {
		argv := append([]string{"/bin/sh", l.path}, l.argv[1:]...)
		err = syscall.Exec(argv[0], argv, os.Environ())
	}
	return programError("execute", l.argv[0], err)
}

// explain adds what a refused filter means.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
		return fmt.Errorf(
			"seccomp user notification (Linux 5.14 or later, CONFIG_SECCOMP_FILTER): %w (%w)",
			mptcp.ErrNotSupported, err,
		)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("the system's policy forbids seccomp filters: %w", err)
	}
	return err
}

// forced reports whether a TCP socket of this process comes as an MPTCP one.
func forced() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return err == nil && protocol == protocolMPTCP
}

// spawnSupervisor starts the supervisor as nobody's child, through a starter that
// ends at once: the program is to find no child that it did not start. It returns
// the end over which the listener is to go.
func spawnSupervisor(l *launch) (control int, err error) {
	control, theirs, err := socketPair()
	if err != nil {
		return -1, err
	}
	defer unix.Close(theirs)
	defer func() {
		if err != nil {
			unix.Close(control)
		}
	}()
	main, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return -1, fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(main)
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", os.DevNull, err)
	}
	defer unix.Close(null)
	files := []uintptr{uintptr(null), uintptr(null), uintptr(null), uintptr(theirs), uintptr(l.voice), uintptr(main)}
	pid, err := syscall.ForkExec(
		self, []string{starterName, l.kind, l.name}, &syscall.ProcAttr{Env: os.Environ(), Files: files},
	)
	if err != nil {
		return -1, err
	}
	status, err := wait(pid, 0)
	if err == nil && status != 0 {
		err = fmt.Errorf("starter ended with status %#x", int(status))
	}
	return control, err
}

// startSupervisor is the starter.
func startSupervisor(args []string) int {
	files := []uintptr{0, 1, 2, controlFd, voiceFd, mainFd}
	_, err := syscall.ForkExec(self, append([]string{supervisorName}, args...), &syscall.ProcAttr{
		Env: os.Environ(), Files: files, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return exitLauncher
	}
	return 0
}

// wait is waitpid(2), again after a signal.
func wait(pid, options int) (syscall.WaitStatus, error) {
	var status syscall.WaitStatus
	for {
		got, err := syscall.Wait4(pid, &status, options, nil)
		if err == nil && got == pid || err != nil && !errors.Is(err, syscall.EINTR) {
			return status, err
		}
	}
}
