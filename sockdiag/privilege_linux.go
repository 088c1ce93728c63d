package sockdiag

import (
	"context"
	"fmt"

	"mptcpctl/internal/kernel"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"

	"golang.org/x/sys/unix"
)

// CheckSubflows returns nil where [Client.Subflows] can be believed when it is empty.
// Before Linux 6.15 (tcp_diag_get_aux) the kernel tells CAP_NET_ADMIN alone which TCP
// sockets are subflows, and to others a connection looks as if it had none. Ask only
// where no subflow was seen: the answer takes a dump's beginning. Where there is no
// MPTCP socket nothing is kept back.
//
// The error is an [*Error]; errors.Is holds for fs.ErrPermission where the subflows are
// kept back, and otherwise for what holds with [Client.Connections].
func (c *Client) CheckSubflows(ctx context.Context) error {
	release := kernel.Release()
	if !PrivilegedSubflows(release) {
		return nil
	}
	privileged, found := false, false
	q := newQuery("subflow list", uapi.IPPROTO_MPTCP, &Request{States: AllStates, NoInfo: true})
	err := c.dump(ctx, q, func(payload []byte) (bool, error) {
		privileged, found = toldPrivileged(payload), true
		return false, nil
	})
	if err == nil && found && !privileged {
		err = fmt.Errorf("before Linux 6.15 (this is %s) the kernel tells CAP_NET_ADMIN only which TCP sockets are subflows: %w", release, unix.EPERM)
	}
	if err != nil {
		return &Error{Op: q.op, Err: err}
	}
	return nil
}

// toldPrivileged reports whether the kernel took who asked for a holder of
// CAP_NET_ADMIN: it shows the mark of a socket to no other (inet_diag_msg_attrs_fill).
func toldPrivileged(payload []byte) bool {
	if len(payload) < uapi.InetDiagMsgSize {
		return false
	}
	for rest := payload[uapi.InetDiagMsgSize:]; ; {
		typ, _, next, ok := nlmsg.NextAttribute(rest)
		if !ok || typ == uapi.InetDiagMark {
			return ok
		}
		rest = next
	}
}

// PrivilegedSubflows reports whether a kernel of this release tells CAP_NET_ADMIN alone
// which TCP sockets are subflows, as those before 6.15 do. Of one whose release cannot
// be read it is assumed.
func PrivilegedSubflows(release string) bool {
	before, ok := kernel.Before(release, 6, 15)
	return before || !ok
}
