package cli

import (
	"context"

	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
)

// batch runs the command lines of a file, or of standard input for "-". It stops
// at the first line that fails, unless -force is given; either way the exit code
// is then 1.
func (a *app) batch(ctx context.Context, o grammar.Options, operands int) int {
	if operands > 0 {
		return a.report(
			nil, &grammar.UsageError{Message: "-batch takes its commands from the file: nothing may follow it"},
		)
	}
	batch := &iproute.Batch{
		Name:   o.Batch,
		Force:  o.Force,
		Stdin:  a.Stdin,
		Stderr: a.Stderr,
		Report: func(err error) int { return a.report(nil, err) },
	}
	lines, done, err := batch.Open()
	if err != nil {
		return a.report(nil, exit.With(exit.Failed, err))
	}
	defer done()
	a.batchFile = o.Batch
	return batch.Run(ctx, lines, func(words []string) (code int, fatal bool) {
		line := o
		line.Batch = ""
		rest, err := line.Front(words)
		if err == nil && (line.Netns != o.Netns || line.Batch != "") {
			err = &grammar.UsageError{Message: "-netns and -batch stand in front of the whole batch"}
		}
		if err != nil {
			return a.report(nil, err), false
		}
		return a.command(ctx, line, rest, o.Netns), false
	})
}
