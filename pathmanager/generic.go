package pathmanager

import (
	"fmt"

	"mptcpctl/internal/nlmsg"
)

// genlHeaderSize is the size of the header of a generic netlink message, struct
// genlmsghdr (linux/genetlink.h).
const genlHeaderSize = 4

// genlPayload returns the command and the attributes of a whole generic netlink
// message.
func genlPayload(b []byte) (cmd uint8, attrs []byte, err error) {
	msg, _, ok := nlmsg.Next(b)
	if !ok {
		return 0, nil, nlmsg.Damage(b)
	}
	if t := msg.Type(); t < nlmsg.MinType {
		return 0, nil, fmt.Errorf("netlink control message %d", t)
	}
	if len(msg) < nlmsg.HeaderSize+genlHeaderSize {
		return 0, nil, fmt.Errorf("generic netlink message of %d bytes is shorter than its header", len(msg))
	}
	return msg[nlmsg.HeaderSize], msg[nlmsg.HeaderSize+genlHeaderSize:], nil
}

// newRequest starts a generic netlink request. finish sets its length, and the
// connection that sends it the sequence number.
func newRequest(family, flags uint16, cmd, version uint8) []byte {
	b := nlmsg.AppendHeader(make([]byte, 0, 128), family, flags|nlmsg.FlagRequest, 0)
	return append(b, cmd, version, 0, 0)
}

// finish sets the length of the request.
func finish(b []byte) []byte {
	nlmsg.SetLength(b)
	return b
}
