package force

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// TestMain is also the main of three programs that the tests start from this
// binary: the package's helpers, a `run` command, and a program to be run.
func TestMain(m *testing.M) {
	if IsStub(os.Args) {
		os.Exit(Stub())
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "run-command":
			os.Exit(runCommand(os.Args[2:]))
		case "run-program":
			os.Exit(program(os.Args[2:]))
		}
	}
	labtest.Main(m)
}

// runCommand is `run [-v] [-weak] CMD…`. With -weak the command runs as one without
// CAP_SYS_ADMIN would.
func runCommand(args []string) int {
	c := &Config{Argv: args, Name: "run"}
	for len(c.Argv) > 0 && strings.HasPrefix(c.Argv[0], "-") {
		switch c.Argv[0] {
		case "-v":
			c.Verbose = true
			c.Lookup = lookupAll
		case "-weak":
			if err := weaken(); err != nil {
				fmt.Fprintln(os.Stderr, "weaken:", err)
				return 99
			}
			argv := append([]string{os.Args[0], "run-command"}, args...)
			argv = append(argv[:2:2], without(argv[2:], "-weak")...)
			fmt.Fprintln(os.Stderr, "exec:", syscall.Exec("/proc/self/exe", argv, os.Environ()))
			return 99
		}
		c.Argv = c.Argv[1:]
	}
	code, err := Run(context.Background(), c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
	}
	return code
}

// without returns the list without the first such word.
func without(list []string, word string) []string {
	for i, w := range list {
		if w == word {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}

// weaken takes CAP_SYS_ADMIN from what the next execve gives root, which
// has to happen on the same thread.
func weaken() error {
	runtime.LockOSThread()
	err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_ADMIN, 0, 0, 0)
	if errors.Is(err, unix.EPERM) {
		return nil // an ordinary user has no such thing
	}
	return err
}

// lookupAll is a kernel for which every socket is a connection of two subflows.
func lookupAll(cookies []uint64) map[uint64]Used {
	found := make(map[uint64]Used)
	for _, c := range cookies {
		found[c] = Used{State: mptcp.StateEstablished, Subflows: 2}
	}
	return found
}
