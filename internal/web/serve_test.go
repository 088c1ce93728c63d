package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/mptcp"
)

// serving is a world whose server answers on a real socket.
type serving struct {
	*world
	address string
	stop    func() // and wait until it has ended
}

func serve(t testing.TB, connections int, c Config) *serving {
	t.Helper()
	return answering(t, newWorld(t, connections, c))
}

// answering has the server of a world answer on a real socket.
func answering(t testing.TB, w *world) *serving {
	t.Helper()
	s := &serving{world: w}
	config := net.ListenConfig{}
	config.SetMultipathTCP(false)
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(ctx, l) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *serving) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// answers fails the test if the server does not answer others in time.
func (s *serving) answers(t testing.TB) {
	t.Helper()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + s.address + "/api/v1/summary")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if _, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", r.Status, err)
	}
}

// stream follows the events; messages arrive on the channel, which is closed at
// the end of the stream.
func (s *serving) stream(t testing.TB, query string) (<-chan string, net.Conn) {
	t.Helper()
	c := s.dial(t)
	fmt.Fprintf(c, "GET /api/v1/events%s HTTP/1.1\r\nHost: %s\r\n\r\n", query, s.address)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", r, err)
	}
	messages := make(chan string, 100000)
	go func() {
		defer close(messages)
		scanner := bufio.NewScanner(r.Body)
		var message []string
		for scanner.Scan() {
			if line := scanner.Text(); line != "" {
				message = append(message, line)
				continue
			}
			messages <- strings.Join(message, "\n")
			message = nil
		}
	}()
	return messages, c
}

func next(t testing.TB, messages <-chan string) string {
	t.Helper()
	select {
	case m, ok := <-messages:
		if !ok {
			t.Fatal("the stream has ended")
		}
		return m
	case <-time.After(time.Minute):
		t.Fatal("no message came")
	}
	return ""
}

func TestStreamGoesOnBehindTheLastSeenEvent(t *testing.T) {
	s := serve(t, 3, Config{})
	messages, _ := s.stream(t, "")
	if hello := next(t, messages); !strings.Contains(hello, "event: hello") {
		t.Fatalf("first message %q", hello)
	}
	s.batches <- []mptcp.Event{s.prio(0), s.prio(1), s.prio(2)}
	first := next(t, messages)
	if !strings.Contains(first, `data: {"event":"SF_PRIO","token":"00001000"`) {
		t.Fatalf("first event %q", first)
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(first, "id: "), "\n")
	again, _ := s.stream(t, "?after="+id)
	next(t, again)
	for _, token := range []string{"00001001", "00001002"} {
		if m := next(t, again); !strings.Contains(m, token) {
			t.Errorf("%q, want the event of %s", m, token)
		}
	}
	all, _ := s.stream(t, "?after=0&filter=token+1002")
	next(t, all)
	if m := next(t, all); !strings.Contains(m, "00001002") {
		t.Errorf("filtered: %q", m)
	}
	other, _ := s.stream(t, "?after=otherrun-99999")
	next(t, other)
	if m := next(t, other); !strings.Contains(m, "00001000") {
		t.Errorf("an id of another run: %q, want all from the beginning", m)
	}
}

func TestStreamTellsOfWhatIsKeptNoMore(t *testing.T) {
	s := serve(t, 1, Config{Journal: 10})
	for range 25 {
		s.batches <- []mptcp.Event{s.prio(0)}
	}
	await.True(t, "the events", func() bool { return s.server.journal.last() == 25 })
	messages, _ := s.stream(t, "?after="+s.server.journal.epoch+"-5")
	next(t, messages)
	if gap := next(t, messages); !strings.Contains(gap, "event: gap") || !strings.Contains(gap, `{"missed":10}`) {
		t.Errorf("%q, want a gap of 10", gap)
	}
	for range 10 {
		if m := next(t, messages); !strings.Contains(m, "SF_PRIO") {
			t.Errorf("%q", m)
		}
	}
}

func TestStopEndsStreamsInGoodOrder(t *testing.T) {
	s := serve(t, 1, Config{})
	messages, _ := s.stream(t, "")
	next(t, messages)
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > drain {
		t.Errorf("took %v", took)
	}
	for range messages {
	}
}

// TestSlowReadersAreCutOff has a client that asks for the events and never reads:
// it is dropped, and neither others nor the memory suffer.
func TestSlowReadersAreCutOff(t *testing.T) {
	t.Parallel()
	s := serve(t, 1, Config{})
	slow := s.dial(t)
	if err := slow.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(slow, "GET /api/v1/events HTTP/1.1\r\nHost: %s\r\n\r\n", s.address)
	await.True(t, "the slow stream", func() bool { return s.server.streams.count() == 1 })
	messages, _ := s.stream(t, "")
	next(t, messages)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s.server.streams.count() > 1 {
			batch := make([]mptcp.Event, 500)
			for i := range batch {
				batch[i] = s.prio(0)
			}
			s.batches <- batch
			time.Sleep(5 * time.Millisecond)
		}
	}()
	received := 0
	for deadline := time.Now().Add(2 * time.Minute); ; {
		select {
		case <-done:
			if received == 0 {
				t.Error("the other stream got nothing")
			}
			s.answers(t)
			return
		case <-messages:
			received++
		case <-time.After(time.Until(deadline)):
			t.Fatalf("the slow stream is still there after %d events", received)
		}
	}
}

func TestStreamsAreLimited(t *testing.T) {
	s := serve(t, 0, Config{Streams: 3})
	for range 3 {
		messages, _ := s.stream(t, "")
		next(t, messages)
	}
	r, err := http.Get("http://" + s.address + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("the fourth: %v", r.Status)
	}
	s.answers(t)
}

// TestIdleConnectionsPushOutEachOther opens ten thousand connections that say
// nothing, beside a stream and ordinary requests.
func TestIdleConnectionsPushOutEachOther(t *testing.T) {
	s := serve(t, 1, Config{Connections: 100})
	messages, _ := s.stream(t, "")
	next(t, messages)
	wanted := 10000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	wanted = min(wanted, int(limit.Cur)-500)
	before := runtime.NumGoroutine()
	idle := make([]net.Conn, 0, wanted)
	defer func() {
		for _, c := range idle {
			c.Close()
		}
	}()
	for range wanted {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
		if len(idle)%1000 == 0 {
			s.answers(t)
		}
	}
	await.True(t, "the surplus to be closed", func() bool { return s.server.doors.count() <= 100 })
	await.True(t, "its goroutines to end", func() bool { return runtime.NumGoroutine() < before+300 })
	s.answers(t)
	s.batches <- []mptcp.Event{s.prio(0)}
	if m := next(t, messages); !strings.Contains(m, "SF_PRIO") {
		t.Errorf("the stream: %q", m)
	}
}

func TestHugeHeadersAreRefused(t *testing.T) {
	s := serve(t, 0, Config{})
	c := s.dial(t)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n", s.address)
	go func() {
		line := "X-Long: " + strings.Repeat("a", 4000) + "\r\n"
		for range 1000 {
			if _, err := io.WriteString(c, line); err != nil {
				return // it was cut off
			}
		}
	}()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil && r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%v", r.Status)
	}
	if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	s.answers(t)
}

// TestSlowRequestsAreCutOff sends a header a byte at a time.
func TestSlowRequestsAreCutOff(t *testing.T) {
	t.Parallel()
	s := serve(t, 0, Config{})
	var all sync.WaitGroup
	for range 50 {
		c := s.dial(t)
		all.Go(func() {
			for _, b := range []byte("GET / HTTP/1.1\r\nX-Slow: " + strings.Repeat("a", 200)) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(200 * time.Millisecond)
			}
			t.Error("a request that takes longer than its time was let go on")
		})
	}
	s.answers(t)
	all.Wait()
}
