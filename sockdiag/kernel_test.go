package sockdiag

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"

	"golang.org/x/sys/unix"
)

// inodeOf returns the inode and the cookie of a connection's socket.
func inodeOf(t testing.TB, c syscall.Conn) (inode uint32, cookie uint64) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var stat unix.Stat_t
		failed = unix.Fstat(int(fd), &stat)
		inode = uint32(stat.Ino)
		if failed == nil {
			cookie, failed = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return inode, cookie
}

func TestConnectionAndItsSubflow(t *testing.T) {
	for _, test := range []struct {
		name, network, listen string
		dial                  func(port string) (network, address string)
		family                mptcp.Family
	}{
		{"v4", "tcp4", "127.0.0.1:0", func(p string) (string, string) { return "tcp4", "127.0.0.1:" + p }, mptcp.FamilyINET},
		{"v6", "tcp6", "[::1]:0", func(p string) (string, string) { return "tcp6", "[::1]:" + p }, mptcp.FamilyINET6},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			l := w.listen(test.network, test.listen, true)
			_, port, _ := net.SplitHostPort(l.Addr().String())
			network, address := test.dial(port)
			client, server := w.pair(l, network, address, true)

			for _, end := range []struct {
				conn           *net.TCPConn
				sent, received uint64
			}{{client, 5, 6}, {server, 6, 5}} {
				c := w.connection(end.conn.LocalAddr())
				inode, cookie := inodeOf(t, end.conn)
				if c.Family != test.family || c.State != mptcp.StateEstablished || c.Mapped ||
					c.Remote != addrPort(
						end.conn.RemoteAddr(),
					) || c.Inode != inode || c.Cookie != cookie || c.UID != 0 {
					t.Errorf(
						"socket %+v, want inode %d, cookie %d, remote %v",
						c.Socket,
						inode,
						cookie,
						end.conn.RemoteAddr(),
					)
				}
				i, sent, received := c.Info, end.sent, end.received
				if i.Size < uapi.InfoSubflowsTotal && labtest.KernelBefore(t, 6, 5) {
					sent, received = 0, 0 // it counts them for subflows only
				}
				if i.Token == 0 || i.Fallback() || !i.RemoteKeyReceived() || i.BytesSent != sent ||
					i.BytesReceived != received {
					t.Errorf("info %+v, want %d bytes sent, %d received", i, sent, received)
				}
				subflows := w.waitSubflows(i.Token, 1)
				s := subflows[0]
				if s.ULP != "mptcp" || s.Local != c.Local || s.Remote != c.Remote || s.Inode != inode ||
					s.Cookie == cookie || s.MPTCP.Join() {
					t.Errorf("subflow %+v of %+v", s, c)
				}
				if s.TCP.Size < tcpInfoSize || s.TCP.State != uint8(mptcp.StateEstablished) ||
					s.TCP.BytesSent != end.sent || s.TCP.BytesReceived != end.received || s.TCP.RTTMicros == 0 ||
					s.TCP.Cwnd == 0 || s.TCP.SndMSS == 0 {
					t.Errorf("tcp_info %+v", s.TCP)
				}
				if !s.MPTCP.Mapping {
					t.Errorf("no mapping, as root of the namespace: %+v", s.MPTCP)
				}
			}
		})
	}
}

// An IPv6 socket that speaks IPv4 shows ::ffff: addresses; its peer shows IPv4.
func TestMappedClient(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	port := l.Addr().(*net.TCPAddr).Port
	var fd int
	w.do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 262)
		if err != nil {
			return err
		}
		return unix.Connect(fd, &unix.SockaddrInet6{Port: port, Addr: netip.MustParseAddr("::ffff:127.0.0.1").As16()})
	})
	defer unix.Close(fd)
	server := w.accept(l)
	if _, err := unix.Write(fd, []byte("x")); err != nil {
		t.Fatal(err)
	}
	peer := w.connection(server.LocalAddr())
	own := collect(t, w.client.Connections(t.Context(), &Request{RemotePort: uint16(port)}))
	if len(own) != 1 {
		t.Fatalf("connections: %+v", own)
	}
	c := own[0]
	if c.Family != mptcp.FamilyINET6 || !c.Mapped || c.Local != peer.Remote || c.Remote != peer.Local {
		t.Errorf("mapped end %+v, its peer %+v", c.Socket, peer.Socket)
	}
	if peer.Mapped || peer.Family != mptcp.FamilyINET {
		t.Errorf("peer %+v", peer.Socket)
	}
	// The kernel must find it again by what the list said, and end it.
	s := w.waitSubflows(c.Info.Token, 1)[0]
	if !s.Mapped {
		t.Errorf("subflow %+v", s.Socket)
	}
	again, err := w.client.Subflow(t.Context(), s.Socket)
	if err != nil || again.Cookie != s.Cookie || again.MPTCP.TokenLocal != c.Info.Token {
		t.Errorf("lookup of %+v: %+v, %v", s.Socket, again, err)
	}
	if err := w.client.Destroy(t.Context(), s.Socket); err != nil {
		t.Error(err)
	}
}

// A join of an IPv6 connection that speaks IPv4 may be an AF_INET socket: only
// unmapped addresses can be compared with the peer's.
func TestJoinOfMappedConnection(t *testing.T) {
	w := newWorld(t, nil)
	w.addEndpoint("127.0.0.2", 7)
	l := w.listen("tcp", "[::]:0", true)
	client, server := w.pair(l, "tcp4", fmt.Sprintf("127.0.0.1:%d", addrPort(l.Addr()).Port()), true)
	mine, theirs := w.connection(client.LocalAddr()), w.connection(server.LocalAddr())
	if mine.Mapped || !theirs.Mapped || theirs.Local != mine.Remote || theirs.Remote != mine.Local {
		t.Errorf("ends %+v and %+v", mine.Socket, theirs.Socket)
	}
	peers := map[[2]netip.AddrPort]bool{}
	for _, s := range w.waitSubflows(mine.Info.Token, 2) {
		peers[[2]netip.AddrPort{s.Remote, s.Local}] = true
	}
	for _, s := range w.waitSubflows(theirs.Info.Token, 2) {
		if !peers[[2]netip.AddrPort{s.Local, s.Remote}] {
			t.Errorf("%+v mirrors none of %v", s.Socket, peers)
		}
		if again, err := w.client.Subflow(t.Context(), s.Socket); err != nil || again.Cookie != s.Cookie {
			t.Errorf("lookup of %+v: %+v, %v", s.Socket, again.Socket, err)
		}
	}
}

func TestJoinedSubflow(t *testing.T) {
	w := newWorld(t, nil)
	w.addEndpoint("127.0.0.2", 7)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	client, server := w.pair(l, "tcp4", l.Addr().String(), true)
	mine, theirs := w.connection(client.LocalAddr()), w.connection(server.LocalAddr())
	w.waitSubflows(theirs.Info.Token, 2)
	subflows := w.waitSubflows(mine.Info.Token, 2)
	join := subflows[slices.IndexFunc(subflows, func(s Subflow) bool { return s.MPTCP.Join() })]
	initial := subflows[slices.IndexFunc(subflows, func(s Subflow) bool { return !s.MPTCP.Join() })]
	if join.MPTCP.TokenRemote != theirs.Info.Token || join.MPTCP.LocalID != 7 || join.MPTCP.RemoteID != 0 ||
		join.Local.Addr() != netip.MustParseAddr("127.0.0.2") || join.MPTCP.Flags&SubflowJoinLocal == 0 {
		t.Errorf("join %+v, peer's token %v", join, theirs.Info.Token)
	}
	if initial.MPTCP.TokenRemote != 0 || initial.MPTCP.LocalID != 0 || initial.Local != mine.Local {
		t.Errorf("initial subflow %+v", initial)
	}
	// One inode for the connection and both subflows: it tells nothing apart.
	if join.Inode != mine.Inode || initial.Inode != mine.Inode || join.Cookie == initial.Cookie ||
		join.Cookie == mine.Cookie || initial.Cookie == mine.Cookie {
		t.Errorf("inodes and cookies: %+v %+v %+v", mine.Socket, join.Socket, initial.Socket)
	}
	again, err := w.client.Connection(t.Context(), mine.Info.Token)
	total := uint8(2)
	if labtest.KernelBefore(t, 6, 8) {
		total = 0
	}
	if err != nil || again.Info.Subflows != 1 || again.Info.SubflowsTotal != total ||
		again.Info.Limits().SubflowsMax != 4 {
		t.Errorf("lookup: %+v, %v", again.Info, err)
	}
}

func TestFallback(t *testing.T) {
	t.Run("TCP client", func(t *testing.T) { // its server is plain TCP: not in the table of tokens
		w := newWorld(t, nil)
		l := w.listen("tcp4", "127.0.0.1:0", true)
		_, server := w.pair(l, "tcp4", l.Addr().String(), false)
		for _, c := range collect(t, w.client.Connections(t.Context(), nil)) {
			t.Errorf("connection %+v", c)
		}
		for _, s := range collect(t, w.client.Subflows(t.Context(), nil)) {
			t.Errorf("subflow %+v", s)
		}
		rows := collect(t, w.client.Subflows(t.Context(), &Request{AllTCP: true,
			LocalPort: uint16(addrPort(server.LocalAddr()).Port())}))
		if len(rows) != 1 || rows[0].HasMPTCP || rows[0].ULP != "" || rows[0].TCP.BytesReceived != 5 {
			t.Errorf("all TCP: %+v", rows)
		}
	})
	t.Run("TCP server", func(t *testing.T) {
		w := newWorld(t, nil)
		l := w.listen("tcp4", "127.0.0.1:0", false)
		client, _ := w.pair(l, "tcp4", l.Addr().String(), true)
		c := w.connection(client.LocalAddr())
		if !c.Info.Fallback() || c.Info.RemoteKeyReceived() {
			t.Errorf("info %+v", c.Info)
		}
	})
}

func TestListeners(t *testing.T) {
	w := newWorld(t, nil)
	plain := w.listen("tcp4", "127.0.0.1:0", false)
	four := w.listen("tcp4", "127.0.0.1:0", true)
	six := w.listen("tcp6", "[::1]:0", true)
	waiting := w.dial("tcp4", four.Addr().String(), true)
	if _, err := waiting.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	rows := map[netip.AddrPort]Connection{}
	await.Success(t, func() error { // the accept queue fills with the client's data
		clear(rows)
		for _, row := range collect(t, w.client.Listeners(t.Context())) {
			rows[row.Local] = row
		}
		if rows[addrPort(four.Addr())].RecvQueue != 1 {
			return errors.New("nothing to be accepted")
		}
		return nil
	})
	if len(rows) != 2 {
		t.Errorf("rows %+v", rows)
	}
	for _, l := range []*net.TCPListener{four, six} {
		inode, cookie := inodeOf(t, l)
		row := rows[addrPort(l.Addr())]
		if row.State != mptcp.StateListen || row.Inode != inode || row.Cookie != cookie || row.SendQueue == 0 {
			t.Errorf("%v: %+v, inode %d", l.Addr(), row, inode)
		}
	}
	if _, found := rows[addrPort(plain.Addr())]; found {
		t.Error("the TCP listener is among MPTCP's")
	}
	// Without States no list has listeners.
	for _, c := range collect(t, w.client.Connections(t.Context(), nil)) {
		if c.State == mptcp.StateListen {
			t.Errorf("listener %+v", c)
		}
	}
	all := collect(t, w.client.Connections(t.Context(), &Request{States: AllStates}))
	if n := len(slices.DeleteFunc(all, func(c Connection) bool { return c.State != mptcp.StateListen })); n != 2 {
		t.Errorf("%d listeners with all states, want 2", n)
	}
	// In the TCP list, the ULP's name marks MPTCP's, and there is no more to them.
	for _, s := range collect(t, w.client.Subflows(t.Context(), &Request{States: StatesOf(mptcp.StateListen)})) {
		if s.ULP != "mptcp" || s.HasMPTCP || s.Local == addrPort(plain.Addr()) {
			t.Errorf("listening subflow %+v", s)
		}
	}
}

func TestUnacceptedConnectionHasNoInode(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	client := w.dial("tcp4", l.Addr().String(), true)
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	port := addrPort(l.Addr()).Port()
	await.Success(t, func() error {
		rows := collect(t, w.client.Connections(t.Context(), &Request{LocalPort: port}))
		if len(rows) != 1 {
			return errors.New("no connection on the server's side")
		}
		if rows[0].Inode != 0 || rows[0].Info.Token == 0 {
			t.Errorf("before accept: %+v", rows[0])
		}
		return nil
	})
	server := w.accept(l)
	inode, _ := inodeOf(t, server)
	if c := w.connection(server.LocalAddr()); c.Inode != inode {
		t.Errorf("after accept: inode %d, want %d", c.Inode, inode)
	}
}

func TestUnknownToken(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	client, _ := w.pair(l, "tcp4", l.Addr().String(), true)
	c := w.connection(client.LocalAddr())
	_, err := w.client.Connection(t.Context(), ^c.Info.Token)
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, mptcp.ErrNotSupported) {
		t.Errorf("error %v, want fs.ErrNotExist", err)
	}
	if want := "connection lookup " + (^c.Info.Token).String() + ": no such socket"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	// A first question of a new client, in a namespace without connections, too.
	empty := newWorld(t, nil)
	if _, err := empty.client.Connection(t.Context(), c.Info.Token); !errors.Is(err, fs.ErrNotExist) ||
		errors.Is(err, mptcp.ErrNotSupported) {
		t.Errorf("in another namespace: %v, want fs.ErrNotExist", err)
	}
}

func TestBatchLookup(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	const pairs = 100
	for range pairs {
		w.pair(l, "tcp4", l.Addr().String(), true)
	}
	connections := collect(t, w.client.Connections(t.Context(), nil))
	if len(connections) != 2*pairs {
		t.Fatalf("%d connections, want %d", len(connections), 2*pairs)
	}
	var tokens []mptcp.Token
	for _, c := range connections {
		tokens = append(tokens, c.Info.Token, ^c.Info.Token)
	}
	n := 0
	for c, err := range w.client.ConnectionsByToken(t.Context(), tokens) {
		if c.Info.Token != tokens[n] {
			t.Fatalf("answer %d is about %v, want %v", n, c.Info.Token, tokens[n])
		}
		if known := n%2 == 0; known != (err == nil) || !known && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("answer %d: %v", n, err)
		}
		n++
	}
	if n != len(tokens) {
		t.Errorf("%d answers, want %d", n, len(tokens))
	}

	var sockets []Socket
	for _, s := range collect(t, w.client.Subflows(t.Context(), nil)) {
		gone := s.Socket
		gone.Cookie += 1 << 40
		sockets = append(sockets, s.Socket, gone)
	}
	n = 0
	for s, err := range w.client.SubflowsBySocket(t.Context(), sockets) {
		if s.Cookie != sockets[n].Cookie || s.Local != sockets[n].Local {
			t.Fatalf("answer %d is about %+v, want %+v", n, s.Socket, sockets[n])
		}
		if known := n%2 == 0; known != (err == nil) || known && !s.HasMPTCP ||
			!known && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("answer %d: %+v, %v", n, s, err)
		}
		n++
	}
	if n != 4*pairs {
		t.Errorf("%d answers, want %d", n, 4*pairs)
	}
}

// A client made in a namespace stays there when it needs another socket, from
// whatever thread, also within the loop over a list.
func TestClientStaysInItsNamespace(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	w.pair(l, "tcp4", l.Addr().String(), true)
	n := 0
	for outer := range w.client.Connections(t.Context(), nil) { // this thread is not in the namespace
		inner, err := w.client.Connection(t.Context(), outer.Info.Token)
		if err != nil || inner.Cookie != outer.Cookie {
			t.Errorf("nested lookup: %+v, %v", inner, err)
		}
		for range w.client.Subflows(t.Context(), nil) {
			n++
			break // leaves a dump half read
		}
	}
	if n != 2 {
		t.Errorf("%d nested lists, want 2", n)
	}
	if got := len(collect(t, w.client.Subflows(t.Context(), nil))); got != 2 {
		t.Errorf("%d subflows after that, want 2", got)
	}
	if w.client.Close() != nil {
		t.Error("close")
	}
	if _, err := w.client.Connection(t.Context(), 1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v, want fs.ErrClosed", err)
	}
}

// The listener of an endpoint with a port is the kernel's own: it has an inode, but
// no address in the list of MPTCP sockets. In that of TCP sockets it has both.
func TestListenerOfAnEndpoint(t *testing.T) {
	w := newWorld(t, nil)
	w.pathManager(func(c *pathmanager.Client) error {
		return c.AddEndpoint(
			t.Context(),
			mptcp.Endpoint{Address: netip.MustParseAddr("127.0.0.3"), Port: 4321, Flags: mptcp.FlagSignal},
		)
	})
	rows := collect(t, w.client.Listeners(t.Context()))
	if len(rows) != 1 || rows[0].State != mptcp.StateListen {
		t.Fatalf("listeners %+v", rows)
	}
	below := collect(t, w.client.Subflows(t.Context(), &Request{States: StatesOf(mptcp.StateListen)}))
	if len(below) != 1 || below[0].Local.String() != "127.0.0.3:4321" || below[0].ULP != "mptcp" ||
		below[0].Inode != rows[0].Inode {
		t.Errorf("below %+v, listener %+v", below, rows[0].Socket)
	}
}

// One client serves several goroutines.
func TestConcurrentUse(t *testing.T) {
	w := newWorld(t, nil)
	w.crowd(50)
	tokens := map[mptcp.Token]bool{}
	for _, c := range collect(t, w.client.Connections(t.Context(), nil)) {
		tokens[c.Info.Token] = true
	}
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			for range 5 {
				n := 0
				for s, err := range w.client.Subflows(t.Context(), nil) {
					if err != nil || !tokens[s.MPTCP.TokenLocal] {
						t.Errorf("%+v, %v", s, err)
					}
					n++
				}
				for token := range tokens {
					if c, err := w.client.Connection(t.Context(), token); err != nil || c.Info.Token != token {
						t.Errorf("%+v, %v", c, err)
					}
				}
				if n != len(tokens) {
					t.Errorf("%d subflows, want %d", n, len(tokens))
				}
			}
		})
	}
	group.Wait()
}
