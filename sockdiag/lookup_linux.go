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

// Connection returns the connection with this token. The error is an [*Error]; [errors.Is]
// holds for [io/fs.ErrNotExist] if there is none, and for [mptcp.ErrNotSupported]. It needs
// no privilege.
func (c *Client) Connection(ctx context.Context, t mptcp.Token) (Connection, error) {
	var found Connection
	var failed error
	for row, err := range c.ConnectionsByToken(ctx, []mptcp.Token{t}) {
		found, failed = row, err
	}
	return found, failed
}

// ConnectionsByToken looks up connections, many in one system call. It yields one result
// for each token, in their order. If there is no such connection, the error is
// [io/fs.ErrNotExist], only Info.Token is set, and the iteration goes on; any other error
// ends it. Errors and privilege are otherwise those of [Client.Connection].
func (c *Client) ConnectionsByToken(ctx context.Context, tokens []mptcp.Token) iter.Seq2[Connection, error] {
	const op = "connection lookup"
	return func(yield func(Connection, error) bool) {
		if err := c.checkMPTCP(ctx); err != nil {
			yield(Connection{}, &Error{Op: op, Err: err})
			return
		}
		q := &query{protocol: uapi.IPPROTO_MPTCP, ext: 1 << (uapi.InetDiagInfo - 1)}
		request := func(b []byte, i int, seq uint32) []byte {
			// The first word of the cookie is the token; nothing else is looked at.
			id := Socket{Family: mptcp.FamilyINET, Cookie: uint64(tokens[i])}
			return appendRequest(b, uapi.SockDiagByFamily, nlmsg.FlagRequest, seq, q, &id)
		}
		var row Connection
		err := c.lookup(ctx, q.protocol, len(tokens), request, func(i int, payload []byte, err error) (bool, error) {
			row = Connection{Info: Info{Token: tokens[i]}}
			if err == nil {
				c.knowsMPTCP.Store(true)
				if err = DecodeConnection(payload, &row); err != nil {
					return false, err
				}
				if !row.Gone() {
					return yield(row, nil), nil
				}
				row, err = Connection{Info: Info{Token: tokens[i]}}, unix.ENOENT
			}
			if errors.Is(err, unix.ENOENT) {
				if err := c.checkAbsent(ctx); err != nil {
					return false, err
				}
				return yield(row, &Error{Op: op, Object: tokens[i].String(), Err: unix.ENOENT}), nil
			}
			return false, err
		})
		if err != nil {
			yield(Connection{}, &Error{Op: op, Err: err})
		}
	}
}

// Subflow returns the TCP socket with the family, addresses, device and cookie of s, as an
// earlier list gave them. The error is an [*Error]; [errors.Is] holds for
// [io/fs.ErrNotExist] if the socket is gone, even if another one has its addresses now. It
// needs no privilege.
func (c *Client) Subflow(ctx context.Context, s Socket) (Subflow, error) {
	var found Subflow
	var failed error
	for row, err := range c.SubflowsBySocket(ctx, []Socket{s}) {
		found, failed = row, err
	}
	return found, failed
}

// SubflowsBySocket looks up TCP sockets as [Client.Subflow] does, many in one system call.
// It yields one result for each, in their order. If a socket is gone, the error is
// [io/fs.ErrNotExist], Socket is the one of the question, and the iteration goes on; any
// other error ends it.
func (c *Client) SubflowsBySocket(ctx context.Context, sockets []Socket) iter.Seq2[Subflow, error] {
	const op = "subflow lookup"
	return func(yield func(Subflow, error) bool) {
		q := &query{protocol: unix.IPPROTO_TCP, ext: 1 << (uapi.InetDiagInfo - 1), states: AllStates}
		request := func(b []byte, i int, seq uint32) []byte {
			return appendRequest(b, uapi.SockDiagByFamily, nlmsg.FlagRequest, seq, q, &sockets[i])
		}
		var row Subflow
		err := c.lookup(ctx, q.protocol, len(sockets), request, func(i int, payload []byte, err error) (bool, error) {
			if err == nil {
				if err = DecodeSubflow(payload, &row); err != nil {
					return false, err
				}
				return yield(row, nil), nil
			}
			if errors.Is(err, unix.ENOENT) {
				return yield(Subflow{Socket: sockets[i]}, &Error{Op: op, Object: sockets[i].String(), Err: err}), nil
			}
			return false, err
		})
		if err != nil {
			yield(Subflow{}, &Error{Op: op, Err: err})
		}
	}
}

// lookupBatch is the number of questions in one datagram. Each answer takes up to 2.3 kB of
// the socket's receive buffer, whose default of 208 KiB holds them all.
const lookupBatch = 64

// answerFunc is called with the answer to question i: the payload, or the kernel's error.
type answerFunc func(i int, payload []byte, err error) (bool, error)

// lookup asks n questions and calls answer with the answers in order, until that returns
// false or an error. If the receive buffer had no room for some, it asks for those again,
// fewer at a time.
func (c *Client) lookup(
	ctx context.Context, protocol uint32, n int,
	request func(b []byte, i int, seq uint32) []byte, answer answerFunc,
) error {
	s, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release(s)
	size := lookupBatch
	for next := 0; next < n; {
		if err := ctx.Err(); err != nil {
			return err
		}
		count := min(size, n-next)
		first := s.seq + 1
		s.req = s.req[:0]
		for i := range count {
			s.seq++
			s.req = request(s.req, next+i, s.seq)
		}
		s.busy, s.protocol = true, protocol
		if err := s.send(s.req); err != nil {
			return err
		}
		answered, more, err := s.answers(next, count, first, answer)
		if err != nil || !more {
			return err
		}
		if answered < count {
			if size == 1 {
				return unix.ENOBUFS
			}
			size = max(1, min(answered, size/2))
		}
		next += answered
	}
	return nil
}

// answers reads the answers to count questions, the first of which has number base and
// sequence number first. Fewer come if the receive buffer was full.
func (s *conn) answers(base, count int, first uint32, answer answerFunc) (answered int, more bool, err error) {
	for answered < count {
		batch, err := s.read()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			continue // those that found room come after it
		case errors.Is(err, unix.EAGAIN):
			s.busy = false
			return answered, true, nil
		case err != nil:
			return answered, false, err
		}
		for len(batch) > 0 {
			m, rest, ok := nlmsg.Next(batch)
			if !ok {
				return answered, false, errTruncated
			}
			batch = rest
			if m.Sequence() != first+uint32(answered) ||
				m.Type() != nlmsg.TypeError && m.Type() != uapi.SockDiagByFamily {
				continue
			}
			var refusal error
			if m.Type() == nlmsg.TypeError {
				refusal = refusalOf(m)
			}
			answered++
			s.busy = answered < count
			if more, err := answer(base+answered-1, m.Payload(), refusal); err != nil || !more {
				return answered, false, err
			}
		}
	}
	return answered, true, nil
}
