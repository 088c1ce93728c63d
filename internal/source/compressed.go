package source

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// gzipMagic is what a file compressed by gzip begins with.
var gzipMagic = []byte{0x1f, 0x8b}

// readBounded reads a recording, which gzip may have compressed. It refuses one of
// more than limit bytes, also where a few bytes say that many. Of one that was cut
// short when it was compressed it returns what there is, with the error
// [io.ErrUnexpectedEOF].
func readBounded(from io.Reader, limit int64) ([]byte, error) {
	buffered := bufio.NewReader(from)
	from = buffered
	magic, err := buffered.Peek(len(gzipMagic))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	compressed := bytes.Equal(magic, gzipMagic)
	if compressed {
		zip, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("compressed by gzip, but damaged: %w", err)
		}
		from = zip
	}
	data, err := io.ReadAll(io.LimitReader(from, limit+1))
	switch {
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("larger than %d MiB", limit>>20)
	case compressed && errors.Is(err, io.ErrUnexpectedEOF):
		return data, fmt.Errorf("compressed by gzip, and cut short: %w", err)
	case compressed && err != nil:
		return nil, fmt.Errorf("compressed by gzip, but damaged: %w", err)
	case err != nil:
		return nil, err
	}
	return data, nil
}
