package sockdiag

import (
	"context"
	"errors"
	"iter"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// ConnectionDetails looks up connections by token as [Client.ConnectionsByToken] does, with
// the memory of their sockets. Connections that are gone are left out. An error, an [*Error],
// ends the list. It needs no privilege.
func (c *Client) ConnectionDetails(ctx context.Context, tokens []mptcp.Token) iter.Seq2[ConnectionDetail, error] {
	q := &query{op: "connection details", protocol: uapi.IPPROTO_MPTCP, ext: detailExt}
	request := func(b []byte, i int, seq uint32) []byte {
		// The first word of the cookie is the token; nothing else is looked at.
		id := Socket{Family: mptcp.FamilyINET, Cookie: uint64(tokens[i])}
		return appendRequest(b, uapi.SockDiagByFamily, nlmsg.FlagRequest, seq, q, &id)
	}
	return func(yield func(ConnectionDetail, error) bool) {
		if err := c.checkMPTCP(ctx); err != nil {
			yield(ConnectionDetail{}, &Error{Op: q.op, Err: err})
			return
		}
		present := func(d *ConnectionDetail) bool { return !d.Gone() }
		details(ctx, c, q, len(tokens), request, DecodeConnectionDetail, present, yield)
	}
}

// SubflowDetails looks up TCP sockets as [Client.SubflowsBySocket] does, with the figures that
// say what limits their rate. Sockets that are gone are left out. An error, an [*Error], ends
// the list. It needs no privilege; what of MPTCP it needs, see [Client.Subflows].
func (c *Client) SubflowDetails(ctx context.Context, sockets []Socket) iter.Seq2[SubflowDetail, error] {
	q := &query{op: "subflow details", protocol: unix.IPPROTO_TCP, ext: detailExt, states: AllStates}
	request := func(b []byte, i int, seq uint32) []byte {
		return appendRequest(b, uapi.SockDiagByFamily, nlmsg.FlagRequest, seq, q, &sockets[i])
	}
	return func(yield func(SubflowDetail, error) bool) {
		present := func(*SubflowDetail) bool { return true }
		details(ctx, c, q, len(sockets), request, DecodeSubflowDetail, present, yield)
	}
}

// details asks n questions, and yields the decoded answers about sockets that are present.
func details[T any](
	ctx context.Context, c *Client, q *query, n int, request func(b []byte, i int, seq uint32) []byte,
	decode func([]byte, *T) error, present func(*T) bool, yield func(T, error) bool,
) {
	err := c.lookup(ctx, q.protocol, n, request, func(_ int, payload []byte, err error) (bool, error) {
		if errors.Is(err, unix.ENOENT) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		var row T
		if err := decode(payload, &row); err != nil {
			return false, err
		}
		return !present(&row) || yield(row, nil), nil
	})
	if err != nil {
		var none T
		yield(none, &Error{Op: q.op, Err: err})
	}
}
