package sockdiag

import (
	"context"
	"fmt"

	"mptcpctl/internal/kernel"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"

	"golang.org/x/sys/unix"
)

// CheckSubflows returns nil if an empty list of [Client.Subflows] means that there are no
// subflows. Before Linux 6.15 (tcp_diag_get_aux) the kernel says only to processes with
// CAP_NET_ADMIN which TCP sockets are subflows, and to others connections seem to have
// none. Ask only after an empty list, because the answer takes the beginning of a dump.
//
// The error is an [*Error]; [errors.Is] holds for [io/fs.ErrPermission] if the kernel hides
// the subflows, and otherwise as for [Client.Connections].
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
		err = fmt.Errorf("before Linux 6.15 (this is %s) the kernel says only to processes with CAP_NET_ADMIN "+
			"which TCP sockets are subflows: %w", release, unix.EPERM)
	}
	if err != nil {
		return &Error{Op: q.op, Err: err}
	}
	return nil
}

// toldPrivileged reports whether the kernel answered a process with CAP_NET_ADMIN: to no
// other does it show the mark of a socket (inet_diag_msg_attrs_fill).
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

// PrivilegedSubflows reports whether a kernel of this release, such as "6.1.0-18-amd64",
// says only to processes with CAP_NET_ADMIN which TCP sockets are subflows, as kernels
// before 6.15 do. It returns true for a release that it cannot read.
func PrivilegedSubflows(release string) bool {
	before, ok := kernel.Before(release, 6, 15)
	return before || !ok
}
