package sockdiag

import (
	"iter"
	"syscall"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
)

// aboutSocket reports whether the message is about a socket: a row of a dump has the type
// of the request.
func aboutSocket(m nlmsg.Message) bool {
	return m.Type() == uapi.SockDiagByFamily || m.Type() == uapi.TCPDiagGetSock
}

// refusalOf returns the error that a message of netlink itself carries, nil for an
// acknowledgement.
func refusalOf(m nlmsg.Message) error {
	switch code, ok := m.Code(); {
	case !ok:
		return errTruncated
	case code < 0:
		return syscall.Errno(-code)
	}
	return nil
}

// Payloads yields the payloads of the sockets in a datagram of netlink messages,
// such as a Tap is shown, for [DecodeConnection] or [DecodeSubflow]. They are parts
// of the datagram. It leaves out other messages, and ends at a broken one.
func Payloads(datagram []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for m := range nlmsg.Messages(datagram) {
			if aboutSocket(m) && !yield(m.Payload()) {
				return
			}
		}
	}
}
