package live_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"

	"golang.org/x/sys/unix"
)

// fate is how a connection of a storm ends.
type fate int

const (
	closed      fate = iota // the client closes
	halfClosed              // the client closes its direction, and reads to the end
	aborted                 // the client aborts
	peerAborted             // the server aborts
	unread                  // the client closes with data that it did not read
	plain                   // a TCP connection to the MPTCP server, closed
	kept                    // it stays open to the end
	fates
)

var fateNames = [fates]string{
	"closed",
	"half closed",
	"aborted",
	"aborted by the peer",
	"closed with data unread",
	"plain TCP",
	"kept open",
}

// tally counts the connections of storms by their fate.
type tally struct {
	n    [fates]atomic.Int64
	ends atomic.Int64 // of those that stayed open, as trackers saw them
}

func (n *tally) add(other *tally) {
	for i := range n.n {
		n.n[i].Add(other.n[i].Load())
	}
}

// String returns the numbers.
func (n *tally) String() string {
	var words []string
	for i := range n.n {
		words = append(words, fmt.Sprintf("%d %s", n.n[i].Load(), fateNames[i]))
	}
	return strings.Join(words, ", ") + fmt.Sprintf(", of which trackers saw %d ends", n.ends.Load())
}

// complete reports whether there were connections of each fate, and some were seen.
func (n *tally) complete() bool {
	for i := range n.n {
		if n.n[i].Load() == 0 {
			return false
		}
	}
	return n.ends.Load() > 0
}

// check fails the test where no connection had one of the fates, or none was seen.
func (n *tally) check(t *testing.T) {
	t.Helper()
	for i := range n.n {
		if n.n[i].Load() == 0 {
			t.Errorf("no connection was %s", fateNames[i])
		}
	}
	if n.ends.Load() == 0 {
		t.Error("no connection was there to agree on")
	}
}

// Ports of a storm's server, which does to a connection what its first byte says.
const (
	stormPort  = 7000
	stormEcho  = 'e'
	stormAbort = 'a'
)

// storm is connections in a namespace made by [host] that come and go as fast as
// they can. Its sockets are the plain ones of the kernel: a goroutine and a
// thread for each connection would make few of them.
type storm struct {
	ns     *lab.Namespace
	pm     *pathmanager.Client
	server net.Listener
	conns  sync.WaitGroup
	most   int // that stay open

	mu     sync.Mutex
	kept   []int
	failed error
}

// newStorm starts the server.
func newStorm(t *testing.T, ns *lab.Namespace) *storm {
	t.Helper()
	s, err := startStorm(ns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.end()
		if s.failed != nil {
			t.Error(s.failed)
		}
	})
	return s
}

func startStorm(ns *lab.Namespace) (*storm, error) {
	s := &storm{ns: ns, most: 150}
	err := ns.Do(func() (err error) {
		if s.pm, err = pathmanager.Dial(nil); err != nil {
			return err
		}
		var c net.ListenConfig
		c.SetMultipathTCP(true)
		s.server, err = c.Listen(context.Background(), "tcp4", fmt.Sprintf(":%d", stormPort))
		return err
	})
	if err != nil {
		return nil, err
	}
	s.conns.Go(s.serve)
	return s, nil
}

// serve takes connections until the listener is closed.
func (s *storm) serve() {
	for {
		c, err := s.server.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.fail(err)
			}
			return
		}
		s.conns.Go(func() {
			defer c.Close()
			var first [1]byte
			if _, err := io.ReadFull(c, first[:]); err != nil {
				return
			}
			if first[0] == stormAbort {
				_ = c.(*net.TCPConn).SetLinger(0)
				return
			}
			_, _ = c.Write(first[:])
			_, _ = io.Copy(c, c)
		})
	}
}

// fail keeps the first error.
func (s *storm) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
}

// rage makes connections from so many threads until that time, while the second
// address comes and goes as an endpoint.
func (s *storm) rage(threads int, until time.Time) *tally {
	var n tally
	var tasks sync.WaitGroup
	for range threads {
		tasks.Go(func() {
			err := s.ns.Do(func() error { return s.strike(&n, until) })
			if err != nil {
				s.fail(err)
			}
		})
	}
	tasks.Go(func() {
		if err := s.shift(until); err != nil {
			s.fail(err)
		}
	})
	tasks.Wait()
	return &n
}

// shift takes the endpoint away and puts it back.
func (s *storm) shift(until time.Time) error {
	ctx := context.Background()
	for time.Now().Before(until) {
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		if err := s.pm.RemoveEndpoint(ctx, 5); err != nil {
			return err
		}
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		if err := s.pm.AddEndpoint(ctx, secondEndpoint); err != nil {
			return err
		}
	}
	return nil
}

// secondEndpoint is the endpoint of the second address.
var secondEndpoint = mptcp.Endpoint{ID: 5, Address: netip.MustParseAddr("10.77.2.1"), Flags: mptcp.FlagSubflow}

// strike makes one connection after the other in the calling thread.
func (s *storm) strike(n *tally, until time.Time) error {
	for time.Now().Before(until) {
		f := fate(rand.IntN(int(kept)))
		if rand.IntN(20) == 0 && s.open() < s.most {
			f = kept
		}
		if err := s.connection(f); err != nil {
			return fmt.Errorf("a connection to be %s: %w", fateNames[f], err)
		}
		n.n[f].Add(1)
	}
	return nil
}

// connection makes a connection with that fate.
func (s *storm) connection(f fate) error {
	fd, err := stormConnect(f == plain, rand.IntN(3) == 0)
	if err != nil {
		return err
	}
	if f == kept {
		s.mu.Lock()
		s.kept = append(s.kept, fd)
		s.mu.Unlock()
	} else {
		defer unix.Close(fd)
	}
	say := []byte{stormEcho}
	if f == peerAborted {
		say[0] = stormAbort
	}
	for {
		if _, err := unix.Write(fd, say); err == nil {
			break
		} else if err != unix.EINTR {
			return err
		}
	}
	switch f {
	case aborted:
		if rand.IntN(2) == 0 {
			if err := hear(fd); err != nil {
				return err
			}
		}
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	case unread:
		return nil
	case peerAborted:
		_ = hear(fd) // it fails
		return nil
	}
	if err := hear(fd); err != nil {
		return err
	}
	if f == halfClosed {
		if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
			return err
		}
		_ = hear(fd) // the end
	}
	return nil
}

// hear reads what the server says.
func hear(fd int) error {
	var b [16]byte
	for {
		n, err := unix.Read(fd, b[:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n == 0:
			return io.EOF
		}
		return nil
	}
}

// stormConnect connects to the server, on a blocking socket that gives up rather
// late. With mapped it is one of IPv6.
func stormConnect(tcp, mapped bool) (fd int, err error) {
	protocol := unix.IPPROTO_MPTCP
	if tcp {
		protocol = unix.IPPROTO_TCP
	}
	to := netip.MustParseAddr("10.77.1.1")
	family, address := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: stormPort, Addr: to.As4()})
	if mapped {
		family, address = unix.AF_INET6, &unix.SockaddrInet6{Port: stormPort, Addr: to.As16()}
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, err
	}
	late := unix.NsecToTimeval(int64(patience))
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err == nil {
			err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &late)
		}
	}
	for err == nil {
		err = unix.Connect(fd, address)
		switch err {
		case nil, unix.EISCONN:
			return fd, nil
		case unix.EINTR, unix.EALREADY: // a signal of the runtime came
			err = nil
		}
	}
	unix.Close(fd)
	return -1, err
}

// open returns how many connections stay open.
func (s *storm) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept)
}

// end closes everything.
func (s *storm) end() {
	s.mu.Lock()
	for _, fd := range s.kept {
		unix.Close(fd)
	}
	s.kept = nil
	s.mu.Unlock()
	s.server.Close() // more than once does no harm
	s.pm.Close()
	s.conns.Wait()
}
