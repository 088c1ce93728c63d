package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"mptcpctl/internal/grammar"
)

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

// shell returns the user's shell with the program in its path.
func (d *toolDirectory) shell(inv *grammar.Invocation) *exec.Cmd {
	program := os.Getenv("SHELL")
	if program == "" {
		program = "/bin/sh"
	}
	cmd := exec.Command(program)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inv.Stdin, inv.Stdout, inv.Stderr
	cmd.Env = append(os.Environ(), "PATH="+d.path+":"+os.Getenv("PATH"), "PS1=[client]# ")
	return cmd
}

// shellStatus passes the shell's exit code on.
func shellStatus(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() >= 0 {
		return exitStatus(exit.ExitCode())
	}
	return err
}
