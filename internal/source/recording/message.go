package recording

import (
	"encoding/binary"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
)

// The families of netlink messages, and the cooked header in front of them
// (https://www.tcpdump.org/linktypes/LINKTYPE_NETLINK.html).
const (
	NetlinkSockDiag = 4
	NetlinkGeneric  = 16

	CookedSize     = 16
	arphrdNetlink  = 824
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
	if len(packet) < CookedSize {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(packet[CookedSize-2:]), packet[CookedSize:], true
}

// tellsOfSocket reports whether the message is a row of inet_diag.
func tellsOfSocket(m nlmsg.Message) bool {
	return m.Type() == uapi.SockDiagByFamily || m.Type() == uapi.TCPDiagGetSock
}

// AppendRows appends the messages of the datagram that wanted accepts, of those
// that tell of a socket.
func AppendRows(b, datagram []byte, wanted func(payload []byte) bool) []byte {
	for m := range nlmsg.Messages(datagram) {
		if tellsOfSocket(m) && wanted(m.Payload()) {
			b = nlmsg.Pad(append(b, m...))
		}
	}
	return b
}
