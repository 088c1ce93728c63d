package pcapng

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// Read reads a file for [Parse], without the blocks that Parse passes over: they are
// never held, however large they are. It asks take before it reads a block of so many
// bytes, and ends with take's error. What was read before an error comes with it. That
// the file ends in the middle of a block, or is damaged, is no error here where Parse
// reports it.
func Read(from io.Reader, take func(bytes int) error) ([]byte, error) {
	r := reader{from: from}
	for {
		start := len(r.data)
		if err := r.fill(blockHead); err != nil {
			return r.data, unlessEnd(err)
		}
		typ, length, err := r.file.header(r.data[start:])
		if err != nil {
			return r.data, nil
		}
		if err := take(length); err != nil {
			return r.data[:start], err
		}
		switch typ {
		case blockSection, blockInterface, blockPacket:
			err = r.fill(length - blockHead)
		default:
			err = r.pass(start, length)
		}
		if err != nil {
			return r.data, unlessEnd(err)
		}
	}
}

// reader gathers the blocks of a file.
type reader struct {
	from io.Reader
	data []byte
	file File // its byte order
}

// fill appends the next n bytes, or those that there are, with the reader's error.
func (r *reader) fill(n int) (err error) {
	r.data = slices.Grow(r.data, n)
	for n > 0 && err == nil {
		var got int
		got, err = r.from.Read(r.data[len(r.data) : len(r.data)+n])
		r.data = r.data[:len(r.data)+got]
		n -= got
	}
	if n == 0 {
		return nil
	}
	return err
}

// pass reads the rest of the block of which the header was read, and forgets it. Where
// the file ends before it does, the header stays: Parse then sees that the block is not
// whole.
func (r *reader) pass(start, length int) error {
	if rest := int64(length - blockHead - blockTail); rest > 0 {
		if _, err := io.CopyN(io.Discard, r.from, rest); err != nil {
			return err
		}
	}
	if length > blockHead {
		if err := r.fill(blockTail); err != nil {
			return err
		}
	}
	if int(r.file.order.Uint32(r.data[len(r.data)-blockTail:])) != length {
		return fmt.Errorf("%w: the two lengths of a block differ", ErrFormat)
	}
	r.data = r.data[:start]
	return nil
}

// unlessEnd returns the error, nil for the end of the file.
func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
