package force

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Config says what to run, and how.
type Config struct {
	Argv    []string // the program and its arguments
	Verbose bool     // stay in front of the program, and report its sockets at the end

	// The program's standard streams; nil: the calling process's own.
	Stdin, Stdout, Stderr *os.File

	Name string // who speaks in messages; "": "mptcpctl: run"

	// The rest is for the verbose form.

	Report io.Writer // where notices and the report go; nil: standard error
	// Lookup returns what the kernel says now of those of the sockets, named by
	// their cookies (SO_COOKIE), that it still knows. It is called by one goroutine
	// at a time, every few milliseconds while sockets are young. nil: the report
	// tells the sockets and not what became of them.
	Lookup func(cookies []uint64) map[uint64]Used
	// Interval is the time between two looks at sockets that are older than a
	// second; 0: 250 ms.
	Interval time.Duration
}

// Run runs a program with MPTCP in place of TCP.
//
// Unless c.Verbose, the calling process becomes the program, with all that belongs
// to it, and Run returns only if that fails. In the verbose form Run returns the
// program's exit code, 128+n if signal n ended it, after the report is written;
// when ctx ends first, the program is killed.
//
// The code that comes with an error is the one to exit with: 127 where the program
// was not found (errors.Is(err, fs.ErrNotExist)), 126 where it cannot be executed,
// 125 where MPTCP cannot be forced at all ([mptcp.ErrNotSupported] for a kernel that
// lacks what is needed). MPTCP that is merely switched off is no error: the program
// then gets TCP, and a line on standard error says so once.
func Run(ctx context.Context, c *Config) (int, error) {
	if len(c.Argv) == 0 {
		return exitLauncher, launcherError("run", unix.EINVAL)
	}
	path, err := find(c.Argv[0])
	if err != nil {
		return codeOf(err), err
	}
	name := c.Name
	if name == "" {
		name = "mptcpctl: run"
	}
	if c.Verbose {
		return front(ctx, c, name, path)
	}
	if err := redirect(c); err != nil {
		return exitLauncher, launcherError("run", err)
	}
	err = become(&launch{name: name, path: path, argv: c.Argv, voice: 2, kind: voiceText})
	return codeOf(err), err
}

// redirect makes the configured files the process's standard streams.
func redirect(c *Config) error {
	for fd, file := range []*os.File{c.Stdin, c.Stdout, c.Stderr} {
		if file == nil || int(file.Fd()) == fd {
			continue
		}
		if err := unix.Dup3(int(file.Fd()), fd, 0); err != nil {
			return err
		}
	}
	return nil
}
