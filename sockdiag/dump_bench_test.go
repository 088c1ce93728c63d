package sockdiag

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"strconv"
	"testing"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// benchmarkPairs is how many connections, with both ends here, the benchmarks
// hold. SOCKDIAG_PAIRS sets it.
func benchmarkPairs(b *testing.B) int {
	n, err := strconv.Atoi(os.Getenv("SOCKDIAG_PAIRS"))
	if err != nil || n < 1 {
		n = 200 // quick enough to run as a test
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
		if most := int(limit.Cur)/2 - 50; n > most {
			b.Logf("%d connections instead of %d: RLIMIT_NOFILE is %d", most, n, limit.Cur)
			n = most
		}
	}
	return n
}

// crowd makes n connections.
func (w *world) crowd(n int) {
	w.t.Helper()
	var l *net.TCPListener
	for i := range n {
		if i%20000 == 0 { // a port's worth of clients
			l = w.listen("tcp4", "127.0.0.1:0", true)
		}
		client := w.dial("tcp4", l.Addr().String(), true)
		server := w.accept(l)
		w.transfer(client, server, "x")
	}
}

// drain sends the requests of q as a client does and counts the rows by their
// headers: the least that a reader can do.
func (w *world) drain(b *testing.B, fd int, buf []byte, q *query) int {
	rows := 0
	for _, family := range q.families {
		if _, err := unix.Write(fd, appendDump(nil, 1, q, family)); err != nil {
			b.Fatal(err)
		}
		for done := false; !done; {
			n, err := unix.Read(fd, buf)
			if err != nil {
				b.Fatal(err)
			}
			for at := 0; at < n; at += int(binary.NativeEndian.Uint32(buf[at:])+3) &^ 3 {
				switch binary.NativeEndian.Uint16(buf[at+4:]) {
				case uapi.SockDiagByFamily, uapi.TCPDiagGetSock:
					rows++
				case nlmsg.TypeDone:
					done = true
				default:
					b.Fatal("refused")
				}
			}
		}
	}
	return rows
}

// cpuTime returns the processor time of this process in seconds.
func cpuTime(b *testing.B) float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return float64(t.Nano()) / 1e9
}

// BenchmarkDump compares our lists with a bare drain of the same dumps, in turns
// within each round: "bare-ns/row", "ours-ns/row" and their ratio "x-bare", all in
// processor time. What is kept of a row is one sum, as a table would read it.
func BenchmarkDump(b *testing.B) {
	w := newWorld(b, nil)
	pairs := benchmarkPairs(b)
	w.crowd(pairs)
	var s *netlinkSocket
	w.do(func() (err error) {
		s, err = openNetlink()
		return err
	})
	defer s.close()
	buf := make([]byte, bufferSize)
	var sum uint64
	connections := func(r *Request) func(b *testing.B) int {
		return func(b *testing.B) (n int) {
			for c, err := range w.client.Connections(b.Context(), r) {
				if err != nil {
					b.Fatal(err)
				}
				sum += uint64(c.Info.Token) + c.Info.BytesSent + uint64(c.Local.Port())
				n++
			}
			return n
		}
	}
	subflows := func(r *Request) func(b *testing.B) int {
		return func(b *testing.B) (n int) {
			for s, err := range w.client.Subflows(b.Context(), r) {
				if err != nil {
					b.Fatal(err)
				}
				sum += uint64(s.MPTCP.TokenLocal) + s.TCP.BytesSent + uint64(s.TCP.RTTMicros)
				n++
			}
			return n
		}
	}
	tcp := newQuery("", unix.IPPROTO_TCP, nil)
	tcp.states &^= 1 << mptcp.StateTimeWait
	for _, test := range []struct {
		name  string
		query *query
		ours  func(b *testing.B) int
	}{
		{"connections", newQuery("", uapi.IPPROTO_MPTCP, nil), connections(nil)},
		{"connections-no-info", newQuery("", uapi.IPPROTO_MPTCP, &Request{NoInfo: true}),
			connections(&Request{NoInfo: true})},
		{"subflows", tcp, subflows(nil)},
		{"subflows-iterated", tcp, subflows(&Request{Brief: true, Expected: manySubflows})},
		// or dumped, where it is not allowed
	} {
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			var bare, ours float64
			rows := 0
			for b.Loop() {
				start := cpuTime(b)
				n := w.drain(b, s.fd, buf, test.query)
				middle := cpuTime(b)
				m := test.ours(b)
				ours += cpuTime(b) - middle
				bare += middle - start
				rows += n
				if n != m || n != 2*pairs {
					b.Fatalf("%d rows drained, %d listed, want %d", n, m, 2*pairs)
				}
			}
			b.ReportMetric(bare*1e9/float64(rows), "bare-ns/row")
			b.ReportMetric(ours*1e9/float64(rows), "ours-ns/row")
			b.ReportMetric(ours/bare, "x-bare")
		})
	}
	if sum == 0 {
		b.Error("nothing was read")
	}
}

// BenchmarkLookup looks up connections by token, one by one and in batches.
func BenchmarkLookup(b *testing.B) {
	w := newWorld(b, nil)
	w.crowd(64)
	var tokens []mptcp.Token
	for _, c := range collect(b, w.client.Connections(b.Context(), nil)) {
		tokens = append(tokens, c.Info.Token)
	}
	b.Run("single", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, t := range tokens {
				if _, err := w.client.Connection(b.Context(), t); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(tokens)), "ns/lookup")
	})
	b.Run("batch", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range w.client.ConnectionsByToken(b.Context(), tokens) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(tokens)), "ns/lookup")
	})
}

// A list allocates for itself, not for its rows.
func TestListsDoNotAllocatePerRow(t *testing.T) {
	w := newWorld(t, nil)
	w.crowd(100)
	lists := map[string]func() error{
		"connections": func() (failed error) {
			for _, err := range w.client.Connections(t.Context(), nil) {
				failed = errors.Join(failed, err)
			}
			return failed
		},
		"subflows": func() (failed error) {
			for _, err := range w.client.Subflows(t.Context(), nil) {
				failed = errors.Join(failed, err)
			}
			return failed
		},
	}
	for name, list := range lists {
		if err := list(); err != nil { // the client's own memory grows to its size
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(10, func() { _ = list() }); n > 20 {
			t.Errorf("%s: %v allocations for 200 rows", name, n)
		}
	}
}
