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

// Config configures a [Client]. The zero value, and nil, are fine.
type Config struct {
	// Tap is called with each datagram of the kernel's answers, before it is decoded, and
	// with the protocol of the question: 6 (TCP) or 262 (MPTCP). It must not keep the
	// slice. Several goroutines call it at once if several use the client. [Payloads]
	// splits the datagram.
	Tap func(protocol uint32, datagram []byte)
	// DestroyedBuffer is the size of the receive buffer of [Client.Destroyed] in
	// bytes; 0 is 4 MiB. Without CAP_NET_ADMIN it is at most net.core.rmem_max.
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
// privilege. The error is an [*Error]; [errors.Is] holds for [mptcp.ErrNotSupported] if
// the kernel has no NETLINK_SOCK_DIAG. The first request about MPTCP sockets finds out
// whether the kernel knows MPTCP.
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

// Close closes the client's sockets; a request under way ends first. The iterators of
// [Client.Destroyed] go on until their contexts end.
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

// release takes a socket back. It closes a socket with outstanding answers, because they
// would be taken for answers to the next request.
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

// checkMPTCP makes sure that the kernel understands a request about MPTCP sockets. A kernel
// that does not know the attribute for protocols above 255 takes 262 for 6 and answers with
// TCP sockets. So checkMPTCP asks, once, for a protocol that does not exist.
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

// checkAbsent finds out what ENOENT means as the answer to a lookup of an MPTCP socket. It
// returns nil if there is no such socket, and [mptcp.ErrNotSupported] if the kernel lacks
// the module that looks it up.
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

// probe asks for the sockets of a protocol in no state at all, which are none.
func (c *Client) probe(ctx context.Context, protocol uint32) error {
	q := &query{protocol: protocol, families: []mptcp.Family{mptcp.FamilyINET}}
	return c.exchangeDump(ctx, q, func([]byte) (bool, error) { return true, nil })
}
