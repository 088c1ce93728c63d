package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// patience bounds every wait for the kernel: a loaded machine must not fail a test.
const patience = await.Patience

// world is a network namespace with a client of it.
type world struct {
	t      testing.TB
	ns     *lab.Namespace
	client *Client
}

func newWorld(t testing.TB, c *Config) *world {
	t.Helper()
	w := &world{t: t, ns: labtest.MPTCP(t)}
	w.do(func() (err error) {
		w.client, err = Dial(c)
		return err
	})
	t.Cleanup(func() { w.client.Close() })
	return w
}

// do runs f in the namespace and fails the test on its error.
func (w *world) do(f func() error) {
	w.t.Helper()
	if err := w.ns.Do(f); err != nil {
		w.t.Fatal(err)
	}
}

// listen opens a listener that closes with the test.
func (w *world) listen(network, address string, multipath bool) *net.TCPListener {
	w.t.Helper()
	var l net.Listener
	w.do(func() (err error) {
		var config net.ListenConfig
		config.SetMultipathTCP(multipath)
		l, err = config.Listen(context.Background(), network, address)
		return err
	})
	w.t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// dial opens a connection that closes with the test.
func (w *world) dial(network, address string, multipath bool) *net.TCPConn {
	w.t.Helper()
	var c net.Conn
	w.do(func() (err error) {
		dialer := net.Dialer{Timeout: patience}
		dialer.SetMultipathTCP(multipath)
		c, err = dialer.Dial(network, address)
		return err
	})
	w.t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// accept returns the next connection of the listener, closed with the test.
func (w *world) accept(l *net.TCPListener) *net.TCPConn {
	w.t.Helper()
	c, err := l.AcceptTCP()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// pair opens a connection and exchanges bytes both ways, so that it is fully
// established.
func (w *world) pair(l *net.TCPListener, network, address string, multipath bool) (client, server *net.TCPConn) {
	w.t.Helper()
	client = w.dial(network, address, multipath)
	server = w.accept(l)
	w.transfer(client, server, "hello")
	w.transfer(server, client, "world!")
	return client, server
}

// transfer writes to one end and reads it all from the other.
func (w *world) transfer(from, to *net.TCPConn, text string) {
	w.t.Helper()
	if _, err := from.Write([]byte(text)); err != nil {
		w.t.Fatal(err)
	}
	_ = to.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, len(text))
	for n := 0; n < len(buf); {
		m, err := to.Read(buf[n:])
		if err != nil {
			w.t.Fatal(err)
		}
		n += m
	}
}

// collect returns all rows and fails the test on an error.
func collect[T any](t testing.TB, rows iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for row, err := range rows {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	return all
}

// connection returns the only connection with this local address.
func (w *world) connection(local net.Addr) Connection {
	w.t.Helper()
	want := addrPort(local)
	var found []Connection
	for _, c := range collect(w.t, w.client.Connections(w.t.Context(), nil)) {
		if c.Local == want {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("%d connections at %v, want 1: %+v", len(found), want, found)
	}
	return found[0]
}

// subflowsOf returns the subflows with this token.
func (w *world) subflowsOf(token mptcp.Token) []Subflow {
	w.t.Helper()
	var found []Subflow
	for _, s := range collect(w.t, w.client.Subflows(w.t.Context(), nil)) {
		if s.HasMPTCP && s.MPTCP.TokenLocal == token {
			found = append(found, s)
		}
	}
	return found
}

// waitSubflows waits until the connection has n established subflows.
func (w *world) waitSubflows(token mptcp.Token, n int) []Subflow {
	w.t.Helper()
	var found []Subflow
	await.Success(w.t, func() error {
		found = found[:0]
		for _, s := range w.subflowsOf(token) {
			if s.State == mptcp.StateEstablished && s.MPTCP.Flags&SubflowConnected != 0 {
				found = append(found, s)
			}
		}
		if len(found) != n {
			return fmt.Errorf("%d subflows of %v, want %d: %+v", len(found), token, n, found)
		}
		return nil
	})
	return found
}

func addrPort(a net.Addr) netip.AddrPort { return mptcp.Unmap(a.(*net.TCPAddr).AddrPort()) }

// pathManager calls f with a client of the namespace's path manager.
func (w *world) pathManager(f func(*pathmanager.Client) error) {
	w.t.Helper()
	w.do(func() error {
		c, err := pathmanager.Dial(nil)
		if err != nil {
			return err
		}
		return errors.Join(f(c), c.Close())
	})
}

// addEndpoint lets connections add a subflow from the address.
func (w *world) addEndpoint(address string, id uint8) {
	w.t.Helper()
	w.pathManager(func(c *pathmanager.Client) error {
		err := c.SetLimits(
			w.t.Context(),
			pathmanager.LimitsUpdate{AddAddrAccepted: new(uint32(0)), Subflows: new(uint32(4))},
		)
		if err != nil {
			return err
		}
		return c.AddEndpoint(w.t.Context(), mptcp.Endpoint{
			ID: mptcp.AddressID(id), Address: netip.MustParseAddr(address), Flags: mptcp.FlagSubflow,
		})
	})
}
