package history

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"

	"mptcpctl/internal/chronicle"
)

// Reader reads a history, also one that is being written.
type Reader struct {
	path string
	root *os.Root
}

// Damage is the error of a file of which a part cannot be read.
type Damage struct {
	File string
	Err  error
}

func (d *Damage) Error() string { return fmt.Sprintf("%s: %v", d.File, d.Err) }

// Unwrap returns what was wrong.
func (d *Damage) Unwrap() error { return d.Err }

// NewReader opens the folder of a history. The error unwraps to that of the file system.
func NewReader(path string) (*Reader, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Reader{path, root}, nil
}

// Close closes the folder.
func (r *Reader) Close() error { return r.root.Close() }

// Files returns the files in the order of their lines.
func (r *Reader) Files() ([]File, error) { return files(r.root) }

// Span is a span of time, both ends included. A zero time means no bound.
type Span struct{ From, To time.Time }

// Holds reports whether a time is in the span.
func (s *Span) Holds(t time.Time) bool {
	return (s.From.IsZero() || !t.Before(s.From)) && (s.To.IsZero() || !t.After(s.To))
}

// slack is by how much the times of lines may differ from that of their file: lines are
// written within a second or two of what they tell.
const slack = 10 * time.Second

// touches reports whether lines of the span may be in the file. Where the clock was set back
// while it was written, nobody knows.
func (s *Span) touches(f *File) bool {
	if f.End.Before(f.Begin) {
		return true
	}
	return (s.From.IsZero() || !f.End.Add(slack).Before(s.From)) && (s.To.IsZero() || !f.Begin.Add(-slack).After(s.To))
}

// Lines returns the lines of files that may have lines of the span, all of them, in their
// order. A line is valid until the next one. Where a part of a file cannot be read, a
// [*Damage] stands in its place, and the next file follows.
func (r *Reader) Lines(ctx context.Context, span Span) iter.Seq2[chronicle.Line, error] {
	return func(yield func(chronicle.Line, error) bool) {
		list, err := r.Files()
		if err != nil {
			yield(chronicle.Line{}, err)
			return
		}
		for i := range list {
			if !span.touches(&list[i]) {
				continue
			}
			for l, err := range r.FileLines(ctx, &list[i]) {
				if !yield(l, err) || ctx.Err() != nil {
					return
				}
			}
		}
	}
}

// FileLines returns the lines of one file.
func (r *Reader) FileLines(ctx context.Context, f *File) iter.Seq2[chronicle.Line, error] {
	return r.linesBehind(ctx, f, new(int64))
}

// linesBehind returns the lines of a file behind so many bytes of text, to which it adds what
// it reads. Of a compressed file it returns all.
func (r *Reader) linesBehind(ctx context.Context, f *File, offset *int64) iter.Seq2[chronicle.Line, error] {
	return func(yield func(chronicle.Line, error) bool) {
		from, err := r.root.Open(f.Name)
		if errors.Is(err, os.ErrNotExist) && !f.Packed {
			from, err = r.openPacked(f) // it was closed meanwhile
		}
		if errors.Is(err, os.ErrNotExist) {
			return // it was removed, being the oldest
		}
		if err != nil {
			yield(chronicle.Line{}, &Damage{f.Name, err})
			return
		}
		defer from.Close()
		text := io.Reader(from)
		if f.Packed {
			unpacked, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window),
				zstd.WithDecoderLowmem(true))
			if err != nil {
				yield(chronicle.Line{}, &Damage{f.Name, err})
				return
			}
			defer unpacked.Close()
			text = unpacked
		} else if _, err := from.Seek(*offset, io.SeekStart); err != nil {
			yield(chronicle.Line{}, &Damage{f.Name, err})
			return
		}
		scan(ctx, text, f, offset, yield)
	}
}

// openPacked opens the file that an open one has become.
func (r *Reader) openPacked(f *File) (*os.File, error) {
	list, err := r.Files()
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].First == f.First && list[i].Packed {
			*f = list[i]
			return r.root.Open(f.Name)
		}
	}
	return nil, os.ErrNotExist
}

func scan(
	ctx context.Context, text io.Reader, f *File, offset *int64, yield func(chronicle.Line, error) bool,
) {
	lines := bufio.NewReaderSize(text, 64<<10)
	for ctx.Err() == nil {
		t, err := readLine(lines)
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.Is(err, errLong):
		case err != nil:
			yield(chronicle.Line{}, &Damage{f.Name, err})
			return
		}
		*offset += int64(len(t.bytes)) + t.skipped
		var l chronicle.Line
		if err == nil {
			l, err = chronicle.Parse(t.bytes)
		}
		if err != nil {
			err = &Damage{f.Name, err}
		}
		if !yield(l, err) {
			return
		}
	}
}
