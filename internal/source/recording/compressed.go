package recording

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"mptcpctl/internal/pcapng"
)

// gzipMagic is what a file compressed by gzip begins with.
var gzipMagic = []byte{0x1f, 0x8b}

// cutShort is the error of a reader where gzip's data end too early: to other readers that
// is the end of a file. It is a type, because a variable would be made at each start of the
// program.
type cutShort struct{}

func (cutShort) Error() string {
	return "compressed by gzip, and cut short: " + io.ErrUnexpectedEOF.Error()
}
func (cutShort) Unwrap() error { return io.ErrUnexpectedEOF }

// counted is a reader that knows how much was read.
type counted struct {
	from io.Reader
	n    int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n += int64(n)
	return n, err
}

// unpacked is what gzip unpacks, with errors that say so.
type unpacked struct{ zip *gzip.Reader }

func (u unpacked) Read(b []byte) (int, error) {
	n, err := u.zip.Read(b)
	switch {
	case err == nil || err == io.EOF: //nolint:errorlint // the contract of io.Reader
		return n, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, cutShort{}
	}
	return n, fmt.Errorf("compressed by gzip, but damaged: %w", err)
}

// readBounded reads a recording, which gzip may have compressed, without what is of no
// use. It refuses one of more than limit bytes, and one that would cost more than the
// allowance that comes with it. Of one that was cut short when it was compressed it
// returns what there is, with the error [io.ErrUnexpectedEOF].
func readBounded(from io.Reader, limit int64) ([]byte, *Allowance, error) {
	file := &counted{from: from}
	buffered := bufio.NewReader(file)
	allowance := NewAllowance(func() int64 { return file.n })
	magic, err := buffered.Peek(len(gzipMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	from = buffered
	if bytes.Equal(magic, gzipMagic) {
		zip, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, nil, fmt.Errorf("compressed by gzip, but damaged: %w", err)
		}
		from = unpacked{zip}
	}
	var size int64
	data, err := pcapng.Read(from, func(n int) error {
		if size += int64(n); size > limit {
			return fmt.Errorf("larger than %d MiB", limit>>20)
		}
		return allowance.Spend(n)
	})
	if err != nil && !errors.Is(err, cutShort{}) {
		data = nil
	}
	return data, allowance, err
}
