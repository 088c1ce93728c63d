package sockdiag

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// bufferSize holds any datagram of a dump: the kernel makes them 32 KiB at most.
const bufferSize = 64 << 10

// conn is a netlink socket with what a request needs. It serves one request at a time.
type conn struct {
	transport
	tap  func(uint32, []byte)
	buf  []byte
	req  []byte
	seq  uint32
	seen cookieSet
	busy bool // answers are outstanding

	shown int // rows of the list so far

	protocol uint32 // that was asked about
}

// read reads a datagram into the buffer.
func (s *conn) read() ([]byte, error) {
	n, err := s.receive(s.buf)
	if err != nil {
		return nil, err
	}
	if s.tap != nil {
		s.tap(s.protocol, s.buf[:n])
	}
	return s.buf[:n], nil
}

// Connections lists the MPTCP connections of the namespace: those of AF_INET sockets, then
// those of AF_INET6 sockets, each once. r may be nil. Listeners are listed only if r.States
// has their state.
//
// An error, an [*Error], ends the list. [errors.Is] holds for [mptcp.ErrNotSupported], and
// for the error of ctx after its end. It needs no privilege.
func (c *Client) Connections(ctx context.Context, r *Request) iter.Seq2[Connection, error] {
	return values(c.EachConnection(ctx, r))
}

// EachConnection is [Client.Connections] for long lists: it yields the same
// variable again and again, which holds one connection until the next is asked for.
// With an error it is nil.
func (c *Client) EachConnection(ctx context.Context, r *Request) iter.Seq2[*Connection, error] {
	return c.connections(ctx, newQuery("connection list", uapi.IPPROTO_MPTCP, r))
}

// values copies what the rows point to.
func values[T any](rows iter.Seq2[*T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range rows {
			if row == nil {
				row = new(T)
			}
			if !yield(*row, err) {
				return
			}
		}
	}
}

// Listeners lists the MPTCP listeners of the namespace. RecvQueue is the number of
// connections that wait to be accepted, SendQueue the backlog. Errors and privilege are
// those of [Client.Connections].
//
// The kernel's own listeners, for endpoints with a port, are among them with an inode that
// no process holds and without an address (Linux 6.18), because only their TCP socket is
// bound. [Client.Subflows] lists that socket if States has the listening state.
func (c *Client) Listeners(ctx context.Context) iter.Seq2[Connection, error] {
	r := &Request{States: StatesOf(mptcp.StateListen)}
	return values(c.connections(ctx, newQuery("listener list", uapi.IPPROTO_MPTCP, r)))
}

func (c *Client) connections(ctx context.Context, q *query) iter.Seq2[*Connection, error] {
	return func(yield func(*Connection, error) bool) {
		err := c.checkMPTCP(ctx)
		if err == nil {
			var row Connection
			err = c.dump(ctx, q, func(payload []byte) (bool, error) {
				if err := DecodeConnection(payload, &row); err != nil {
					return false, err
				}
				return row.Gone() || yield(&row, nil), nil
			})
		}
		if err != nil {
			yield(nil, &Error{Op: q.op, Err: err})
		}
	}
}

// Subflows lists the TCP sockets that are subflows of MPTCP connections, each once, and
// also those whose connection is gone. r may be nil. With r.AllTCP it lists all TCP
// sockets.
//
// An error, an [*Error], ends the list. [errors.Is] holds for [mptcp.ErrNotSupported], and
// for the error of ctx after its end. It needs no privilege since Linux 6.15, and
// CAP_NET_ADMIN before: see [Client.CheckSubflows].
func (c *Client) Subflows(ctx context.Context, r *Request) iter.Seq2[Subflow, error] {
	return values(c.EachSubflow(ctx, r))
}

// EachSubflow is [Client.Subflows] for long lists: it yields the same variable
// again and again, which holds one subflow until the next is asked for. With an
// error it is nil.
func (c *Client) EachSubflow(ctx context.Context, r *Request) iter.Seq2[*Subflow, error] {
	q := newQuery("subflow list", unix.IPPROTO_TCP, r)
	all := r != nil && r.AllTCP
	if !all {
		q.ext = 1 << (uapi.InetDiagInfo - 1) // the ULP comes only with it
		q.states &^= 1 << mptcp.StateTimeWait
	}
	return func(yield func(*Subflow, error) bool) {
		if c.iterable(r) {
			if i, err := c.openIterator(ctx); err == nil {
				defer i.file.Close()
				if err := i.all(ctx, func(s *Subflow) bool { return yield(s, nil) }); err != nil {
					yield(nil, &Error{Op: q.op, Err: err})
				}
				return
			}
			// The dump needs nothing of what the iterator lacks.
		}
		var row Subflow
		err := c.dump(ctx, q, func(payload []byte) (bool, error) {
			wanted, err := decodeSubflow(payload, &row, all)
			if err != nil || !wanted {
				return err == nil, err
			}
			return yield(&row, nil), nil
		})
		if err != nil {
			yield(nil, &Error{Op: q.op, Err: err})
		}
	}
}

// dump asks for the rows of q and calls row with the payload of each, until row returns
// false or an error. A kernel without a handler for the question answers ENOENT, which
// becomes mptcp.ErrNotSupported.
func (c *Client) dump(ctx context.Context, q *query, row func(payload []byte) (bool, error)) error {
	err := c.exchangeDump(ctx, q, row)
	switch {
	case errors.Is(err, unix.ENOENT):
		return notSupported("inet_diag", err)
	case err == nil && q.protocol == uapi.IPPROTO_MPTCP:
		c.knowsMPTCP.Store(true)
	}
	return err
}

// exchangeDump is dump with the kernel's own error.
func (c *Client) exchangeDump(ctx context.Context, q *query, row func(payload []byte) (bool, error)) error {
	if len(q.bytecode) > maxBytecode {
		return unix.E2BIG
	}
	s, err := c.acquire()
	if err != nil {
		return err
	}
	defer c.release(s)
	s.seen.reset()
	s.shown = 0
	for _, family := range q.families {
		if family == mptcp.FamilyINET6 && s.shown >= manyConnections && c.noIPv6() {
			continue
		}
		more, err := s.dumpFamily(ctx, q, family, row)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// maxBytecode is the longest filter that the 16 bits of its jumps, and of an
// attribute's length, allow.
const maxBytecode = 1<<16 - 64

// dumpFamily dumps one family, or with bothFamilies the TCP sockets of both. It returns
// false if row did.
func (s *conn) dumpFamily(
	ctx context.Context, q *query, family mptcp.Family, row func([]byte) (bool, error),
) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.seq++
	s.req = appendDump(s.req[:0], s.seq, q, family)
	s.busy, s.protocol = true, q.protocol
	if err := s.send(s.req); err != nil {
		return false, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		batch, err := s.read()
		if err != nil {
			return false, err
		}
		more, err := s.rows(batch, row)
		if !s.busy || !more || err != nil {
			return more, err
		}
	}
}

// rows calls row with each row of a datagram. The dump is over when busy is false.
func (s *conn) rows(batch []byte, row func([]byte) (bool, error)) (bool, error) {
	for len(batch) > 0 {
		m, rest, ok := nlmsg.Next(batch)
		if !ok {
			return false, errTruncated
		}
		batch = rest
		if m.Sequence() != s.seq {
			continue
		}
		switch {
		case m.Type() == nlmsg.TypeDone || m.Type() == nlmsg.TypeError:
			s.busy = false
			return true, refusalOf(m)
		case aboutSocket(m) && s.isNew(m.Payload()):
			s.shown++
			if more, err := row(m.Payload()); err != nil || !more {
				return more, err
			}
		}
	}
	return true, nil
}

// isNew reports whether this is the first row of the socket.
func (s *conn) isNew(payload []byte) bool {
	if len(payload) < uapi.InetDiagMsgSize {
		return true // for the decoder to refuse
	}
	key := uint64(binary.NativeEndian.Uint32(payload[44:])) | uint64(binary.NativeEndian.Uint32(payload[48:]))<<32
	if s.protocol == uapi.IPPROTO_MPTCP {
		key = connectionKey(key, payload)
	}
	return s.seen.add(key)
}

// connectionKey returns a key that no other MPTCP socket has. The cookie alone is no such
// key: connections that are accepted after somebody has listed the listener have the
// listener's cookie (measured on Linux 6.18). Nor are the addresses, because the kernel
// wipes those of some sockets that close.
func connectionKey(cookie uint64, payload []byte) uint64 {
	key := cookie
	for b := payload[4:44]; len(b) >= 8; b = b[8:] { // ports and addresses
		key = spread(key) ^ binary.NativeEndian.Uint64(b)
	}
	for b := payload[uapi.InetDiagMsgSize:]; ; {
		typ, value, rest, ok := nlmsg.NextAttribute(b)
		if !ok {
			return key
		}
		if typ == uapi.InetDiagInfo && len(value) >= uapi.InfoToken+4 {
			return spread(key) ^ uint64(binary.NativeEndian.Uint32(value[uapi.InfoToken:]))
		}
		b = rest
	}
}
