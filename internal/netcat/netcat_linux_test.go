package netcat_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/internal/netcat"
	"mptcpctl/mptcp"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// patience is how long a test waits for what comes at once on an idle machine.
const patience = await.Patience

// output collects what a netcat writes.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

// netcatRun is a netcat that runs in a namespace.
type netcatRun struct {
	stdin          *os.File // nil unless it was piped
	stdout, stderr output
	cancel         context.CancelFunc
	ended          chan struct{}
	err            error
}

// run starts netcat; stdin nil gives it a pipe.
func run(t *testing.T, ns *lab.Namespace, o netcat.Options, stdin io.Reader) *netcatRun {
	t.Helper()
	r := &netcatRun{ended: make(chan struct{})}
	var reading *os.File
	if stdin == nil {
		var err error
		reading, r.stdin, err = os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		stdin = reading
	}
	o.Verbose = true
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.ended)
		r.err = ns.Do(func() error { return netcat.Run(ctx, o, stdin, &r.stdout, &r.stderr) })
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ended
		if r.stdin != nil {
			r.stdin.Close()
			reading.Close()
		}
	})
	return r
}

// listen starts a listener and returns when it listens, with its port.
func listen(t *testing.T, ns *lab.Namespace, o netcat.Options, stdin io.Reader) (*netcatRun, string) {
	t.Helper()
	ready := make(chan netip.AddrPort, 1)
	o.Listen, o.Port = true, "0"
	o.Listening = func(a netip.AddrPort) { ready <- a }
	r := run(t, ns, o, stdin)
	select {
	case a := <-ready:
		return r, strconv.Itoa(int(a.Port()))
	case <-r.ended:
		t.Fatalf("listener ended: %v", r.err)
	case <-time.After(patience):
		t.Fatalf("no listener within %v", patience)
	}
	return nil, ""
}

func (r *netcatRun) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-r.ended:
		return r.err
	case <-time.After(2 * patience):
		t.Fatalf("netcat has not ended within %v", 2*patience)
		return nil
	}
}

func (r *netcatRun) running() bool {
	select {
	case <-r.ended:
		return false
	default:
		return true
	}
}

func TestBothDirectionsAtOnce(t *testing.T) {
	ns := labtest.MPTCP(t)
	for _, tt := range []struct {
		host   string
		family netcat.Family
		verb   string
	}{{"127.0.0.1", "", "Connection received on 127.0.0.1 "}, {"::1", "", "Connection received on ::1 "}, {"::1", netcat.IPv6, "(MPTCP)"}} {
		t.Run(tt.host+string(tt.family), func(t *testing.T) {
			server, port := listen(t, ns, netcat.Options{Family: tt.family}, nil)
			client := run(t, ns, netcat.Options{Host: tt.host, Port: port}, nil)
			fmt.Fprintln(client.stdin, "from client")
			await.True(t, "line at server", func() bool { return server.stdout.String() == "from client\n" })
			fmt.Fprintln(server.stdin, "from server")
			await.True(t, "line at client", func() bool { return client.stdout.String() == "from server\n" })
			client.stdin.Close()
			if err := errors.Join(client.wait(t), server.wait(t)); err != nil {
				t.Error(err)
			}
			if got := client.stderr.String(); got != fmt.Sprintf(
				"Connection to %s %s port [tcp/*] succeeded! (MPTCP)\n",
				tt.host,
				port,
			) {
				t.Errorf("client said %q", got)
			}
			if got := server.stderr.String(); !strings.Contains(got, tt.verb) || !strings.HasSuffix(got, "(MPTCP)\n") {
				t.Errorf("server said %q", got)
			}
		})
	}
}

// TestBinaryBothWays copies 64 MiB each way at once and compares checksums.
func TestBinaryBothWays(t *testing.T) {
	ns := labtest.MPTCP(t)
	const size = 64 << 20
	digest := func(seed uint64) (io.Reader, []byte) {
		sum := sha256.New()
		io.CopyN(sum, rand.NewChaCha8([32]byte{byte(seed)}), size)
		return io.LimitReader(rand.NewChaCha8([32]byte{byte(seed)}), size), sum.Sum(nil)
	}
	fromServer, serverSum := digest(1)
	fromClient, clientSum := digest(2)
	server, port := listen(t, ns, netcat.Options{}, fromServer)
	client := run(t, ns, netcat.Options{Host: "127.0.0.1", Port: port}, fromClient)
	if err := errors.Join(client.wait(t), server.wait(t)); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"client": client.stdout.buffer.Bytes(), "server": server.stdout.buffer.Bytes()} {
		want := map[string][]byte{"client": serverSum, "server": clientSum}[name]
		if sum := sha256.Sum256(got); !bytes.Equal(sum[:], want) {
			t.Errorf("%s got %d bytes with checksum %x, want %d and %x", name, len(got), sum, size, want)
		}
	}
}

// TestHalfClose ends the client's direction and still gets an answer.
func TestHalfClose(t *testing.T) {
	ns := labtest.MPTCP(t)
	server, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	o := netcat.Options{Host: "127.0.0.1", Port: strconv.Itoa(int(server.Addr().Port()))}
	client := run(t, ns, o, strings.NewReader("to and fro"))
	if err := client.wait(t); err != nil || client.stdout.String() != "to and fro" {
		t.Errorf("got %q, %v", client.stdout.String(), err)
	}
}

// TestEmptyInput: a netcat without input holds its connection, with -N it does not.
func TestEmptyInput(t *testing.T) {
	ns := labtest.MPTCP(t)
	server, port := listen(t, ns, netcat.Options{KeepOpen: true}, strings.NewReader(""))
	holding := run(t, ns, netcat.Options{Host: "127.0.0.1", Port: port}, strings.NewReader(""))
	ending := run(t, ns, netcat.Options{Host: "127.0.0.1", Port: port, ShutdownOnEOF: true}, strings.NewReader(""))
	if err := ending.wait(t); err != nil {
		t.Error(err)
	}
	await.True(t, "two clients", func() bool { return strings.Count(server.stderr.String(), "received") == 2 })
	if !holding.running() || !server.running() {
		t.Errorf("client runs %v, server runs %v", holding.running(), server.running())
	}
}

func TestManyClients(t *testing.T) {
	ns := labtest.MPTCP(t)
	server, port := listen(t, ns, netcat.Options{KeepOpen: true}, nil)
	const many = 20
	clients := make([]*netcatRun, many)
	for i := range clients {
		clients[i] = run(t, ns, netcat.Options{Host: "127.0.0.1", Port: port}, nil)
		fmt.Fprintf(clients[i].stdin, "client %d.\n", i)
	}
	for i := range clients {
		await.True(t, "line of each client", func() bool {
			return strings.Contains(server.stdout.String(), fmt.Sprintf("client %d.\n", i))
		})
	}
	fmt.Fprintln(server.stdin, "to all")
	for i, c := range clients {
		await.True(t, "line to each client", func() bool { return c.stdout.String() == "to all\n" })
		if i < many-1 {
			c.stdin.Close()
			if err := c.wait(t); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		}
	}
	if !server.running() {
		t.Fatalf("server ended: %v", server.err)
	}
	server.stdin.Close() // something was sent: the last client hears the end
	clients[many-1].stdin.Close()
	if err := clients[many-1].wait(t); err != nil {
		t.Error(err)
	}
	if !server.running() {
		t.Errorf("server ended with its input: %v", server.err)
	}
}

func TestFallbackIsReported(t *testing.T) {
	ns := labtest.MPTCP(t)
	plain, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:0"), &lab.ServeConfig{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	client := run(
		t,
		ns,
		netcat.Options{Host: "127.0.0.1", Port: strconv.Itoa(int(plain.Addr().Port()))},
		strings.NewReader("x"),
	)
	if err := client.wait(t); err != nil ||
		!strings.Contains(client.stderr.String(), "succeeded! (fell back to TCP)\n") {
		t.Errorf("client said %q, %v", client.stderr.String(), err)
	}

	server, port := listen(t, ns, netcat.Options{}, nil)
	c, err := lab.Connect(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:"+port), &lab.ConnectConfig{TCP: true})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := server.wait(t); err != nil || !strings.HasSuffix(server.stderr.String(), "(fell back to TCP)\n") {
		t.Errorf("server said %q, %v", server.stderr.String(), err)
	}
}

func TestErrors(t *testing.T) {
	ns := labtest.MPTCP(t)
	for _, tt := range []struct {
		name string
		o    netcat.Options
		is   error
		text string
	}{
		{"refused", netcat.Options{Host: "127.0.0.1", Port: "9"}, syscall.ECONNREFUSED, "connect to 127.0.0.1 port " +
			"9 (tcp) failed: Connection refused"},
		{"unreachable", netcat.Options{Host: "192.0.2.1", Port: "9"}, syscall.ENETUNREACH, "connect to 192.0.2.1 " +
			"port 9 (tcp) failed: Network is unreachable"},
		{"foreign source", netcat.Options{Host: "127.0.0.1", Port: "9", Source: "192.0.2.7"}, syscall.EADDRNOTAVAIL, "connect to 127.0.0.1 port 9 (tcp) failed: Cannot assign requested address"},
		{"families", netcat.Options{Host: "127.0.0.1", Port: "9", Source: "::1"}, nil, "source ::1 and host " +
			"127.0.0.1 have no address family in common"},
		{"family of host", netcat.Options{Host: "127.0.0.1", Port: "9", Family: netcat.IPv6}, nil, "address family for hostname 127.0.0.1 not supported"},
		{"port", netcat.Options{Host: "127.0.0.1", Port: "no-such-service"}, nil, "port number invalid: no-such-service"},
		{"no port", netcat.Options{Host: "127.0.0.1"}, nil, "port number invalid: "},
		{"name for a number", netcat.Options{Host: "localhost", Port: "9", Numeric: true}, nil, "localhost is no address"},
		{"listen elsewhere", netcat.Options{Listen: true, Host: "192.0.2.7", Port: "9"}, syscall.EADDRNOTAVAIL, "listen on 192.0.2.7 port 9 (tcp) failed: Cannot assign requested address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t, ns, tt.o, strings.NewReader("")).wait(t)
			if err == nil || err.Error() != tt.text {
				t.Errorf("got %v, want %s", err, tt.text)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
		})
	}
}

func TestPortInUse(t *testing.T) {
	ns := labtest.MPTCP(t)
	_, port := listen(t, ns, netcat.Options{KeepOpen: true}, nil)
	err := run(t, ns, netcat.Options{Listen: true, Port: port}, nil).wait(t)
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want address in use", err)
	}
}

func TestDisabledIsNeverTCP(t *testing.T) {
	ns := labtest.MPTCP(t)
	err := ns.Do(func() error { return os.WriteFile("/proc/sys/net/mptcp/enabled", []byte("0"), 0) })
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []netcat.Options{{Host: "127.0.0.1", Port: "9"}, {Listen: true, Port: "9"}} {
		err := run(t, ns, o, strings.NewReader("")).wait(t)
		if !errors.Is(err, mptcp.ErrDisabled) || !strings.Contains(err.Error(), "net.mptcp.enabled=1") {
			t.Errorf("got %v", err)
		}
	}
}

func TestSource(t *testing.T) {
	ns := labtest.MPTCP(t)
	server, port := listen(t, ns, netcat.Options{}, nil)
	client := run(
		t,
		ns,
		netcat.Options{Host: "127.0.0.1", Port: port, Source: "127.0.0.7", SourcePort: 4007},
		strings.NewReader("x"),
	)
	if err := errors.Join(client.wait(t), server.wait(t)); err != nil {
		t.Error(err)
	}
	if !strings.Contains(server.stderr.String(), "received on 127.0.0.7 4007 ") {
		t.Errorf("server said %q", server.stderr.String())
	}
}

func TestConnectTimesOut(t *testing.T) {
	topology, _ := scenario.FindTopology("two-subnets")
	labtest.MPTCP(t)
	l, err := lab.Build(t.Context(), topology)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Host(lab.ServerHost).SetFirewall(lab.FirewallRule{Hook: lab.HookInput, Verdict: lab.Drop}); err != nil {
		t.Fatal(err)
	}
	o := netcat.Options{Host: "10.0.1.1", Port: "9", Timeout: 50 * time.Millisecond}
	err = run(t, l.Host(lab.ClientHost).Namespace, o, nil).wait(t)
	if !errors.Is(err, syscall.ETIMEDOUT) ||
		err.Error() != "connect to 10.0.1.1 port 9 (tcp) failed: Connection timed out" {
		t.Errorf("got %v", err)
	}
}

func TestIdleTimesOut(t *testing.T) {
	ns := labtest.MPTCP(t)
	_, port := listen(t, ns, netcat.Options{KeepOpen: true}, nil)
	start := time.Now()
	const timeout = 2 * time.Second // the connection has to be made within it, too
	client := run(t, ns, netcat.Options{Host: "127.0.0.1", Port: port, Timeout: timeout}, nil)
	fmt.Fprintln(client.stdin, "one line")
	if err := client.wait(t); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took < timeout {
		t.Errorf("ended after %v", took)
	}
}

// TestReset tells a connection that broke from one that ended.
func TestReset(t *testing.T) {
	ns := labtest.MPTCP(t)
	server, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client := run(t, ns, netcat.Options{Host: "127.0.0.1", Port: strconv.Itoa(int(server.Addr().Port()))}, nil)
	fmt.Fprintln(client.stdin, "hello")
	await.True(t, "echo", func() bool { return client.stdout.String() == "hello\n" })
	if err := server.Conns()[0].Abort(); err != nil {
		t.Fatal(err)
	}
	if err := client.wait(t); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want connection reset", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// TestOutputFails ends even a listener that keeps open.
func TestOutputFails(t *testing.T) {
	ns := labtest.MPTCP(t)
	ready := make(chan netip.AddrPort, 1)
	o := netcat.Options{Listen: true, KeepOpen: true, Port: "0", Listening: func(a netip.AddrPort) { ready <- a }}
	ended := make(chan error, 1)
	go func() {
		ended <- ns.Do(func() error { return netcat.Run(context.Background(), o, nil, brokenWriter{}, io.Discard) })
	}()
	run(t, ns, netcat.Options{Host: "127.0.0.1", Port: strconv.Itoa(int((<-ready).Port()))}, strings.NewReader("x"))
	select {
	case err := <-ended:
		if !errors.Is(err, syscall.EPIPE) {
			t.Errorf("got %v, want broken pipe", err)
		}
	case <-time.After(patience):
		t.Fatalf("not ended within %v", patience)
	}
}

// TestCancelLeavesNothing ends netcats at every stage and looks for goroutines.
func TestCancelLeavesNothing(t *testing.T) {
	ns := labtest.MPTCP(t)
	before := goleak.IgnoreCurrent()
	server, port := listen(t, ns, netcat.Options{KeepOpen: true}, nil)
	waiting, _ := listen(t, ns, netcat.Options{}, nil)
	client := run(t, ns, netcat.Options{Host: "127.0.0.1", Port: port}, nil)
	flooding := run(t, ns, netcat.Options{Host: "127.0.0.1", Port: port}, rand.NewChaCha8([32]byte{}))
	fmt.Fprintln(client.stdin, "x")
	await.True(t, "traffic", func() bool { return len(server.stdout.String()) > 1<<20 })
	blocking := blockingFile(t)
	reading := run(t, ns, netcat.Options{Host: "127.0.0.1", Port: port}, blocking)
	await.True(t, "third client", func() bool { return strings.Count(server.stderr.String(), "received") == 3 })
	for _, r := range []*netcatRun{flooding, reading, client, waiting, server} {
		r.cancel()
		if err := r.wait(t); err != nil {
			t.Error(err)
		}
	}
	labtest.NoLeaks(t, before)
}

// blockingFile returns the reading end of a pipe in blocking mode, as a program's
// standard input is.
func blockingFile(t *testing.T) *os.File {
	t.Helper()
	fds := make([]int, 2)
	if err := syscall.Pipe2(fds, syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r
}
