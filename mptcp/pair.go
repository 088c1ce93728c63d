package mptcp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Pair names a connection at both of its ends, also through NAT: each end computes the
// same one alone, from the initial data sequence numbers of both directions (RFC 8684
// section 3.1). It is a hash, because a data sequence number is of use to an attacker on
// the path. The zero value is no pair: the kernel did not tell the numbers.
type Pair [16]byte

// NewPair returns the pair of a connection whose first bytes have these data sequence
// numbers, in either order: the first 16 bytes of SHA-256 over "mptcp pair 1", the lesser
// and the greater number, each of 8 bytes, the most significant first.
func NewPair(one, other uint64) (p Pair) {
	const domain = "mptcp pair 1"
	var text [len(domain) + 16]byte
	copy(text[:], domain)
	binary.BigEndian.PutUint64(text[len(domain):], min(one, other))
	binary.BigEndian.PutUint64(text[len(domain)+8:], max(one, other))
	sum := sha256.Sum256(text[:])
	copy(p[:], sum[:])
	return p
}

// IsZero reports whether it is no pair.
func (p Pair) IsZero() bool { return p == Pair{} }

// String returns 32 hexadecimal digits, "" for no pair.
func (p Pair) String() string {
	if p.IsZero() {
		return ""
	}
	return hex.EncodeToString(p[:])
}

// AppendText implements [encoding.TextAppender] with the form of String.
func (p Pair) AppendText(b []byte) ([]byte, error) { return append(b, p.String()...), nil }

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (p Pair) MarshalText() ([]byte, error) { return p.AppendText(nil) }

// UnmarshalText implements [encoding.TextUnmarshaler]: 32 hexadecimal digits, or none.
func (p *Pair) UnmarshalText(text []byte) error {
	*p = Pair{}
	if len(text) == 0 {
		return nil
	}
	if n, err := hex.Decode(p[:], text[:min(len(text), 2*len(p))]); err != nil || 2*n != len(text) || n != len(p) {
		*p = Pair{}
		return fmt.Errorf("pair %q: %w", text, errPair)
	}
	return nil
}

var errPair = errors.New("want 32 hexadecimal digits")
