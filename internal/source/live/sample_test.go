package live

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

const (
	// plainPairs is how many plain TCP connections are beside those of MPTCP, with
	// both of their ends.
	plainPairs = 1500
	// patient is how long these tests wait for the kernel.
	patient = await.Patience
)

// crowd is a namespace with many TCP sockets, few of which are subflows.
type crowd struct {
	host   *Host
	ns     *lab.Namespace
	tokens []mptcp.Token
}

// newCrowd makes connections over MPTCP among n plain ones.
func newCrowd(t testing.TB, connections, n int) *crowd {
	t.Helper()
	c := &crowd{ns: labtest.MPTCP(t)}
	for what, do := range map[string]func() error{
		"host":  func() (err error) { c.host, err = Dial(nil); return err },
		"plain": func() error { return plainConnections(t, n) },
	} {
		if err := c.ns.Do(do); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	t.Cleanup(func() { c.host.Close() })
	s, err := lab.Serve(t.Context(), c.ns, netip.MustParseAddrPort("127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for range connections {
		conn, err := lab.Connect(t.Context(), c.ns, s.Addr(), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.Exchange(100); err != nil {
			t.Fatal(err)
		}
		token, ok := conn.Token()
		if !ok {
			t.Fatal("a connection without a token")
		}
		c.tokens = append(c.tokens, token)
	}
	return c
}

// plainConnections connects to a TCP listener that nobody accepts from: their other
// ends wait in its queue, and need no descriptor.
func plainConnections(t testing.TB, n int) error {
	const most = 500 // in the queue of one listener
	for i := 0; i < n; {
		listener, to, err := plainListener(most)
		if err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(listener) })
		for ; i < n && to != nil; i++ {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
			if err != nil {
				return err
			}
			t.Cleanup(func() { unix.Close(fd) })
			if err := unix.Connect(fd, to); err != nil {
				return err
			}
			if (i+1)%most == 0 {
				to = nil
			}
		}
	}
	return nil
}

func plainListener(queue int) (fd int, at unix.Sockaddr, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, nil, err
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		err = unix.Listen(fd, queue)
	}
	if err == nil {
		at, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
	}
	return fd, at, err
}

// takes lets the host know the subflows' sockets and pretends what each way costs.
func (c *crowd) takes(lookup, dump time.Duration) {
	c.host.sampled.mu.Lock()
	defer c.host.sampled.mu.Unlock()
	c.host.sampled.cost = cost{lookup: lookup, dump: dump}
}

// byLookup reports which way the last sample went.
func (c *crowd) byLookup() bool {
	c.host.sampled.mu.Lock()
	defer c.host.sampled.mu.Unlock()
	return c.host.sampled.cost.byLookup
}

func (c *crowd) sample(t testing.TB) []track.SubflowRow {
	t.Helper()
	rows, err := c.host.Sample(t.Context(), "", c.tokens)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(rows, func(a, b track.SubflowRow) int { return int(int64(a.Cookie) - int64(b.Cookie)) })
	for i := range rows {
		rows[i].LastAckMS, rows[i].LastDataSentMS = 0, 0 // the clock goes on
	}
	return rows
}

// TestLookupsAmongManySockets: five connections among 3,000 other TCP sockets are
// looked up, and tell the same as the dump.
func TestLookupsAmongManySockets(t *testing.T) {
	if labtest.KernelBefore(t, 6, 8) {
		labtest.Skip(t, "the kernel does not say how many subflows a connection has (Linux 6.8 or later)")
	}
	c := newCrowd(t, 5, plainPairs)
	var dumped, lookedUp []track.SubflowRow
	for deadline := time.Now().Add(patient); ; time.Sleep(10 * time.Millisecond) {
		c.takes(time.Hour, 1) // a dump, cheap as it is said to be
		if dumped = c.sample(t); c.byLookup() {
			t.Fatal("looked up what a dump is cheaper for")
		}
		c.takes(1, time.Hour)
		lookedUp = c.sample(t)
		// An acknowledgement may come between the two.
		if c.byLookup() && len(dumped) == 5 && cmp.Equal(dumped, lookedUp, comparer()) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf(
				"by lookup %v, %d and %d subflows: %s",
				c.byLookup(),
				len(dumped),
				len(lookedUp),
				cmp.Diff(dumped, lookedUp, comparer()),
			)
		}
	}
	// And left to itself, by what both really take.
	c.takes(0, 0)
	lookups := 0
	for deadline := time.Now().Add(patient); lookups < 20; {
		if c.sample(t); c.byLookup() {
			lookups++
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d lookups; %+v", lookups, c.host.sampled.cost)
		}
	}
}

// TestLookupsOfWhatIsGone: a connection that ended meanwhile makes a dump follow.
func TestLookupsOfWhatIsGone(t *testing.T) {
	c := newCrowd(t, 2, 0)
	c.sample(t)
	c.host.sampled.mu.Lock()
	c.host.sampled.sockets[0xdead] = []sockdiag.Socket{}
	c.host.sampled.mu.Unlock()
	want := c.tokens
	c.tokens = append(slices.Clone(want), 0xdead)
	c.takes(1, time.Hour)
	if rows := c.sample(t); c.byLookup() || len(rows) != len(want) {
		t.Errorf("by lookup %v, %d subflows", c.byLookup(), len(rows))
	}
}

func comparer() cmp.Option {
	return cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
}

// BenchmarkSample samples five connections among others in both ways, and in the
// way that the costs say.
func BenchmarkSample(b *testing.B) {
	for _, pairs := range []int{0, 50, plainPairs} {
		c := newCrowd(b, 5, pairs)
		b.Run(fmt.Sprintf("sockets=%d/dump", 2*pairs), func(b *testing.B) {
			for b.Loop() {
				if _, err := c.host.dumpSubflows(b.Context(), c.tokens); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("sockets=%d/lookups", 2*pairs), func(b *testing.B) { c.benchmarkLookups(b) })
		b.Run(fmt.Sprintf("sockets=%d/chosen", 2*pairs), func(b *testing.B) {
			for b.Loop() {
				c.sample(b)
			}
		})
	}
}

func (c *crowd) benchmarkLookups(b *testing.B) {
	c.sample(b) // so that the sockets are known
	sockets, _ := c.host.sampled.of(c.tokens)
	for b.Loop() {
		if _, complete, err := c.host.lookupSubflows(context.Background(), c.tokens, sockets); err != nil || !complete {
			b.Fatal(complete, err)
		}
	}
}
