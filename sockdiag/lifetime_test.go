package sockdiag

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/owners"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// A subflow may outlive its connection, and then no connection has its token. A program
// that relies on the token of a TCP socket would show a connection that is gone.
func TestOrphanSubflowWithDeadToken(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	client, server := w.pair(l, "tcp4", l.Addr().String(), true)
	mine := w.connection(client.LocalAddr())
	subflow := w.waitSubflows(mine.Info.Token, 1)[0]
	// DATA_FIN closes the connection; the FIN that would close the subflow is lost.
	if err := w.ns.SetFirewall(lab.FirewallRule{Hook: lab.HookInput, Flags: lab.FIN, FlagsMask: lab.FIN,
		Verdict: lab.Drop}); err != nil {
		t.Fatal(err)
	}
	client.Close()
	server.Close()
	await.Success(t, func() error {
		_, err := w.client.Connection(t.Context(), mine.Info.Token)
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the connection is there: %v", err)
		}
		return nil
	})
	orphan, err := w.client.Subflow(t.Context(), subflow.Socket)
	if err != nil || orphan.MPTCP.TokenLocal != mine.Info.Token || orphan.Inode != 0 ||
		orphan.State == mptcp.StateEstablished {
		t.Errorf("orphan %+v, %v", orphan, err)
	}
	for _, c := range collect(t, w.client.Connections(t.Context(), nil)) {
		if c.Info.Token == mine.Info.Token {
			t.Errorf("connection %+v", c)
		}
	}
	if len(w.subflowsOf(mine.Info.Token)) != 1 {
		t.Error("the list of subflows lacks the orphan")
	}
}

// Connections that are accepted after somebody has listed the listener all have the
// listener's cookie. A program that identifies them by the cookie shows only one.
func TestAcceptedConnectionsWithOneCookie(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	collect(t, w.client.Listeners(t.Context()))
	const pairs = 5
	for range pairs {
		w.pair(l, "tcp4", l.Addr().String(), true)
	}
	tokens, cookies := map[mptcp.Token]bool{}, map[uint64]int{}
	for _, c := range collect(t, w.client.Connections(t.Context(), nil)) {
		tokens[c.Info.Token] = true
		cookies[c.Cookie]++
	}
	if len(tokens) != 2*pairs {
		t.Errorf("%d of %d connections are listed, with these cookies: %v", len(tokens), 2*pairs, cookies)
	}
}

// TCP rows in TIME-WAIT do not tell that they are subflows.
func TestTimeWaitHasNoULP(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	client, server := w.pair(l, "tcp4", l.Addr().String(), true)
	local := addrPort(client.LocalAddr())
	client.Close()
	server.Close()
	request := &Request{AllTCP: true, States: StatesOf(mptcp.StateTimeWait)}
	await.Success(t, func() error {
		for _, s := range collect(t, w.client.Subflows(t.Context(), request)) {
			if s.Local == local || s.Remote == local {
				if s.ULP != "" || s.HasMPTCP || s.TCP.Size != 0 || s.State != mptcp.StateTimeWait {
					t.Errorf("row %+v", s)
				}
				return nil
			}
		}
		return errors.New("no row in TIME-WAIT")
	})
	for _, s := range collect(t, w.client.Subflows(t.Context(), nil)) {
		if s.State == mptcp.StateTimeWait {
			t.Errorf("among the subflows: %+v", s)
		}
	}
}

// Neither do those in SYN-RECV: here a join whose third packet is lost.
func TestSynRecvHasNoULP(t *testing.T) {
	w := newWorld(t, nil)
	if err := w.ns.SetFirewall(lab.FirewallRule{
		Hook: lab.HookInput, Option: lab.MPTCPOption(lab.SubtypeMPJoin),
		Flags: lab.ACK, FlagsMask: lab.SYN | lab.ACK, Verdict: lab.Drop,
	}); err != nil {
		t.Fatal(err)
	}
	w.addEndpoint("127.0.0.2", 7)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	w.pair(l, "tcp4", l.Addr().String(), true)
	port := addrPort(l.Addr()).Port()
	for _, states := range []States{0, StatesOf(mptcp.StateSynRecv)} {
		await.Success(t, func() error {
			for _, s := range collect(t, w.client.Subflows(t.Context(), &Request{AllTCP: true, LocalPort: port,
				States: states})) {
				if s.State != mptcp.StateSynRecv {
					continue
				}
				if s.ULP != "" || s.HasMPTCP || s.Remote.Addr() != netip.MustParseAddr("127.0.0.2") {
					t.Errorf("row %+v", s)
				}
				return nil
			}
			return fmt.Errorf("no row in SYN-RECV, states %#x", states)
		})
	}
	// The list of subflows leaves it out instead of calling it plain TCP.
	for _, s := range collect(t, w.client.Subflows(t.Context(), &Request{LocalPort: port})) {
		if s.State == mptcp.StateSynRecv {
			t.Errorf("among the subflows: %+v", s)
		}
	}
}

func TestDestroyOneSubflow(t *testing.T) {
	w := newWorld(t, nil)
	w.addEndpoint("127.0.0.2", 7)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	client, server := w.pair(l, "tcp4", l.Addr().String(), true)
	mine := w.connection(client.LocalAddr())
	subflows := w.waitSubflows(mine.Info.Token, 2)
	join := subflows[slices.IndexFunc(subflows, func(s Subflow) bool { return s.MPTCP.Join() })]
	initial := subflows[slices.IndexFunc(subflows, func(s Subflow) bool { return !s.MPTCP.Join() })]

	// What a connection's row says is no TCP socket: it must be refused, not ignored.
	if err := w.client.Destroy(t.Context(), mine.Socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("destroy of the connection: %v, want fs.ErrNotExist", err)
	}
	if err := w.client.Destroy(t.Context(), join.Socket); err != nil {
		t.Fatal(err)
	}
	await.Success(t, func() error {
		_, err := w.client.Subflow(t.Context(), join.Socket)
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the subflow is there: %v", err)
		}
		return nil
	})
	if err := w.client.Destroy(t.Context(), join.Socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("destroy again: %v, want fs.ErrNotExist", err)
	}
	w.transfer(client, server, "still there")
	if got := w.waitSubflows(mine.Info.Token, 1)[0]; got.Cookie != initial.Cookie {
		t.Errorf("left is %+v, want %+v", got, initial)
	}

	// Without its last subflow the connection stays for a while.
	if err := w.client.Destroy(t.Context(), initial.Socket); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Connection(t.Context(), mine.Info.Token); err != nil {
		t.Errorf("connection without subflows: %v", err)
	}
}

// The kernel cannot end an MPTCP socket. This pins the fact that makes Destroy a
// function about subflows.
func TestKernelDestroysNoConnection(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	client, _ := w.pair(l, "tcp4", l.Addr().String(), true)
	c := w.connection(client.LocalAddr())
	q := &query{protocol: uapi.IPPROTO_MPTCP}
	request := func(b []byte, _ int, seq uint32) []byte {
		return appendRequest(b, uapi.SockDestroy, nlmsg.FlagRequest|nlmsg.FlagAck, seq, q, &c.Socket)
	}
	var refusal error
	err := w.client.lookup(t.Context(), q.protocol, 1, request, func(_ int, _ []byte, err error) (bool, error) {
		refusal = err
		return true, nil
	})
	if err != nil || refusal != unix.EOPNOTSUPP {
		t.Errorf("SOCK_DESTROY of protocol 262: %v, %v, want EOPNOTSUPP", err, refusal)
	}
}

// Ended subflows are announced without token and ULP; their counters are whole
// where this side closed first or the subflow was a join.
func TestDestroyed(t *testing.T) {
	w := newWorld(t, nil)
	w.addEndpoint("127.0.0.2", 7)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := w.client.Destroyed(ctx)
	client, server := w.pair(l, "tcp4", l.Addr().String(), true)
	mine, theirs := w.connection(client.LocalAddr()), w.connection(server.LocalAddr())
	w.waitSubflows(theirs.Info.Token, 2)
	known := map[uint64]Subflow{}
	for _, s := range append(w.waitSubflows(mine.Info.Token, 2), w.waitSubflows(theirs.Info.Token, 2)...) {
		known[s.Cookie] = s
	}
	client.Close() // the active side
	await.Success(t, func() error {
		c, err := w.client.Connection(t.Context(), theirs.Info.Token)
		if err != nil || c.State != mptcp.StateCloseWait {
			return fmt.Errorf("the passive side is in %v: %v", c.State, err)
		}
		return nil
	})
	server.Close()
	left := len(known)
	for s, err := range ended {
		if err != nil {
			t.Fatalf("%v, with %d ends to come", err, left)
		}
		before, found := known[s.Cookie]
		if !found {
			continue // the listener's, or of an attempt to join
		}
		delete(known, s.Cookie)
		if s.HasMPTCP || s.ULP != "" || s.State != mptcp.StateClosed || s.Inode != 0 || s.TCP.Size == 0 {
			t.Errorf("ended %+v", s)
		}
		wiped := s.Remote.Port() == 0
		if passive := before.MPTCP.TokenLocal == theirs.Info.Token && !before.MPTCP.Join(); wiped && !passive {
			t.Errorf("wiped: %+v, before %+v", s, before)
		}
		if !wiped && (s.TCP.BytesSent < before.TCP.BytesSent || s.TCP.BytesReceived < before.TCP.BytesReceived ||
			s.Remote != before.Remote) {
			t.Errorf("last counters %+v, before %+v", s.TCP, before.TCP)
		}
		if wiped && (s.TCP.BytesSent != 0 || s.TCP.BytesReceived != 0) {
			t.Errorf("wiped with counters: %+v", s)
		}
		if left = len(known); left == 0 {
			break
		}
	}
	if left != 0 {
		t.Errorf("%d ends were not announced: %+v", left, known)
	}
}

func TestDestroyedEndsWithContext(t *testing.T) {
	w := newWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := w.client.Destroyed(ctx)
	time.AfterFunc(10*time.Millisecond, cancel)
	for _, err := range ended {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
		return
	}
	t.Error("ended without an error")
}

// Losses of the stream of ended sockets are said, and it goes on.
func TestDestroyedSaysWhatItMissed(t *testing.T) {
	w := newWorld(t, &Config{DestroyedBuffer: 1}) // the kernel's least: a few messages
	l := w.listen("tcp4", "127.0.0.1:0", false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := w.client.Destroyed(ctx)
	for range 100 {
		client := w.dial("tcp4", l.Addr().String(), false)
		_ = client.SetLinger(0)
		w.accept(l).Close()
		client.Close()
	}
	// The kernel tells of the ends on its own time, which may be long after them.
	await.Success(t, func() error {
		drops, err := diagDrops(w)
		if err == nil && drops == 0 {
			err = errors.New("nothing was dropped")
		}
		return err
	})
	defer time.AfterFunc(patience, cancel).Stop()
	missed, after := false, false
	for _, err := range ended {
		switch {
		case errors.Is(err, unix.ENOBUFS):
			missed = true
			l.Close() // one more end
		case err != nil:
			t.Fatalf("%v (missed: %v)", err, missed)
		case missed:
			after = true
		}
		if after {
			break
		}
	}
	if !missed || !after {
		t.Errorf("missed %v, went on %v", missed, after)
	}
}

// diagDrops returns how many messages the kernel dropped for this process's sockets of
// this kind in the namespace. Another that watches all namespaces of the machine may
// have its own there.
func diagDrops(w *world) (drops uint64, err error) {
	own, err := owners.SocketsOf(0)
	if err != nil {
		return 0, err
	}
	var table []byte
	err = w.ns.Do(func() (err error) {
		table, err = os.ReadFile("/proc/thread-self/net/netlink")
		return err
	})
	for line := range strings.Lines(string(table)) { // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
		f := strings.Fields(line)
		if len(f) < 10 || f[1] != strconv.Itoa(unix.NETLINK_SOCK_DIAG) {
			continue
		}
		n, err := strconv.ParseUint(f[8], 10, 64)
		if err != nil {
			return 0, err
		}
		inode, err := strconv.ParseUint(f[9], 10, 32)
		if err != nil {
			return 0, err
		}
		if !own[uint32(inode)] {
			continue
		}
		drops += n
	}
	return drops, err
}

// A list that its context ends says so, and the next one is whole.
func TestCancelledListLeavesTheClientUsable(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	const pairs = 60 // more than one datagram
	for range pairs {
		w.pair(l, "tcp4", l.Addr().String(), true)
	}
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		rows := 0
		var last error
		for _, err := range w.client.Subflows(ctx, nil) {
			cancel()
			rows++
			last = err
		}
		if !errors.Is(last, context.Canceled) || rows < 2 || rows >= 2*pairs {
			t.Errorf("%d rows, error %v", rows, last)
		}
		if got := len(collect(t, w.client.Subflows(t.Context(), nil))); got != 2*pairs {
			t.Errorf("next list: %d rows, want %d", got, 2*pairs)
		}
		if got := len(collect(t, w.client.Connections(t.Context(), nil))); got != 2*pairs {
			t.Errorf("connections: %d rows, want %d", got, 2*pairs)
		}
	}
}

// A list is no snapshot: while connections come and go it shows none twice, and one
// that it missed is found by its token.
func TestListsDuringChurn(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	w.crowd(100)
	lasting := collect(t, w.client.Connections(t.Context(), nil))
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- w.ns.Do(func() error {
			dialer := net.Dialer{Timeout: patience}
			dialer.SetMultipathTCP(true)
			for {
				select {
				case <-stop:
					return nil
				default:
				}
				client, err := dialer.Dial("tcp4", l.Addr().String())
				if err != nil {
					return err
				}
				server, err := l.Accept()
				if err != nil {
					return err
				}
				client.Close()
				server.Close()
			}
		})
	}()
	for range 50 {
		seen := map[uint64]bool{}
		for _, c := range collect(t, w.client.Connections(t.Context(), nil)) {
			if seen[c.Cookie] {
				t.Errorf("twice: %+v", c)
			}
			seen[c.Cookie] = true
		}
		for _, c := range lasting {
			if seen[c.Cookie] {
				continue
			}
			if found, err := w.client.Connection(t.Context(), c.Info.Token); err != nil || found.Cookie != c.Cookie {
				t.Errorf("neither listed nor found: %+v, %v", c, err)
			}
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// An ordinary user sees all but the mapping, and may end nothing.
func TestWithoutPrivilege(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	client, _ := w.pair(l, "tcp4", l.Addr().String(), true)
	token := w.connection(client.LocalAddr()).Info.Token
	w.do(func() error {
		if err := dropCapabilities(); err != nil {
			return err
		}
		// The thread ends with this function: nothing else runs without capabilities.
		c, err := Dial(nil)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Connection(t.Context(), token); err != nil {
			t.Error(err)
		}
		if n := len(collect(t, c.Connections(t.Context(), nil))); n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
		var subflow Subflow
		subflows := collect(t, c.Subflows(t.Context(), nil))
		err = c.CheckSubflows(t.Context())
		if labtest.KernelBefore(t, 6, 15) {
			if len(subflows) != 0 || !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%d subflows, %v: the package says that this kernel tells of none", len(subflows), err)
			}
			return nil
		}
		if err != nil {
			t.Error(err)
		}
		for _, s := range subflows {
			if s.MPTCP.TokenLocal == token {
				subflow = s
			}
		}
		if subflow.MPTCP.Mapping || !subflow.HasMPTCP {
			t.Errorf("subflow %+v", subflow)
		}
		if err := c.Destroy(t.Context(), subflow.Socket); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("destroy: %v, want fs.ErrPermission", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := c.Destroyed(ctx)
		cancel()
		for _, err := range ended {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("ended sockets: %v, want only context.Canceled", err)
			}
		}
		return nil
	})
}

// dropCapabilities takes all capabilities from the calling thread.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return os.NewSyscallError("capset", unix.Capset(&header, &data[0]))
}

// The error of a kernel without NETLINK_SOCK_DIAG tells that, not "does not exist".
func TestErrorIs(t *testing.T) {
	err := &Error{Op: "connection list", Err: notSupported("inet_diag", syscall.ENOENT)}
	if !errors.Is(err, mptcp.ErrNotSupported) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if want := "connection list: inet_diag: not supported by this kernel (no such file or directory)"; err.Error() != want {
		t.Errorf("text %q, want %q", err, want)
	}

}

// A connection that ends while the kernel walks its table has given its token back when
// its row is written: whoever believes in the row sees a connection with token 0.
func TestConnectionsDestroyedDuringTheDump(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	port := l.Addr().(*net.TCPAddr).Port
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 2 {
		fd := -1
		w.do(func() (err error) {
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
			return err
		})
		done := make(chan struct{})
		t.Cleanup(func() { <-done })
		go func() {
			defer close(done)
			defer unix.Close(fd)
			to := &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}} // each its own: Connect writes to it
			for ctx.Err() == nil {
				if unix.Connect(fd, to) == nil {
					disconnect(fd)
				}
			}
		}()
	}
	t.Cleanup(cancel) // before the waits
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		for c, err := range w.client.Connections(ctx, nil) {
			if err != nil {
				t.Fatal(err)
			}
			if c.Info.Token == 0 {
				t.Fatalf("a connection with token 0: %+v", c)
			}
			_, err := w.client.Connection(ctx, c.Info.Token)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
	}
}

// disconnect ends the connection of the socket and keeps the socket.
func disconnect(fd int) {
	address := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&address)), unix.SizeofSockaddrInet4)
}

func TestGone(t *testing.T) {
	for _, tt := range []struct {
		c    Connection
		want bool
	}{
		{Connection{Info: Info{Size: 96}}, true},
		{Connection{Info: Info{Size: 96, Token: 1}}, false},
		{Connection{}, false}, // no information was asked for
		{Connection{Info: Info{Size: 96}, Socket: Socket{State: mptcp.StateListen}}, false},
	} {
		if got := tt.c.Gone(); got != tt.want {
			t.Errorf("%+v: gone %v, want %v", tt.c, got, tt.want)
		}
	}
}
