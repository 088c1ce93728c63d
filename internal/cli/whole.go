package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mptcpctl/internal/cli/face"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
)

// Faces carry out the commands that need the libraries of the terminal view and of the web
// server. To load these costs a command that asks the kernel one thing more than its
// question: the quick program, mptcpctl, has neither, and the whole one, mptcpctl-full,
// has both. They share all else.
type Faces struct {
	Top   func(ctx context.Context, inv *grammar.Invocation, dial func() (line.PathManager, error)) error
	Serve func(ctx context.Context, inv *grammar.Invocation, version string) error
	// History carries out the verbs of history, At the commands that show a moment of it.
	History History
	At      grammar.Run
}

// History has the verbs of history.
type History struct{ List, Show, Diff, Verify grammar.Run }

func (a *app) top() grammar.Command {
	return face.Top(func(ctx context.Context, inv *grammar.Invocation) error {
		return a.faces.Top(ctx, inv, func() (line.PathManager, error) { return a.pathManager() })
	})
}

func (a *app) serve() grammar.Command {
	return face.Serve(func(ctx context.Context, inv *grammar.Invocation) error {
		return a.faces.Serve(ctx, inv, moduleVersion())
	})
}

func (a *app) history() grammar.Command {
	h := &a.faces.History
	return face.History(
		func(ctx context.Context, inv *grammar.Invocation) error { return h.List(ctx, inv) },
		func(ctx context.Context, inv *grammar.Invocation) error { return h.Show(ctx, inv) },
		func(ctx context.Context, inv *grammar.Invocation) error { return h.Diff(ctx, inv) },
		func(ctx context.Context, inv *grammar.Invocation) error { return h.Verify(ctx, inv) },
	)
}

// lack reports whether the command is one of another program than this.
func (f *Faces) lack(path string) bool {
	return path == "top" && f.Top == nil || path == "serve" && f.Serve == nil ||
		strings.HasPrefix(path, "history") && f.History.List == nil
}

// wholeProgram is the file name of the program with all faces.
const wholeProgram = "mptcpctl-full"

// becomeWhole goes on as the whole program with the same command line. It returns only
// with an error.
func (a *app) becomeWhole(inv *grammar.Invocation) error {
	if a.batchFile != "" {
		return fmt.Errorf(
			"%s: in a batch only the program %s has it: %[2]s -batch %[3]s", inv.Path, wholeProgram, a.batchFile,
		)
	}
	self, err := filepath.EvalSymlinks("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	for _, program := range wholePrograms(self) {
		err := syscall.Exec(program, os.Args, os.Environ())
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: start %s: %w", inv.Path, program, err)
		}
	}
	return fmt.Errorf("%s needs the program %s, which is neither beside %s nor in ../libexec/mptcpctl: "+
		"install the package mptcpctl, or build it with `go build ./cmd/%[2]s` and put it there",
		inv.Path, wholeProgram, self)
}

// wholePrograms returns where the whole program may be: beside this one, or where
// packages put it.
func wholePrograms(self string) []string {
	directory := filepath.Dir(self)
	return []string{
		filepath.Join(directory, wholeProgram),
		filepath.Join(filepath.Dir(directory), "libexec", "mptcpctl", wholeProgram),
	}
}
