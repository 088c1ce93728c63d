package netcat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// session is one run of netcat.
type session struct {
	options Options
	hub     *hub
	input   *input
	pumping sync.WaitGroup

	outMu  sync.Mutex // connections take turns, a chunk at a time
	stdout io.Writer
	errMu  sync.Mutex
	stderr io.Writer
}

func newSession(o Options, stdin io.Reader, stdout, stderr io.Writer) *session {
	return &session{options: o, hub: newHub(o.ShutdownOnEOF), input: newInput(stdin), stdout: stdout, stderr: stderr}
}

// verbose writes a line of -v.
func (s *session) verbose(format string, args ...any) {
	if s.options.Verbose {
		s.errMu.Lock()
		defer s.errMu.Unlock()
		fmt.Fprintf(s.stderr, format+"\n", args...)
	}
}

// pump starts to read the input for the connections.
func (s *session) pump(ctx context.Context) {
	s.pumping.Go(func() { s.hub.pump(ctx, s.input) })
}

// finish ends the reading of the input, and waits for its end if that can be had.
func (s *session) finish() {
	s.hub.close()
	s.input.interrupt()
	if s.input.interruptible {
		s.pumping.Wait()
	}
	s.input.close()
}

// connect is the client.
func (s *session) connect(ctx context.Context, port uint16) error {
	conn, err := s.dialHost(ctx, port)
	if err != nil {
		return err
	}
	s.pump(ctx)
	return s.serve(ctx, conn)
}

// dialHost tries the addresses of the host in turn.
func (s *session) dialHost(ctx context.Context, port uint16) (*net.TCPConn, error) {
	o := s.options
	var source netip.AddrPort
	if o.Source != "" {
		addr, err := netip.ParseAddr(o.Source)
		if err != nil {
			return nil, fmt.Errorf("source %s is no address", o.Source)
		}
		source = netip.AddrPortFrom(addr, o.SourcePort)
	}
	addresses, err := o.addresses(ctx, o.Host)
	if err != nil {
		return nil, err
	}
	last := fmt.Errorf("source %s and host %s have no address family in common", o.Source, o.Host)
	tried := false
	for _, addr := range addresses {
		from := source
		switch {
		case source.Addr().IsValid() && source.Addr().Is4() != addr.Is4():
			continue
		case !source.Addr().IsValid() && o.SourcePort != 0:
			from = netip.AddrPortFrom(unspecified(addr), o.SourcePort)
		}
		if tried {
			s.verbose("%v", last)
		}
		tried = true
		host := o.Host
		if host != addr.String() {
			host = fmt.Sprintf("%s (%s)", o.Host, addr)
		}
		conn, err := s.dialOne(ctx, from, netip.AddrPortFrom(addr, port))
		if err == nil {
			s.verbose("Connection to %s %d port [tcp/*] succeeded! (%s)", host, port, protocolOf(conn))
			return conn, nil
		}
		last = &Error{Op: "connect to", Host: host, Port: o.Port, Hint: hint(err), Err: err}
		if ctx.Err() != nil || errors.Is(err, mptcp.ErrDisabled) || errors.Is(err, mptcp.ErrNotSupported) {
			break
		}
	}
	return nil, last
}

// dialOne connects to one address within the timeout.
func (s *session) dialOne(ctx context.Context, from, to netip.AddrPort) (*net.TCPConn, error) {
	if s.options.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.options.Timeout, unix.ETIMEDOUT)
		defer cancel()
	}
	conn, err := dial(ctx, from, to)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return conn, err
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// listen is the server.
func (s *session) listen(ctx context.Context, port uint16) error {
	listeners, err := s.openListeners(ctx, port)
	if err != nil {
		return err
	}
	closeAll := func() {
		for _, l := range listeners {
			l.Close()
		}
	}
	defer closeAll()
	stop := context.AfterFunc(ctx, closeAll)
	defer stop()
	s.pump(ctx)
	accepted := make(chan *net.TCPConn)
	served := make(chan struct{}) // closed when no more connections are wanted
	failed := make(chan error, len(listeners))
	var accepting sync.WaitGroup
	for _, l := range listeners {
		accepting.Go(func() { failed <- accept(l, accepted, served, s.options.KeepOpen) })
	}
	defer accepting.Wait()
	defer closeAll()
	defer close(served)
	if !s.options.KeepOpen {
		select {
		case c := <-accepted:
			s.received(c)
			return s.serve(ctx, c)
		case err := <-failed:
			return err
		}
	}
	return s.serveMany(ctx, accepted, failed)
}

// serveMany serves clients side by side until a listener fails or the output does.
func (s *session) serveMany(ctx context.Context, accepted <-chan *net.TCPConn, failed <-chan error) error {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	ended := make(chan error, 1)
	for {
		select {
		case c := <-accepted:
			s.received(c)
			serving.Go(func() {
				err := s.serve(ctx, c)
				if _, ok := errors.AsType[*outputError](err); ok {
					select {
					case ended <- err:
					default:
					}
				} else if err != nil {
					s.verbose("%v", err)
				}
			})
		case err := <-failed:
			return err
		case err := <-ended:
			return err
		}
	}
}

func (s *session) received(c *net.TCPConn) {
	from := mptcp.Unmap(c.RemoteAddr().(*net.TCPAddr).AddrPort())
	s.verbose("Connection received on %s %d (%s)", from.Addr(), from.Port(), protocolOf(c))
}

// accept hands connections over until the listener is closed. Without many it
// leaves all but the first to the kernel, which refuses them when the listener
// closes.
func accept(l *net.TCPListener, accepted chan<- *net.TCPConn, served <-chan struct{}, many bool) error {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return err
		}
		select {
		case accepted <- c:
			if !many {
				return nil
			}
		case <-served:
			c.Close()
			return net.ErrClosed
		}
	}
}

// openListeners listens at the host's address. Without a host it listens at both
// families' wildcard addresses, each on a socket of its own, so that IPv4 clients
// keep IPv4 addresses in the kernel's events.
func (s *session) openListeners(ctx context.Context, port uint16) ([]*net.TCPListener, error) {
	o := s.options
	var wanted []netip.Addr
	switch {
	case o.Host != "":
		found, err := o.addresses(ctx, o.Host)
		if err != nil {
			return nil, err
		}
		wanted = found[:1]
	case o.Family == IPv4:
		wanted = []netip.Addr{netip.IPv4Unspecified()}
	case o.Family == IPv6:
		wanted = []netip.Addr{netip.IPv6Unspecified()}
	default:
		wanted = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	var listeners []*net.TCPListener
	for i, addr := range wanted {
		at := netip.AddrPortFrom(addr, port)
		l, err := listenAt(at)
		if err != nil && i > 0 && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)) {
			continue // a host without IPv6
		}
		if err != nil {
			for _, open := range listeners {
				open.Close()
			}
			return nil, &Error{Op: "listen on", Host: addr.String(), Port: o.Port, Hint: hint(err), Err: err}
		}
		listeners = append(listeners, l)
		at = l.Addr().(*net.TCPAddr).AddrPort()
		port = at.Port() // the same for both, if the kernel has chosen it
		s.verbose("Listening on %s %d", at.Addr(), at.Port())
	}
	if o.Listening != nil {
		o.Listening(listeners[0].Addr().(*net.TCPAddr).AddrPort())
	}
	return listeners, nil
}

// serve copies in both directions until the connection has ended.
func (s *session) serve(ctx context.Context, c *net.TCPConn) error {
	conn := newConnection(c)
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	if s.options.Timeout > 0 {
		idle := conn.closeWhenIdle(s.options.Timeout)
		defer idle()
	}
	s.hub.add(conn)
	defer s.hub.remove(conn)
	err := s.receive(conn)
	if conn.timedOut.Load() {
		return nil // as netcat ends: without a word
	}
	if _, ok := errors.AsType[*outputError](err); ok {
		return err
	}
	if err != nil {
		to := c.RemoteAddr().(*net.TCPAddr)
		return &Error{Op: "read from", Host: to.IP.String(), Port: strconv.Itoa(to.Port), Err: err}
	}
	s.awaitInput(ctx, conn)
	return nil
}

// outputError is a failure of the output, which ends all.
type outputError struct{ err error }

func (e *outputError) Error() string { return fmt.Sprintf("write to output: %v", e.err) }
func (e *outputError) Unwrap() error { return e.err }

// chunk is how much is copied at once: as much as a socket gives in one read at
// full speed, and little enough to stay in the processor's cache.
const chunk = 256 << 10

// receive copies what the peer sends to the output until the peer ends.
func (s *session) receive(conn *connection) error {
	buffer := make([]byte, chunk)
	for {
		n, err := conn.tcp.Read(buffer)
		if n > 0 {
			conn.touch()
			if err := s.write(buffer[:n]); err != nil {
				return &outputError{err}
			}
			conn.touch()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) write(b []byte) error {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	_, err := s.stdout.Write(b)
	return err
}

// quiet is how long the input of a listener must rest, after the peer has ended,
// for the connection to be over.
const quiet = 250 * time.Millisecond

// awaitInput waits, after the peer has ended its direction, until ours has ended.
func (s *session) awaitInput(ctx context.Context, conn *connection) {
	if s.input.terminal {
		return // nobody goes on typing to a peer that has hung up
	}
	var rest <-chan time.Time
	if s.options.Listen {
		ticker := time.NewTicker(quiet / 5)
		defer ticker.Stop()
		rest = ticker.C
	}
	for {
		select {
		case <-conn.sent:
			return
		case <-ctx.Done():
			return
		case <-rest:
			if s.hub.quietFor(quiet) {
				return
			}
		}
	}
}

// connection is one connection with what its two directions share.
type connection struct {
	tcp      *net.TCPConn
	sent     chan struct{} // closed when nothing more will be sent
	sentOnce sync.Once
	any      bool         // something was sent; the hub's
	active   atomic.Int64 // when something moved last, in Unix nanoseconds
	timedOut atomic.Bool
}

func newConnection(c *net.TCPConn) *connection {
	conn := &connection{tcp: c, sent: make(chan struct{})}
	conn.touch()
	return conn
}

func (c *connection) touch() { c.active.Store(time.Now().UnixNano()) }

// endSending says that nothing more will be sent, and if shut, tells the peer.
func (c *connection) endSending(shut bool) {
	c.sentOnce.Do(func() {
		if shut {
			_ = c.tcp.CloseWrite() // a connection that is gone shows when reading
		}
		close(c.sent)
	})
}

// closeWhenIdle closes the connection when nothing has moved for the timeout. The
// function that it returns ends the watch.
func (c *connection) closeWhenIdle(timeout time.Duration) (stop func()) {
	var mu sync.Mutex
	var timer *time.Timer
	stopped := false
	check := func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		rest := timeout - time.Since(time.Unix(0, c.active.Load()))
		if rest <= 0 {
			c.timedOut.Store(true)
			c.tcp.Close()
			return
		}
		timer.Reset(rest)
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(timeout, check)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}
