package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"mptcpctl/internal/exit"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/scenario"
)

// ScenarioShell opens a shell where a scenario goes wrong.
func (r *Runner) ScenarioShell(ctx context.Context, s scenario.Scenario) error {
	t, err := r.start(ctx, s, r.narrator())
	if err != nil {
		return err
	}
	defer t.Close()
	fmt.Fprintf(r.Out, "\nThis shell is on the %s. Try: mptcpctl connection; mptcpctl doctor\n", s.Host)
	return r.shell(t.Host())
}

// NetworkShell opens a shell on the client of a network, with a server that listens.
func (r *Runner) NetworkShell(ctx context.Context, topology lab.Topology) error {
	tell := r.narrator()
	l, err := r.open(ctx, topology, tell)
	if err != nil {
		return err
	}
	defer l.Close()
	t := &trial{Runner: r, lab: l, tell: tell}
	defer t.close()
	if _, err := t.start(ctx, lab.ServerHost, lab.ServerHost, false, "nc", "-l", "-k", "-p", port); err != nil {
		return err
	}
	server := l.Topology().Paths[0].Destination
	fmt.Fprintf(r.Out, shellHints, server, port, server, server, port)
	return r.shell(l.Host(lab.ClientHost), "SERVER="+l.Host(lab.ServerHost).Path())
}

// shellHints is what the shell on a client is greeted with.
const shellHints = `
This shell is on the client; the server is %v and listens at port %s. To begin with:
  mptcpctl limits set subflows 1; mptcpctl -n $SERVER limits set subflows 1
  mptcpctl paths to %v
  mptcpctl monitor > events & (then, any time: cat events)
  mptcpctl nc %v %s
A second terminal on the client: nsenter --target PID --net sh, where this shell's PID is what
"echo $$" prints (as an ordinary user: nsenter --target PID --user --net --preserve-credentials sh).
`

// shell runs the user's shell in the host to its end, with these variables
// in its environment.
func (r *Runner) shell(host *lab.Host, variables ...string) error {
	tools, err := newToolDirectory()
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	defer tools.close()
	signal.Ignore(syscall.SIGINT, syscall.SIGQUIT) // they are the shell's
	defer signal.Reset(syscall.SIGINT, syscall.SIGQUIT)
	cmd := tools.shell(r, host.Name)
	cmd.Env = append(cmd.Env, variables...)
	if err := host.Start(cmd); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return shellStatus(cmd.Wait())
}

// toolDirectory is a folder in which this program is found by its name.
type toolDirectory struct {
	path string
}

func newToolDirectory() (*toolDirectory, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp("", "mptcpctl-lab-")
	if err != nil {
		return nil, err
	}
	d := &toolDirectory{path}
	if err := os.Symlink(self, filepath.Join(path, "mptcpctl")); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// close removes the folder. What is left of it, if that fails, is a link.
func (d *toolDirectory) close() { os.RemoveAll(d.path) }

// shell returns the user's shell with the program in its path, and a prompt that
// names the host.
func (d *toolDirectory) shell(r *Runner, host string) *exec.Cmd {
	program := os.Getenv("SHELL")
	if program == "" {
		program = "/bin/sh"
	}
	cmd := exec.Command(program)
	if filepath.Base(program) == "bash" { // its own files would give it the host's prompt
		cmd.Args = append(cmd.Args, "--norc", "--noprofile")
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r.Stdin, r.Out, r.Stderr
	cmd.Env = append(os.Environ(), "PATH="+d.path+":"+os.Getenv("PATH"), "PS1=["+host+"]# ")
	return cmd
}

// shellStatus passes the shell's exit code on.
func shellStatus(err error) error {
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.ExitCode() >= 0 {
		return exit.Status(ended.ExitCode())
	}
	return err
}
