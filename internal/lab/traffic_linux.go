package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// Server is a server in a namespace, on an MPTCP socket unless asked otherwise.
// It sends back what it receives, or only counts it.
type Server struct {
	listener net.Listener
	config   ServeConfig
	ended    context.Context // when nothing is to be accepted any more
	end      context.CancelFunc
	received atomic.Uint64
	keep     atomic.Bool // the connections outlive the listener

	mu    sync.Mutex
	conns []*Conn // every connection since the start
	wg    sync.WaitGroup
}

// portPatience is how long [Serve] waits for a port that is in use. A server that has
// closed may hold its port a little longer: a process that was started meanwhile has copies
// of all descriptors until it runs its program.
const portPatience = 5 * time.Second

// ServeConfig says what kind of server [Serve] starts. The zero value echoes.
type ServeConfig struct {
	Sink bool // count what comes and answer nothing
	TCP  bool // listen on plain TCP
	// Deaf reads nothing: what clients send stays in the buffers.
	Deaf bool
	// Once accepts one connection and lets the others queue up, of which few can.
	Once bool
}

// Serve starts a server at the address; port 0 lets the kernel choose. It ends
// with ctx or with Close, whichever comes first.
func Serve(ctx context.Context, ns *Namespace, addr netip.AddrPort, c *ServeConfig) (*Server, error) {
	if c == nil {
		c = &ServeConfig{}
	}
	s := &Server{config: *c}
	s.ended, s.end = context.WithCancel(ctx)
	err := ns.Do(func() error {
		fd, err := newSocket(addr.Addr(), c.TCP)
		if err != nil {
			return err
		}
		backlog := 1024
		if c.Once {
			backlog = 1
		}
		err = listen(fd, addr, backlog)
		for end := time.Now().Add(portPatience); errors.Is(err, unix.EADDRINUSE) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
			err = listen(fd, addr, backlog)
		}
		if err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		file := os.NewFile(uintptr(fd), "listener")
		defer file.Close() // FileListener takes a copy
		s.listener, err = net.FileListener(file)
		return err
	})
	if err != nil {
		s.end()
		return nil, fmt.Errorf("serve at %s: %w", addr, err)
	}
	stop := context.AfterFunc(ctx, func() { s.listener.Close() })
	s.wg.Go(func() {
		defer stop()
		s.accept()
	})
	return s, nil
}

func listen(fd int, addr netip.AddrPort, backlog int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, sockaddr(addr)); err != nil {
		return err
	}
	return unix.Listen(fd, backlog)
}

// accept takes connections until the listener closes, then ends them all, unless
// they are to be kept.
func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			break
		}
		conn := &Conn{TCPConn: c.(*net.TCPConn)}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		if !s.config.Deaf {
			s.wg.Go(func() { s.serve(conn) })
		}
		if s.config.Once {
			<-s.ended.Done()
		}
	}
	if !s.keep.Load() {
		s.closeConns()
	}
}

func (s *Server) closeConns() {
	for _, c := range s.Conns() {
		c.Close() // it may have ended already
	}
}

func (s *Server) serve(c *Conn) {
	defer c.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := c.Read(buffer)
		s.received.Add(uint64(n))
		if !s.config.Sink && n > 0 {
			if _, err := c.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Addr returns the address that the server listens at.
func (s *Server) Addr() netip.AddrPort {
	return s.listener.Addr().(*net.TCPAddr).AddrPort()
}

// Received returns how many bytes have come in over all connections.
func (s *Server) Received() uint64 { return s.received.Load() }

// Conns returns all connections accepted so far, closed ones too.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Conn(nil), s.conns...)
}

// CloseListener stops listening and leaves the connections as they are: further
// subflows cannot join then.
func (s *Server) CloseListener() error {
	s.keep.Store(true)
	s.end()
	return s.listener.Close()
}

// Close ends the listener and the connections, and waits until they have ended.
func (s *Server) Close() error {
	s.keep.Store(false)
	s.end()
	err := s.listener.Close()
	s.closeConns() // of a listener that was closed before
	s.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Conn is one end of a connection that the lab holds.
type Conn struct{ *net.TCPConn }

// ConnectConfig refines [Connect].
type ConnectConfig struct {
	From netip.AddrPort // source; the zero value lets the kernel choose
	TCP  bool           // plain TCP
	V6   bool           // reach an IPv4 address through a socket of AF_INET6 (v4-mapped)
	// FastOpen puts the first data into the SYN (TCP_FASTOPEN_CONNECT): nothing is sent
	// before that.
	FastOpen bool
	Mark     uint32 // SO_MARK, which takes CAP_NET_ADMIN; 0: none
}

// Connect connects to an address from within the namespace, with an MPTCP socket
// unless asked otherwise. Errors unwrap to the kernel's errno.
func Connect(ctx context.Context, ns *Namespace, to netip.AddrPort, c *ConnectConfig) (*Conn, error) {
	if c == nil {
		c = &ConnectConfig{}
	}
	if c.V6 && to.Addr().Is4() {
		to = netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port())
	}
	var conn *Conn
	err := ns.Do(func() error {
		fd, err := newSocket(to.Addr(), c.TCP)
		if err != nil {
			return err
		}
		if c.From.Addr().IsValid() {
			err = unix.Bind(fd, sockaddr(c.From))
		}
		if err == nil && c.FastOpen {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN_CONNECT, 1)
		}
		if err == nil && c.Mark != 0 {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(c.Mark))
		}
		if err == nil {
			err = unix.Connect(fd, sockaddr(to))
		}
		if err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return errors.Join(err, unix.Close(fd))
		}
		if c.FastOpen { // the kernel connects with the first data
			conn, err = unconnected(fd)
			return err
		}
		conn, err = established(ctx, fd)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to, err)
	}
	return conn, nil
}

// unconnected makes a connection of a socket that connects when data is written. It takes
// the descriptor over.
func unconnected(fd int) (*Conn, error) {
	file := os.NewFile(uintptr(fd), "connection")
	defer file.Close() // FileConn takes a copy
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return &Conn{c.(*net.TCPConn)}, nil
}

// established waits until a connecting socket is connected. It takes the
// descriptor over.
func established(ctx context.Context, fd int) (*Conn, error) {
	file := os.NewFile(uintptr(fd), "connection")
	defer file.Close() // FileConn takes a copy
	stop := context.AfterFunc(ctx, func() { file.SetWriteDeadline(past()) })
	defer stop()
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		_, failed = unix.Getpeername(int(fd))
		if failed == nil {
			return true
		}
		errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			failed = err
		case errno != 0:
			failed = unix.Errno(errno)
		default:
			return false // still connecting
		}
		return true
	})
	if err := errors.Join(ctx.Err(), err, failed); err != nil {
		return nil, err
	}
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return &Conn{c.(*net.TCPConn)}, nil
}

// Exchange sends n bytes and reads as many back: against an echo server it
// returns when both directions work, and the connection is fully established.
func (c *Conn) Exchange(n int) error {
	sent := make(chan error, 1)
	go func() {
		_, err := io.CopyN(c, zeros{}, int64(n))
		sent <- err
	}()
	if _, err := io.CopyN(io.Discard, c, int64(n)); err != nil {
		c.Close() // the sender may wait for a peer that reads no more
		return errors.Join(err, <-sent)
	}
	return <-sent
}

// Abort closes the connection at once and tells the peer so, as SO_LINGER 0 does:
// over MPTCP it is a fast close.
func (c *Conn) Abort() error {
	return errors.Join(c.SetLinger(0), c.Close())
}

// Token returns the connection's token at this end; false if the connection has
// fallen back to TCP.
func (c *Conn) Token() (mptcp.Token, bool) {
	info, err := c.Info()
	if err != nil || len(info) < uapi.InfoToken+4 {
		return 0, false
	}
	return mptcp.Token(binary.NativeEndian.Uint32(info[uapi.InfoToken:])), true
}

// AdditionalSubflows returns how many subflows the kernel counts beside the
// initial one, those that still connect included.
func (c *Conn) AdditionalSubflows() int {
	info, err := c.Info()
	if err != nil || len(info) <= uapi.InfoSubflows {
		return 0
	}
	return int(info[uapi.InfoSubflows])
}

// Info returns the kernel's struct mptcp_info of the connection, as long as the
// kernel makes it. A connection that fell back gives EOPNOTSUPP.
func (c *Conn) Info() ([]byte, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var info string
	var failed error
	err = raw.Control(func(fd uintptr) {
		info, failed = getsockopt(int(fd), uapi.SOL_MPTCP, uapi.SockoptInfo)
	})
	return []byte(info), errors.Join(err, failed)
}

// zeros is an endless stream of zero bytes.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
