package sockdiag

import (
	"encoding/binary"
	"iter"
	"syscall"

	"mptcpctl/internal/uapi"
)

// Netlink's framing: 16 bytes of header, and for each attribute 4.
const (
	headerSize     = 16
	attrHeaderSize = 4

	typeError = 2      // NLMSG_ERROR
	typeDone  = 3      // NLMSG_DONE
	attrMask  = 0x3fff // NLA_TYPE_MASK: without the nested and byte order bits
)

// message is a netlink message within a receive buffer.
type message struct {
	typ     uint16
	seq     uint32
	payload []byte
}

// nextMessage takes the first message off b. It reports false where b is too short
// for what its header promises.
func nextMessage(b []byte) (m message, rest []byte, ok bool) {
	if len(b) < headerSize {
		return message{}, nil, false
	}
	ne := binary.NativeEndian
	length := int(ne.Uint32(b))
	if length < headerSize || length > len(b) {
		return message{}, nil, false
	}
	m = message{typ: ne.Uint16(b[4:]), seq: ne.Uint32(b[8:]), payload: b[headerSize:length]}
	return m, b[min((length+3)&^3, len(b)):], true
}

// socket reports whether the message is of a socket: a row of a dump has the type of
// the request.
func (m *message) socket() bool {
	return m.typ == uapi.SockDiagByFamily || m.typ == uapi.TCPDiagGetSock
}

// errno returns the error that an NLMSG_ERROR or NLMSG_DONE message carries, nil
// for an acknowledgement.
func (m *message) errno() error {
	if len(m.payload) < 4 {
		if m.typ == typeDone {
			return nil
		}
		return errTruncated
	}
	if code := int32(binary.NativeEndian.Uint32(m.payload)); code < 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// Payloads yields the payloads of the sockets in a datagram of netlink messages,
// such as a Tap is shown, for [DecodeConnection] or [DecodeSubflow]. They are parts
// of the datagram. Other messages are left out, and a broken one is the end.
func Payloads(datagram []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for {
			m, rest, ok := nextMessage(datagram)
			if !ok || m.socket() && !yield(m.payload) {
				return
			}
			datagram = rest
		}
	}
}

// nextAttribute takes the first attribute off b. It reports false at the end, and
// where the rest of b is too short for what the header promises.
func nextAttribute(b []byte) (typ uint16, value, rest []byte, ok bool) {
	if len(b) < attrHeaderSize {
		return 0, nil, nil, false
	}
	length := int(binary.NativeEndian.Uint16(b))
	if length < attrHeaderSize || length > len(b) {
		return 0, nil, nil, false
	}
	typ = binary.NativeEndian.Uint16(b[2:]) & attrMask
	return typ, b[attrHeaderSize:length:length], b[min((length+3)&^3, len(b)):], true
}
