// Package nlmsg walks over netlink messages and attributes, and appends them: the one
// place that knows their framing (linux/netlink.h). It is pure, allocates nothing while it
// walks, and takes whatever bytes there are.
//
// Numbers are in the byte order of the machine. Messages and attributes are padded to
// four bytes; the padding of the last one may be missing.
package nlmsg

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// Sizes of the headers, struct nlmsghdr and struct nlattr.
const (
	HeaderSize          = 16
	AttributeHeaderSize = 4
)

// Types of messages that belong to netlink itself. Below MinType there are no others.
const (
	TypeError = 2    // NLMSG_ERROR
	TypeDone  = 3    // NLMSG_DONE
	MinType   = 0x10 // NLMSG_MIN_TYPE
)

// Flags of messages.
const (
	FlagRequest = 0x1   // NLM_F_REQUEST
	FlagAck     = 0x4   // NLM_F_ACK
	FlagDump    = 0x300 // NLM_F_DUMP
	FlagCapped  = 0x100 // NLM_F_CAPPED, in an error: the request is not repeated
	FlagAckTLVs = 0x200 // NLM_F_ACK_TLVS, in an error: extended ACK attributes follow
)

// Align rounds a length up to four bytes (NLMSG_ALIGN, NLA_ALIGN).
func Align(n int) int { return (n + 3) &^ 3 }

// Message is a whole message: it has a header, and is as long as that says.
type Message []byte

// Type returns the type of the message.
func (m Message) Type() uint16 { return binary.NativeEndian.Uint16(m[4:]) }

// Flags returns the flags of the message.
func (m Message) Flags() uint16 { return binary.NativeEndian.Uint16(m[6:]) }

// Sequence returns the number that an answer has in common with its request.
func (m Message) Sequence() uint32 { return binary.NativeEndian.Uint32(m[8:]) }

// Payload returns what follows the header.
func (m Message) Payload() []byte { return m[HeaderSize:] }

// Code returns the number that a message of TypeError or TypeDone begins with: 0 for done,
// or an errno below 0. It reports false if there is none.
func (m Message) Code() (code int32, ok bool) {
	b := m.Payload()
	if len(b) < 4 {
		return 0, m.Type() == TypeDone
	}
	return int32(binary.NativeEndian.Uint32(b)), true
}

// Next splits the first message off a datagram. It reports false at the end, and where the
// rest is no whole message: see [Damage].
func Next(b []byte) (m Message, rest []byte, ok bool) {
	if len(b) < HeaderSize {
		return nil, nil, false
	}
	n := int64(binary.NativeEndian.Uint32(b))
	if n < HeaderSize || n > int64(len(b)) {
		return nil, nil, false
	}
	return b[:n:n], b[min(Align(int(n)), len(b)):], true
}

// Messages yields the messages of a datagram, up to one that is not whole.
func Messages(b []byte) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for m, rest, ok := Next(b); ok && yield(m); m, rest, ok = Next(rest) {
		}
	}
}

// Damage returns why Next finds no message in b, nil where it finds one.
func Damage(b []byte) error {
	if len(b) < HeaderSize {
		return fmt.Errorf("netlink message of %d bytes is shorter than its header", len(b))
	}
	if _, _, ok := Next(b); !ok {
		return fmt.Errorf("netlink message says %d bytes where %d are there", binary.NativeEndian.Uint32(b), len(b))
	}
	return nil
}

// AppendHeader appends the header of a message. [SetLength] completes it.
func AppendHeader(b []byte, typ, flags uint16, sequence uint32) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	return append(b, 0, 0, 0, 0) // the port id, which the kernel fills in
}

// SetLength makes msg, which begins with a header, a whole message.
func SetLength(msg []byte) { binary.NativeEndian.PutUint32(msg, uint32(len(msg))) }

// SetSequence numbers a message.
func SetSequence(msg []byte, sequence uint32) { binary.NativeEndian.PutUint32(msg[8:], sequence) }

// Pad appends zeros up to where the next message may begin.
func Pad(b []byte) []byte { return append(b, make([]byte, Align(len(b))-len(b))...) }
