package iproute

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"mptcpctl/internal/compat"
	"mptcpctl/internal/exit"
)

// Batch runs the command lines of a file.
type Batch struct {
	Name   string          // of the file, "-" for Stdin
	Force  bool            // go on behind a line that failed
	Stdin  io.Reader       // of the program
	Stderr io.Writer       // is told which line failed
	Report func(error) int // prints why a line cannot be read, and returns the exit code
}

// Open returns the lines, and what closes them.
func (b *Batch) Open() (r io.Reader, done func(), err error) {
	if b.Name == "-" {
		return b.Stdin, func() {}, nil
	}
	f, err := os.Open(b.Name)
	if err != nil {
		return nil, nil, fmt.Errorf(
			"Cannot open file %q for reading: %w", b.Name, compat.CError(err),
		) //lint:ignore ST1005 iproute2's words
	}
	return f, func() { f.Close() }, nil
}

// Run gives each command line to run and returns the exit code, which is 1 where one
// failed. A fatal failure ends the batch with its code, whatever Force says.
func (b *Batch) Run(ctx context.Context, r io.Reader, run func(words []string) (code int, fatal bool)) int {
	lines := batchReader{r: bufio.NewReader(r)}
	result := 0
	for ctx.Err() == nil {
		words, err := lines.next()
		if errors.Is(err, io.EOF) {
			return result
		}
		if err != nil {
			return b.Report(exit.With(exit.Failed, fmt.Errorf("%s:%d: %w", b.Name, lines.number, err)))
		}
		if len(words) == 0 {
			continue
		}
		code, fatal := run(words)
		if fatal {
			return code
		}
		if code != 0 {
			fmt.Fprintf(b.Stderr, "Command failed %s:%d\n", b.Name, lines.number)
			result = exit.Failed
			if !b.Force {
				return result
			}
		}
	}
	return exit.Interrupted
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
	return SplitWords(text)
}

// SplitWords splits a line as iproute2's batch mode does.
func SplitWords(line string) ([]string, error) {
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
