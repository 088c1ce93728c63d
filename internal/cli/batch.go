package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"mptcpctl/internal/compat"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
)

// batch runs the command lines of a file, or of standard input for "-". It stops
// at the first line that fails, unless -force is given; either way the exit code
// is then 1.
func (a *app) batch(ctx context.Context, o grammar.Options, operands int) int {
	if operands > 0 {
		return a.report(nil, &grammar.UsageError{Message: "-batch takes its commands from the file: nothing may follow it"})
	}
	lines, done, err := a.openBatch(o.Batch)
	if err != nil {
		return a.report(nil, exit.With(exit.Failed, err))
	}
	defer done()
	return a.batchLines(ctx, lines, &o, func(words []string) (code int, fatal bool) {
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

func (a *app) openBatch(name string) (r io.Reader, done func(), err error) {
	if name == "-" {
		return a.Stdin, func() {}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("Cannot open file %q for reading: %w", name, compat.CError(err)) //lint:ignore ST1005 iproute2's words
	}
	return f, func() { f.Close() }, nil
}

// batchLines gives each command line to run. A fatal failure ends the batch with
// its code, whatever -force says.
func (a *app) batchLines(ctx context.Context, r io.Reader, o *grammar.Options, run func(words []string) (code int, fatal bool)) int {
	lines := batchReader{r: bufio.NewReader(r)}
	result := 0
	for ctx.Err() == nil {
		words, err := lines.next()
		if errors.Is(err, io.EOF) {
			return result
		}
		if err != nil {
			return a.report(nil, exit.With(exit.Failed, fmt.Errorf("%s:%d: %w", o.Batch, lines.number, err)))
		}
		if len(words) == 0 {
			continue
		}
		code, fatal := run(words)
		if fatal {
			return code
		}
		if code != 0 {
			fmt.Fprintf(a.Stderr, "Command failed %s:%d\n", o.Batch, lines.number)
			result = exit.Failed
			if !o.Force {
				return result
			}
		}
	}
	return 128 + int(syscall.SIGINT)
}

// batchReader reads iproute2's batch files: words separated by blanks, quoted by
// ' or ", # to the end of the line ignored, a backslash at the end joining lines.
type batchReader struct {
	r      *bufio.Reader
	number int // of the line last read
}

// next returns the words of the next command line, which may be none, or io.EOF.
func (b *batchReader) next() ([]string, error) {
	var text string
	for {
		line, err := b.r.ReadString('\n')
		if line == "" && err != nil {
			if text != "" && errors.Is(err, io.EOF) {
				break
			}
			return nil, err
		}
		b.number++
		line, _, _ = strings.Cut(strings.TrimSuffix(line, "\n"), "#")
		joined, more := strings.CutSuffix(line, `\`)
		text += joined
		if !more {
			break
		}
	}
	return splitWords(text)
}

// splitWords splits a line as iproute2's batch mode does.
func splitWords(line string) ([]string, error) {
	const blanks = " \t\r\n"
	var words []string
	for {
		line = strings.TrimLeft(line, blanks)
		if line == "" {
			return words, nil
		}
		if quote := line[0]; quote == '\'' || quote == '"' {
			word, rest, closed := strings.Cut(line[1:], string(quote))
			if !closed {
				return nil, errors.New("unterminated quoted string")
			}
			words, line = append(words, word), rest
			continue
		}
		end := strings.IndexAny(line, blanks)
		if end < 0 {
			end = len(line)
		}
		words, line = append(words, line[:end]), line[end:]
	}
}
