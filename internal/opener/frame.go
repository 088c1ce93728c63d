package opener

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A question is a count and as many inodes of sockets, an answer a length and as many bytes
// of JSON; all numbers have 32 bits, the most significant byte first.
const (
	mostInodes = 1 << 20
	mostAnswer = 256 << 20
)

var errTooLarge = errors.New("larger than the protocol between server and opener allows")

// appendQuestion appends the question who holds these sockets.
func appendQuestion(b []byte, inodes map[uint32]bool) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(inodes)))
	for inode := range inodes {
		b = binary.BigEndian.AppendUint32(b, inode)
	}
	return b
}

// readQuestion reads one question. Its error is io.EOF where the server has ended.
func readQuestion(r io.Reader) (map[uint32]bool, error) {
	var word [4]byte
	if _, err := io.ReadFull(r, word[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(word[:])
	if n > mostInodes {
		return nil, fmt.Errorf("%d sockets: %w", n, errTooLarge)
	}
	inodes := map[uint32]bool{}
	for range n {
		if _, err := io.ReadFull(r, word[:]); err != nil {
			return nil, fmt.Errorf("a question of %d sockets: %w", n, io.ErrUnexpectedEOF)
		}
		inodes[binary.BigEndian.Uint32(word[:])] = true
	}
	return inodes, nil
}

// writeAnswer writes one answer.
func writeAnswer(w io.Writer, text []byte) error {
	if len(text) > mostAnswer {
		return fmt.Errorf("an answer of %d bytes: %w", len(text), errTooLarge)
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}

// readAnswer reads one answer.
func readAnswer(r io.Reader) ([]byte, error) {
	var word [4]byte
	if _, err := io.ReadFull(r, word[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(word[:])
	if n > mostAnswer {
		return nil, fmt.Errorf("an answer of %d bytes: %w", n, errTooLarge)
	}
	text, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && len(text) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	return text, err
}
