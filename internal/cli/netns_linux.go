package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"mptcpctl/internal/compat"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/thread"
)

// enteredEnv names the network namespace that enterNetns started the program in.
const enteredEnv = "MPTCPCTL_ENTERED_NETNS"

// netnsDir is where ip-netns(8) keeps its names.
const netnsDir = "/run/netns"

// enteredNetns returns the namespace, as -n named it, that this process was
// started in by enterNetns, or "". Programs that we start do not inherit the
// mark.
func enteredNetns() string {
	name := os.Getenv(enteredEnv)
	os.Unsetenv(enteredEnv)
	return name
}

// enterNetns starts the program again inside the network namespace, so that all
// its threads are in it. It returns only with an error, whose exit code is
// iproute2's.
func enterNetns(name string) error { return enterNetnsWith(name, os.Args) }

// enterError tells that a network namespace is there and cannot be entered.
type enterError struct {
	name string
	err  error
}

func (e *enterError) Error() string {
	return fmt.Sprintf("setting the network namespace %q failed: %v", e.name, e.err)
}
func (e *enterError) Unwrap() error { return e.err }

// enterNetnsWith is enterNetns with another command line, args[0] included.
func enterNetnsWith(name string, args []string) error {
	ns, err := openNetns(name)
	if err != nil {
		return exit.With(exit.IPUsage, err)
	}
	defer ns.Close()
	runtime.LockOSThread() // not unlocked: nobody else may run in that namespace
	if err := thread.Enter(ns); err != nil {
		return exit.With(exit.IPUsage, &enterError{name, compat.CError(err)})
	}
	env := append(os.Environ(), enteredEnv+"="+name)
	err = syscall.Exec(ownCommand()[0], args, env)
	return exit.With(exit.IPUsage, fmt.Errorf("start again inside the network namespace %q: %w", name, err))
}

// openNetns opens a namespace by a name of ip-netns(8), a path, or the id of a
// process in it.
func openNetns(name string) (*os.File, error) {
	path := name
	if !strings.Contains(name, "/") {
		path = netnsDir + "/" + name
	}
	f, err := os.Open(path)
	if _, notNumber := strconv.ParseUint(name, 10, 31); errors.Is(err, fs.ErrNotExist) && notNumber == nil {
		f, err = os.Open("/proc/" + name + "/ns/net")
	}
	if err != nil {
		return nil, fmt.Errorf(
			"Cannot open network namespace %q: %w", name, compat.CError(err),
		) //lint:ignore ST1005 iproute2's words
	}
	return f, nil
}
