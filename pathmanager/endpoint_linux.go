package pathmanager

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"mptcpctl/mptcp"
)

// Endpoints lists the endpoints of the network namespace. An error ends the list. It needs
// no privilege.
func (c *Client) Endpoints(ctx context.Context) iter.Seq2[mptcp.Endpoint, error] {
	return func(yield func(mptcp.Endpoint, error) bool) {
		all, err := c.list(ctx, "endpoint show", "", request{command: CommandGetEndpoint})
		yieldAll(all, err, yield)
	}
}

// Endpoint returns the endpoint with the id, or an error that is
// [fs.ErrNotExist]. It needs no privilege.
func (c *Client) Endpoint(ctx context.Context, id mptcp.AddressID) (mptcp.Endpoint, error) {
	return c.one(ctx, "endpoint show", idObject(id), request{
		command: CommandGetEndpoint,
		local:   &address{id: id, withID: true},
	})
}

// AddEndpoint adds an endpoint. With ID 0 the kernel chooses the id. It needs
// CAP_NET_ADMIN ([fs.ErrPermission]). The error is [fs.ErrExist] if the address or the id
// is taken, [mptcp.ErrTooMany] if the table is full, and [fs.ErrInvalid] for flags that
// exclude each other.
//
// The kernel accepts flags that it does not know, and drops them without an error (Linux
// 6.16 and 6.17 keep them, without effect). It also accepts addresses that this host does
// not have, from which no subflow can start. Read the endpoint back to see what the kernel
// has made of it.
func (c *Client) AddEndpoint(ctx context.Context, e mptcp.Endpoint) error {
	const op = "endpoint add"
	if err := checkAddress(op, e.Address); err != nil {
		return err
	}
	local := of(e)
	err := c.do(ctx, op, e.Address.String(), request{command: CommandAddEndpoint, local: &local}, nil)
	if refused, ok := errors.AsType[*Error](err); ok && refused.ambiguous() {
		have, listErr := c.list(ctx, "endpoint show", "", request{command: CommandGetEndpoint})
		if listErr == nil {
			classifyTwin(refused, e, have)
		}
	}
	return err
}

// RemoveEndpoint removes the endpoint with the id, and with it the subflows that use it
// and its announcements. It needs CAP_NET_ADMIN ([fs.ErrPermission]). If no endpoint has
// the id, the error is [fs.ErrNotExist].
//
// Id 0 is refused ([fs.ErrInvalid]), because it is no endpoint, and the kernel would close
// initial subflows instead: see [Client.CloseInitialSubflows].
func (c *Client) RemoveEndpoint(ctx context.Context, id mptcp.AddressID) error {
	const op = "endpoint delete"
	if id == 0 {
		return invalid(op, idObject(id), "id 0 is not an endpoint, it stands for the initial subflows")
	}
	return c.do(ctx, op, idObject(id), request{command: CommandRemoveEndpoint, local: &address{id: id}}, nil)
}

// CloseInitialSubflows closes the initial subflow of each connection that has the local
// address, and withdraws address id 0 from the peers. It removes no endpoint, and succeeds
// even if no connection matches. It needs CAP_NET_ADMIN ([fs.ErrPermission]).
func (c *Client) CloseInitialSubflows(ctx context.Context, local netip.Addr) error {
	const op = "endpoint delete id 0"
	if err := checkAddress(op, local); err != nil {
		return err
	}
	return c.do(ctx, op, local.String(), request{
		command: CommandRemoveEndpoint,
		local:   &address{addr: local, withID: true},
	}, nil)
}

// FlushEndpoints removes all endpoints at once. It needs CAP_NET_ADMIN
// ([fs.ErrPermission]).
func (c *Client) FlushEndpoints(ctx context.Context) error {
	return c.do(ctx, "endpoint flush", "", request{command: CommandFlushEndpoints}, nil)
}

// Selector names an endpoint: by its address and port, or without an address by its id.
// With both, the address counts, as in the kernel (mptcp_pm_nl_set_flags).
type Selector struct {
	ID      mptcp.AddressID
	Address netip.Addr
	Port    uint16
}

// Names reports whether the selector names the endpoint. The port counts only for an
// endpoint that has one.
func (s Selector) Names(e mptcp.Endpoint) bool {
	if !s.Address.IsValid() {
		return e.ID == s.ID
	}
	return e.Address.Unmap() == s.Address.Unmap() && (e.Port == 0 || e.Port == s.Port)
}

// String returns "id 3", or the address and its port.
func (s Selector) String() string {
	switch {
	case !s.Address.IsValid() && s.ID != 0:
		return idObject(s.ID)
	case s.Port != 0:
		return netip.AddrPortFrom(s.Address, s.Port).String()
	}
	return s.Address.String()
}

// SetEndpointFlags sets the flags backup and fullmesh of an endpoint and of the subflows
// that started from it. It overwrites both: a flag that is not given is cleared. The kernel
// ignores the other flags. It needs CAP_NET_ADMIN ([fs.ErrPermission]). If there is no such
// endpoint, the error is [fs.ErrNotExist].
func (c *Client) SetEndpointFlags(ctx context.Context, sel Selector, flags mptcp.EndpointFlags) error {
	const op = "endpoint change"
	local := address{id: sel.ID, flags: flags, withFlag: true}
	if sel.ID == 0 || sel.Address.IsValid() {
		if err := checkAddress(op, sel.Address); err != nil {
			return err
		}
		local.addr, local.port = sel.Address, sel.Port
	}
	return c.do(ctx, op, sel.String(), request{command: CommandSetFlags, local: &local}, nil)
}

// checkAddress refuses what the kernel's attributes cannot hold.
func checkAddress(op string, a netip.Addr) error {
	if !a.IsValid() {
		return invalid(op, "", "an address is needed")
	}
	if a.Zone() != "" {
		return invalid(op, a.String(), "an address takes no zone: name the device on its own")
	}
	return nil
}

// idObject names an id in an error.
func idObject(id mptcp.AddressID) string { return fmt.Sprintf("id %d", id) }
