package sockdiag

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"

	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// Config holds what Dial may be told. The zero value, and nil, are fine.
type Config struct {
	// Tap is shown each datagram that the kernel sends in answer, before it is
	// decoded, and the protocol that was asked about: 6 (TCP) or 262 (MPTCP). It
	// must not keep the slice. It may be called by several goroutines at once if
	// the client is used by several. See [Payloads] for what to do with it.
	Tap func(protocol uint32, datagram []byte)
	// DestroyedBuffer is the size of the receive buffer of [Client.Destroyed] in
	// bytes; 0 is 4 MiB. Without CAP_NET_ADMIN net.core.rmem_max bounds it.
	DestroyedBuffer int
}

// Client asks the kernel about the sockets of one network namespace.
type Client struct {
	config Config
	open   func() (transport, error)
	home   home

	speaksMPTCP atomic.Bool // the kernel heeds a protocol over 255
	knowsMPTCP  atomic.Bool // the kernel has answered a question about MPTCP sockets

	mu     sync.Mutex
	idle   []*conn // at most maxIdle
	closed bool
}

// maxIdle is the number of sockets that a client keeps for later requests.
const maxIdle = 4

// Dial opens a client in the network namespace of the calling thread. It needs no
// privilege. The error is an [*Error]; errors.Is mptcp.ErrNotSupported where the
// kernel has no NETLINK_SOCK_DIAG. Whether it knows MPTCP shows with the first
// request about MPTCP sockets.
func Dial(c *Config) (*Client, error) {
	h := currentHome()
	client := newClient(c, func() (transport, error) {
		var s *netlinkSocket
		err := h.do(func() (err error) {
			s, err = openNetlink()
			return err
		})
		return s, err
	})
	client.home = h
	s, err := client.acquire()
	if err != nil {
		h.close()
		return nil, &Error{Op: "dial", Err: err}
	}
	client.release(s)
	return client, nil
}

// newClient returns a client that speaks through what open opens.
func newClient(c *Config, open func() (transport, error)) *Client {
	client := &Client{open: open}
	if c != nil {
		client.config = *c
	}
	return client
}

// Close closes the client's sockets; those of requests under way when these end.
// The iterators of [Client.Destroyed] go on until their contexts end.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return &Error{Op: "close", Err: fs.ErrClosed}
	}
	c.closed = true
	var errs []error
	for _, s := range c.idle {
		errs = append(errs, s.close())
	}
	c.idle = nil
	return errors.Join(append(errs, c.home.close())...)
}

// acquire returns a socket for one request.
func (c *Client) acquire() (*conn, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, fs.ErrClosed
	}
	if n := len(c.idle); n > 0 {
		s := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return s, nil
	}
	c.mu.Unlock()
	t, err := c.open()
	if err != nil {
		return nil, err
	}
	return &conn{transport: t, tap: c.config.Tap, buf: make([]byte, bufferSize)}, nil
}

// release takes a socket back. One that has answers outstanding is closed: they
// would be taken for those to the next request.
func (c *Client) release(s *conn) {
	c.mu.Lock()
	keep := !s.busy && !c.closed && len(c.idle) < maxIdle
	if keep {
		c.idle = append(c.idle, s)
	}
	c.mu.Unlock()
	if !keep {
		_ = s.close() // nothing was written that could be lost
	}
}

// checkMPTCP makes sure that the kernel understands a request about MPTCP sockets.
// One that does not know the attribute for protocols over 255 takes 262 for 6 and
// answers with TCP sockets: it is asked for a protocol that cannot be, once.
func (c *Client) checkMPTCP(ctx context.Context) error {
	if c.speaksMPTCP.Load() {
		return nil
	}
	const noProtocol = uapi.IPPROTO_MPTCP&0xff | 0xff00 // TCP to a kernel that reads 8 bits
	err := c.probe(ctx, noProtocol)
	switch {
	case err == nil:
		return notSupported("inet_diag for MPTCP", nil)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL):
		c.speaksMPTCP.Store(true)
		return nil
	}
	return err
}

// checkAbsent tells what ENOENT means as the answer to a lookup of an MPTCP
// socket: nil where there is no such socket, [mptcp.ErrNotSupported] where the
// kernel lacks the module that could know.
func (c *Client) checkAbsent(ctx context.Context) error {
	if c.knowsMPTCP.Load() {
		return nil
	}
	err := c.probe(ctx, uapi.IPPROTO_MPTCP)
	if errors.Is(err, unix.ENOENT) {
		return notSupported("inet_diag for MPTCP", err)
	}
	if err == nil {
		c.knowsMPTCP.Store(true)
	}
	return err
}

// probe asks for the sockets of a protocol in no state at all: none.
func (c *Client) probe(ctx context.Context, protocol uint32) error {
	q := &query{protocol: protocol, families: []mptcp.Family{mptcp.FamilyINET}}
	return c.exchangeDump(ctx, q, func([]byte) (bool, error) { return true, nil })
}
