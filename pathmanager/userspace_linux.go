package pathmanager

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// RemoteAddress is an address of the peer, with the id that the peer gave it (0 for none).
type RemoteAddress struct {
	ID   mptcp.AddressID
	Addr netip.AddrPort
}

// Announce announces a local address to the peer of a connection (ADD_ADDR). The endpoint
// needs an id and the flag signal. Announcing it again sends it again.
//
// This and the other commands with a token belong to the userspace path manager. The
// connection must have been created while net.mptcp.path_manager was "userspace"
// ([fs.ErrInvalid] otherwise), and CAP_NET_ADMIN is needed ([fs.ErrPermission]). If no
// connection has the token, the error is [fs.ErrNotExist]; before Linux 5.19 it is always
// [mptcp.ErrNotSupported].
func (c *Client) Announce(ctx context.Context, t mptcp.Token, e mptcp.Endpoint) error {
	const op = "pm announce"
	if err := checkAddress(op, e.Address); err != nil {
		return err
	}
	local := of(e)
	return c.do(ctx, op, tokenObject(t, e.Address), request{command: CommandAnnounce, token: &t, local: &local}, nil)
}

// RemoveAddress withdraws an address of a connection (RM_ADDR). The peer then closes the
// subflows to it. If the id was not announced and is not in use, the error is
// [fs.ErrNotExist]. See [Client.Announce] for what else it needs.
func (c *Client) RemoveAddress(ctx context.Context, t mptcp.Token, id mptcp.AddressID) error {
	object := fmt.Sprintf("id %d token %v", id, t)
	return c.do(ctx, "pm remove", object, request{command: CommandRemoveAddress, token: &t, id: &id}, nil)
}

// CreateSubflow starts a subflow from a local address (with its id, and optionally a
// device and the flag backup) to an address of the peer. Success means only that the SYN
// was sent; an event reports that the subflow came up, or failed. See [Client.Announce]
// for what else it needs.
func (c *Client) CreateSubflow(ctx context.Context, t mptcp.Token, local mptcp.Endpoint, remote RemoteAddress) error {
	const op = "pm subflow-create"
	if err := checkPair(op, local.Address, remote.Addr.Addr()); err != nil {
		return err
	}
	from, to := of(local), ofAddrPort(remote.Addr)
	to.id = remote.ID
	return c.do(ctx, op, tokenObject(t, local.Address), request{
		command: CommandCreateSubflow, token: &t, local: &from, remote: &to,
	}, nil)
}

// DestroySubflow closes the subflow with these two addresses and ports, and forgets the id
// of the local address. If there is no such subflow, the error is [fs.ErrNotExist]. See
// [Client.Announce] for what else it needs.
func (c *Client) DestroySubflow(ctx context.Context, t mptcp.Token, local, remote netip.AddrPort) error {
	const op = "pm subflow-destroy"
	if err := checkPair(op, local.Addr(), remote.Addr()); err != nil {
		return err
	}
	from, to := ofAddrPort(local), ofAddrPort(remote)
	return c.do(ctx, op, fmt.Sprintf("%v token %v", local, t), request{
		command: CommandDestroySubflow, token: &t, local: &from, remote: &to,
	}, nil)
}

// SetSubflowFlags makes a subflow a backup if local.Flags has the flag backup, and an
// ordinary subflow otherwise. A port that is 0 matches any. If there is no such subflow,
// the error is [fs.ErrNotExist]. See [Client.Announce] for what else it needs.
func (c *Client) SetSubflowFlags(
	ctx context.Context, t mptcp.Token, local mptcp.Endpoint, remote netip.AddrPort,
) error {
	const op = "pm set-flags"
	if err := checkPair(op, local.Address, remote.Addr()); err != nil {
		return err
	}
	from, to := of(local), ofAddrPort(remote)
	from.withFlag = true
	return c.do(ctx, op, tokenObject(t, local.Address), request{
		command: CommandSetFlags, token: &t, local: &from, remote: &to,
	}, nil)
}

// Addresses lists the local addresses that a userspace path manager gave to a connection.
// It needs no privilege. If no connection has the token, the error is [fs.ErrNotExist];
// before Linux 6.10 it is always [mptcp.ErrNotSupported].
func (c *Client) Addresses(ctx context.Context, t mptcp.Token) iter.Seq2[mptcp.Endpoint, error] {
	return func(yield func(mptcp.Endpoint, error) bool) {
		const op = "pm addresses"
		object := "token " + t.String()
		if err := c.checkTokenHeeded(ctx, op, object); err != nil {
			yield(mptcp.Endpoint{}, err)
			return
		}
		all, err := c.list(ctx, op, object, addressesOf(t))
		yieldAll(all, err, yield)
	}
}

// Address returns the local address with the id that a userspace path manager
// gave to a connection. See [Client.Addresses].
func (c *Client) Address(ctx context.Context, t mptcp.Token, id mptcp.AddressID) (mptcp.Endpoint, error) {
	const op = "pm addresses"
	object := fmt.Sprintf("id %d token %v", id, t)
	if err := c.checkTokenHeeded(ctx, op, object); err != nil {
		return mptcp.Endpoint{}, err
	}
	r := addressesOf(t)
	r.local = &address{id: id, withID: true}
	return c.one(ctx, op, object, r)
}

func addressesOf(t mptcp.Token) request { return request{command: CommandGetEndpoint, token: &t} }

// checkTokenHeeded returns an error if the kernel ignores the token, as Linux does before
// 6.10, and answers with the endpoints of the namespace. It asks about token 0, which no
// connection has: a kernel that heeds the token refuses that.
func (c *Client) checkTokenHeeded(ctx context.Context, op, object string) error {
	_, err := c.list(ctx, op, object, addressesOf(0))
	if _, refused := errors.AsType[*Error](err); err != nil && !refused {
		return err
	}
	if err != nil {
		return nil
	}
	return &Error{
		Op: op, Object: object, Message: "this kernel does not tell the addresses of a connection, Linux 6.10 does",
		Err: unix.EOPNOTSUPP, kind: mptcp.ErrNotSupported,
	}
}

// checkPair refuses addresses that cannot be encoded.
func checkPair(op string, local, remote netip.Addr) error {
	if err := checkAddress(op, local); err != nil {
		return err
	}
	return checkAddress(op, remote)
}

// tokenObject names an address of a connection in an error.
func tokenObject(t mptcp.Token, a netip.Addr) string { return fmt.Sprintf("%v token %v", a, t) }
