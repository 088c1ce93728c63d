package source

import (
	"encoding/binary"
	"iter"

	"mptcpctl/internal/uapi"
)

// The families of netlink messages, and the cooked header in front of them
// (https://www.tcpdump.org/linktypes/LINKTYPE_NETLINK.html).
const (
	netlinkSockDiag = 4
	netlinkGeneric  = 16

	cookedSize     = 16
	arphrdNetlink  = 824
	nlmsgSize      = 16
	genericControl = 0x10 // GENL_ID_CTRL
)

// appendCooked appends the header that says of which netlink family the messages
// behind it are.
func appendCooked(b []byte, family uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, 0) // to us
	b = binary.BigEndian.AppendUint16(b, arphrdNetlink)
	b = append(b, make([]byte, 10)...)
	return binary.BigEndian.AppendUint16(b, family)
}

// cooked takes a packet apart. It reports false where it is too short.
func cooked(packet []byte) (family uint16, messages []byte, ok bool) {
	if len(packet) < cookedSize {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(packet[cookedSize-2:]), packet[cookedSize:], true
}

// message is a netlink message as a whole.
type message []byte

func (m message) typ() uint16      { return binary.NativeEndian.Uint16(m[4:]) }
func (m message) sequence() uint32 { return binary.NativeEndian.Uint32(m[8:]) }
func (m message) payload() []byte  { return m[nlmsgSize:] }

// messagesIn yields the messages of a datagram, up to a broken one.
func messagesIn(b []byte) iter.Seq[message] {
	return func(yield func(message) bool) {
		for len(b) >= nlmsgSize {
			length := uint64(binary.NativeEndian.Uint32(b))
			if length < nlmsgSize || length > uint64(len(b)) {
				return
			}
			if !yield(message(b[:length:length])) {
				return
			}
			b = b[min((length+3)&^3, uint64(len(b))):]
		}
	}
}

// tellsOfSocket reports whether the message is a row of inet_diag.
func (m message) tellsOfSocket() bool {
	return m.typ() == uapi.SockDiagByFamily || m.typ() == uapi.TCPDiagGetSock
}

// appendRows appends the messages of the datagram that wanted accepts, of those
// that tell of a socket.
func appendRows(b, datagram []byte, wanted func(payload []byte) bool) []byte {
	for m := range messagesIn(datagram) {
		if !m.tellsOfSocket() || !wanted(m.payload()) {
			continue
		}
		b = append(b, m...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	return b
}
