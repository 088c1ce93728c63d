package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hostileServer is set for the process that serves in TestHostileClients: its memory is
// then its own.
const hostileServer = "WEB_HOSTILE_SERVER"

// serveForOthers serves so many connections until its input ends, and says where.
func serveForOthers(connections string) {
	n, err := strconv.Atoi(connections)
	if err != nil {
		panic(err)
	}
	testing.Benchmark(func(b *testing.B) {
		if b.N > 1 {
			return
		}
		metrics := strings.Repeat("mptcp_anything 1\n", 1<<16) // a megabyte, once
		s := serve(b, n, Config{Metrics: func(w io.Writer) error {
			_, err := io.WriteString(w, metrics)
			return err
		}})
		fmt.Println(s.address)
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is the end
	})
	os.Exit(0)
}

// startServer starts a server of so many connections in a process of its own.
func startServer(t *testing.T, connections int) (address string, pid int) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%d", hostileServer, connections))
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { input.Close(); _ = command.Wait() })
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, output)
	return strings.TrimSpace(line), command.Process.Pid
}

// memory returns the resident memory of a process, in MiB: now, and at most so far.
func memory(t *testing.T, pid int) (now, most int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 {
			n, _ := strconv.Atoi(f[1])
			switch f[0] {
			case "VmRSS:":
				now = n >> 10
			case "VmHWM:":
				most = n >> 10
			}
		}
	}
	return now, most
}

// hold opens a connection with hardly any room for answers, sends the request, and does
// not read.
func hold(address, request string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 30 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(
			func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2048) },
		)
		if err == nil {
			err = failed
		}
		return err
	}}
	c, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(c, request, address)
	return c, err
}

// TestHostileClients has a thousand clients ask for much and not read it, or send a body
// that never ends, again and again, beside a client that means well: the server's memory
// stays within the bound of the package's comment, and the other one has its answers.
func TestHostileClients(t *testing.T) {
	const (
		clients = 1000
		bound   = 128 // MiB
	)
	if raceDetector {
		t.Skip("the race detector takes ten times the memory and the time")
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 3*clients {
		t.Skipf("%d descriptors are too few, %v", limit.Cur, err)
	}
	for name, requests := range map[string][]string{
		"lists": {"GET /api/v1/connections?limit=1000 HTTP/1.1\r\nHost: %s\r\n\r\n"},
		"all": {
			"GET /api/v1/connections?limit=1000&sort=-bytes&filter=dport+443 HTTP/1.1\r\nHost: %s\r\n\r\n",
			"GET /metrics HTTP/1.1\r\nHost: %s\r\n\r\n",
			"GET /api/v1/connections/-/00001000 HTTP/1.1\r\nHost: %s\r\n\r\n",
			"GET /static/app.js HTTP/1.1\r\nHost: %s\r\n\r\n",
			"GET /api/v1/events HTTP/1.1\r\nHost: %s\r\n\r\n",
		},
		"bodies": {
			"POST /healthz HTTP/1.1\r\nHost: %s\r\nContent-Length: 200000\r\n\r\n.",
			"GET /readyz HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.",
			"GET /api/v1/summary HTTP/1.1\r\nHost: %s\r\nContent-Length: 200000\r\n\r\n.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, pid := startServer(t, 1200)
			// On a host with other work everything takes longer, also without them.
			_, _, alone := meanWell(address, 100, time.Second)
			soonEnough := max(time.Second, 10*alone)
			held := make(chan net.Conn, 3*clients)
			var holding sync.WaitGroup
			for i := range 8 { // so that they come together
				holding.Go(func() {
					for k := i; k < clients; k += 8 {
						if c, err := hold(address, requests[k%len(requests)]); err == nil {
							held <- c
						}
					}
				})
			}
			holding.Wait()
			t.Cleanup(func() {
				for len(held) > 0 {
					(<-held).Close()
				}
			})
			again := make(chan struct{})
			holding.Go(func() { // they do not give up
				for k := 0; ; k++ {
					select {
					case <-again:
						return
					case <-time.After(5 * time.Millisecond):
					}
					(<-held).Close()
					if c, err := hold(address, requests[k%len(requests)]); err == nil {
						held <- c
					}
				}
			})
			answered, soon, slowest := meanWell(address, 100, soonEnough)
			close(again)
			holding.Wait()
			if answered < 98 || soon < 98 {
				t.Errorf("%d of 100 requests were answered, %d within %v", answered, soon, soonEnough)
			}
			now, most := memory(t, pid)
			if most > bound {
				t.Errorf("the server took %d MiB, the bound is %d", most, bound)
			}
			t.Logf("%d of 100 answered, %d within %v, the slowest after %v; %d MiB, at most %d",
				answered, soon, soonEnough, slowest, now, most)
		})
	}
}

// meanWell sends requests one after the other, and returns how many were answered, and
// how many of them soon enough.
func meanWell(address string, requests int, soonEnough time.Duration) (answered, soon int, slowest time.Duration) {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range requests {
		path := []string{"/healthz", "/api/v1/summary", "/api/v1/connections?limit=1000", "/metrics"}[i%4]
		began := time.Now()
		r, err := client.Get("http://" + address + path)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		took := time.Since(began)
		slowest = max(slowest, took)
		if err == nil && r.StatusCode == http.StatusOK {
			answered++
			if took < soonEnough {
				soon++
			}
		}
	}
	return answered, soon, slowest
}

// TestBodiesEndTheConnection: of a request with a body nothing is read behind its head.
func TestBodiesEndTheConnection(t *testing.T) {
	s := serve(t, 0, Config{})
	for _, head := range []string{
		"POST /healthz HTTP/1.1\r\nContent-Length: 200000", "GET /healthz HTTP/1.1\r\nContent-Length: 1",
		"GET /api/v1/summary HTTP/1.1\r\nTransfer-Encoding: chunked", "POST /nowhere HTTP/1.1\r\nContent-Length: 5",
	} {
		c := s.dial(t)
		fmt.Fprintf(c, "%s\r\nHost: %s\r\n\r\n", head, s.address)
		b := bufio.NewReader(c)
		r, err := http.ReadResponse(b, nil)
		if err != nil {
			t.Fatal(head, err)
		}
		_, err = io.Copy(io.Discard, r.Body)
		if err != nil || r.StatusCode < 400 || !r.Close {
			t.Errorf("%s: %v, closed %v, %v", head, r.Status, r.Close, err)
		}
		if _, err := b.ReadByte(); err == nil {
			t.Errorf("%s: the connection goes on", head)
		}
	}
}

func TestOneClientDoesNotHaveAllStreams(t *testing.T) {
	s := serve(t, 0, Config{Streams: 20})
	for range 5 {
		messages, _ := s.stream(t, "")
		next(t, messages)
	}
	r, err := http.Get("http://" + s.address + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("the sixth of twenty, for one client: %v", r.Status)
	}
}
