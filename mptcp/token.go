package mptcp

import (
	"fmt"
	"strconv"
	"strings"
)

// Token identifies a connection on this host (RFC 8684 section 3.1): the first 32
// bits of the hash of the local key. Zero is no token: a socket that has not
// negotiated MPTCP.
type Token uint32

const hexDigits = "0123456789abcdef"

// Append appends the token as eight hexadecimal digits.
func (t Token) Append(b []byte) []byte {
	const d = hexDigits
	return append(
		b, d[t>>28], d[t>>24&0xf], d[t>>20&0xf], d[t>>16&0xf], d[t>>12&0xf], d[t>>8&0xf], d[t>>4&0xf], d[t&0xf],
	)
}

// String returns the token as eight hexadecimal digits, as `ip mptcp monitor`
// prints it. (ss drops leading zeros: compare tokens as numbers.)
func (t Token) String() string { return string(t.Append(make([]byte, 0, 8))) }

// AppendText implements [encoding.TextAppender] with the form of String.
func (t Token) AppendText(b []byte) ([]byte, error) { return t.Append(b), nil }

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (t Token) MarshalText() ([]byte, error) { return t.Append(nil), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with ParseToken.
func (t *Token) UnmarshalText(text []byte) (err error) {
	*t, err = ParseToken(string(text))
	return err
}

// ParseToken reads a token as any tool prints it: up to eight hexadecimal digits,
// with or without leading zeros and with or without "0x".
func ParseToken(s string) (Token, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || strings.HasPrefix(digits, "+") {
		return 0, fmt.Errorf("token %q: want up to 8 hexadecimal digits", s)
	}
	return Token(n), nil
}

// AddressID is the id of an address within a connection (RFC 8684 section 3.4.1).
// 0 is the address of the initial subflow. On an endpoint, 0 asks the kernel to
// choose an id.
type AddressID uint8

// Key identifies one connection over the life of an observer: the network
// namespace, the token, and a number that tells apart the connections that had
// the same token one after the other.
type Key struct {
	Netns    string
	Token    Token
	Instance uint32
}

// String returns the key as NETNS/TOKEN, without the namespace where it is the
// observer's own, and with #INSTANCE where the token was used before.
func (k Key) String() string {
	s := k.Token.String()
	if k.Netns != "" {
		s = k.Netns + "/" + s
	}
	if k.Instance > 0 {
		s += "#" + strconv.FormatUint(uint64(k.Instance), 10)
	}
	return s
}
