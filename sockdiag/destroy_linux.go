package sockdiag

import (
	"context"
	"errors"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"

	"golang.org/x/sys/unix"
)

// Destroy ends the subflow with the family, addresses, device and cookie of s, as an
// earlier list gave them (SOCK_DESTROY). The peer gets a reset, and the other subflows
// carry on. It cannot end a whole connection, because the kernel has no such function for
// MPTCP sockets; a connection without subflows lingers for net.mptcp.close_timeout.
//
// The error is an [*Error]; [errors.Is] holds for [io/fs.ErrPermission] without
// CAP_NET_ADMIN, for [io/fs.ErrNotExist] if the socket is gone or is no TCP socket, and for
// [mptcp.ErrNotSupported] if the kernel was built without CONFIG_INET_DIAG_DESTROY.
func (c *Client) Destroy(ctx context.Context, s Socket) error {
	q := &query{protocol: unix.IPPROTO_TCP}
	request := func(b []byte, _ int, seq uint32) []byte {
		return appendRequest(b, uapi.SockDestroy, nlmsg.FlagRequest|nlmsg.FlagAck, seq, q, &s)
	}
	var refusal error
	err := c.lookup(ctx, q.protocol, 1, request, func(_ int, _ []byte, err error) (bool, error) {
		refusal = err
		return true, nil
	})
	if err == nil {
		err = refusal
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = notSupported("ending sockets (CONFIG_INET_DIAG_DESTROY)", err)
	}
	if err != nil {
		return &Error{Op: "subflow destroy", Object: s.String(), Err: err}
	}
	return nil
}
