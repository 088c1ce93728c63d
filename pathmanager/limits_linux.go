package pathmanager

import (
	"context"

	"mptcpctl/mptcp"
)

// Limits returns the limits of the network namespace. It needs no privilege.
func (c *Client) Limits(ctx context.Context) (mptcp.Limits, error) {
	return again(func() (l mptcp.Limits, err error) {
		err = c.do(ctx, "limits show", "", request{command: CommandGetLimits}, func(msg []byte) (err error) {
			l, err = decodeLimits(msg)
			return err
		})
		return l, err
	})
}

// SetLimits changes the limits of the network namespace, also for connections that exist.
// It needs CAP_NET_ADMIN ([fs.ErrPermission]). A value above the kernel's maximum (8 up to
// Linux 7.1, 64 since) is [fs.ErrInvalid], and then nothing is changed.
func (c *Client) SetLimits(ctx context.Context, u LimitsUpdate) error {
	return c.do(ctx, "limits set", "", request{command: CommandSetLimits, limits: u}, nil)
}
