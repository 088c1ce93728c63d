package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"mptcpctl/internal/compat"
	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/force"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/netcat"
	"mptcpctl/internal/proposal"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// report tells what went wrong and returns the exit code. inv is nil where the
// command line was not understood so far.
func (a *app) report(inv *grammar.Invocation, err error) int {
	code := exitCode(inv, err)
	if code == 0 || code == exit.Interrupted {
		return code
	}
	if _, silent := errors.AsType[exit.Status](err); silent {
		return code
	}
	fmt.Fprintf(a.Stderr, "%s: %v%s\n", a.program, err, advice(err))
	if usage, ok := errors.AsType[*grammar.UsageError](err); ok {
		topic := "help"
		if usage.Path != "" {
			topic = "help " + usage.Path
		}
		fmt.Fprintf(a.Stderr, "Try: %s %s\n", a.program, topic)
	}
	return code
}

// named gives an error of the iproute2-shaped commands the command's name, unless
// it names it already, and its exit code.
func named(inv *grammar.Invocation, err error) error {
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*iproute.ArgumentError](err); ok {
		meant := proposal.DidYouMean(wrong.Word, wrong.Names)
		return exit.With(wrong.Code, fmt.Errorf("%s: %w%s", inv.Path, err, meant))
	}
	if _, ok := errors.AsType[*pathmanager.Error](err); ok {
		return err
	}
	return fmt.Errorf("%s: %w", inv.Path, err)
}

// exitCode returns the exit code that the error stands for.
func exitCode(inv *grammar.Invocation, err error) int {
	ipRoute := inv != nil && inv.Command.IPRoute
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return 0 // the reader of our output has seen enough
	}
	if status, ok := errors.AsType[exit.Status](err); ok {
		return int(status)
	}
	if f, ok := errors.AsType[*exit.Failure](err); ok {
		return f.Code
	}
	if inv != nil && inv.Command.Trouble != 0 && !errors.Is(err, context.Canceled) {
		return inv.Command.Trouble
	}
	if _, ok := errors.AsType[*grammar.UsageError](err); ok {
		if ipRoute {
			return exit.IPUsage
		}
		return exit.Usage
	}
	if errors.Is(err, context.Canceled) {
		return exit.Interrupted
	}
	if ipRoute {
		return exit.IPRefused
	}
	return exit.Failed
}

// advice says what to do about an error, in brackets, where the error does not say
// it itself.
func advice(err error) string {
	if _, said := errors.AsType[*lab.MissingError](err); said {
		return ""
	}
	if nc, ok := errors.AsType[*netcat.Error](err); ok && nc.Hint != "" {
		return ""
	}
	if hint, ok := errors.AsType[*hinted](err); ok {
		return "\nTry: " + hint.line
	}
	if _, entering := errors.AsType[*enterError](err); entering && errors.Is(err, fs.ErrPermission) {
		return " (entering a network namespace needs CAP_SYS_ADMIN: run it as root)"
	}
	switch {
	case errors.Is(err, fs.ErrPermission) && saidWhich(err):
		return ""
	case errors.Is(err, fs.ErrPermission):
		return " (this needs CAP_NET_ADMIN in the network namespace: run it as root; commands that only show " +
			"something work without)"
	case errors.Is(err, mptcp.ErrDisabled):
		return " (enable it: sysctl -w net.mptcp.enabled=1)"
	case errors.Is(err, mptcp.ErrNotSupported):
		return " (MPTCP needs Linux 5.6 or later with CONFIG_MPTCP=y)"
	}
	return ""
}

// saidWhich reports whether a refusal is that of a file or of a program to run, for
// which CAP_NET_ADMIN is nothing, or says itself what it needs.
func saidWhich(err error) bool {
	_, file := errors.AsType[*fs.PathError](err)
	_, program := errors.AsType[*force.Error](err)
	_, named := errors.AsType[compat.Errno](err)
	_, worded := errors.AsType[quiet](err)
	return file || program || named || worded
}

// hinted is an error with a command line that helps.
type hinted struct {
	line string
	err  error
}

func (e *hinted) Error() string { return e.err.Error() }
func (e *hinted) Unwrap() error { return e.err }
