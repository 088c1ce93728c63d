package pathmanager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"mptcpctl/mptcp"
)

// Config configures a [Client]. The zero value, and nil, are fine.
type Config struct {
	// Tap is called with each message of the kernel's answers to questions about
	// endpoints and limits, before it is decoded: see [DecodeEndpoint] and
	// [DecodeLimits]. Tap must not keep the message.
	Tap func(msg []byte)
}

// Client sends the path manager's commands in one network namespace. It is safe for
// concurrent use; it sends one request after the other.
//
// A client checks the context before each request. It does not interrupt a request that
// has been sent, because the kernel works on it within that system call. The slowest, the
// removal of an endpoint, takes about 10 ms.
type Client struct {
	mu     sync.Mutex
	conn   *conn
	family Family
	tap    func(msg []byte) // may be nil
}

// Dial opens a client in the network namespace of the calling thread, where it stays. c
// may be nil. It needs no privilege. On a kernel without MPTCP path manager the error is
// [mptcp.ErrNotSupported].
func Dial(c *Config) (*Client, error) {
	conn, err := openConn()
	if err != nil {
		return nil, fmt.Errorf("path manager: %w", err)
	}
	family, err := conn.family(context.Background())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("path manager: %w", err), conn.close())
	}
	client := &Client{conn: conn, family: family}
	if c != nil {
		client.tap = c.Tap
	}
	return client, nil
}

// Close closes the client. Requests return [os.ErrClosed] from then on.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn.close()
}

// Family returns what the kernel said about the path manager's family when the client was
// opened.
func (c *Client) Family() Family {
	f := c.family
	f.Commands, f.Raw = slices.Clone(f.Commands), slices.Clone(f.Raw)
	return f
}

// Commands asks the running kernel for its commands, and returns them in the order of
// their numbers. It needs no privilege.
func (c *Client) Commands(ctx context.Context) ([]Command, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, err := c.conn.family(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(f.Commands)
	return f.Commands, nil
}

// do sends a request, and names it in the error. visit is called with each message of the
// answer; nil says that none is expected.
func (c *Client) do(ctx context.Context, op, object string, r request, visit func([]byte) error) error {
	if visit == nil {
		visit = func([]byte) error { return nil }
	}
	if c.tap != nil {
		decode := visit
		visit = func(msg []byte) error {
			c.tap(msg)
			return decode(msg)
		}
	}
	c.mu.Lock()
	err := c.conn.do(ctx, r.encode(c.family.ID), visit)
	c.mu.Unlock()
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*Error](err); ok {
		refused.Op, refused.Object = op, object
		return refused
	}
	if object != "" {
		op += " " + object
	}
	return fmt.Errorf("%s: %w", op, err)
}

// list sends a dump request and returns all endpoints of the answer. It reads the short
// dump to its end, so that a caller who stops early leaves nothing behind.
func (c *Client) list(ctx context.Context, op, object string, r request) ([]mptcp.Endpoint, error) {
	r.dump = true
	return again(func() (all []mptcp.Endpoint, err error) {
		err = c.do(ctx, op, object, r, func(msg []byte) error {
			e, err := decodeEndpoint(msg)
			all = append(all, e)
			return err
		})
		return all, err
	})
}

// one sends a request whose answer is one endpoint.
func (c *Client) one(ctx context.Context, op, object string, r request) (mptcp.Endpoint, error) {
	return again(func() (e mptcp.Endpoint, err error) {
		err = c.do(ctx, op, object, r, func(msg []byte) (err error) {
			e, err = decodeEndpoint(msg)
			return err
		})
		if err != nil {
			return mptcp.Endpoint{}, err
		}
		return e, nil
	})
}

// yieldAll yields the items of a list, or the error.
func yieldAll(list []mptcp.Endpoint, err error, yield func(mptcp.Endpoint, error) bool) {
	if err != nil {
		yield(mptcp.Endpoint{}, err)
		return
	}
	for _, e := range list {
		if !yield(e, nil) {
			return
		}
	}
}
