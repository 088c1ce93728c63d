package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/export"
	"mptcpctl/mptcp"
)

// loadClient is set for the process that plays the pages and the scraper: the
// processor time of the server is then its own.
const loadClient = "WEB_LOAD_CLIENT"

func TestMain(m *testing.M) {
	if address := os.Getenv(loadClient); address != "" {
		playPages(address)
	}
	if connections := os.Getenv(hostileServer); connections != "" {
		serveForOthers(connections)
	}
	os.Exit(m.Run())
}

// playPages is twenty open pages, which together ask for what all views of the page ask for: the
// summary and a part of the table each second, the map and what devices carry every two
// seconds; they follow all events. A scraper comes every five seconds. It says on its output
// how many events came, until its input ends.
func playPages(address string) {
	var events atomic.Uint64
	for range 20 {
		go follow(address, &events)
		go repeat(time.Second, address, "/api/v1/summary", "/api/v1/connections?filter=dport+443&limit=50&sort=-bytes&form=row")
		go repeat(2*time.Second, address, "/api/v1/map", "/api/v1/traffic?after=9999999999999")
	}
	go repeat(5*time.Second, address, "/metrics")
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is the end
		os.Exit(0)
	}()
	for range time.Tick(200 * time.Millisecond) {
		fmt.Println(events.Load())
	}
}

func follow(address string, events *atomic.Uint64) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(c, "GET /api/v1/events HTTP/1.1\r\nHost: %s\r\n\r\n", address)
	scanner := bufio.NewScanner(c)
	for scanner.Scan() {
		if strings.HasPrefix(scanner.Text(), `data: {"event":"SF_PRIO"`) {
			events.Add(1)
		}
	}
}

func repeat(pause time.Duration, address string, paths ...string) {
	for range time.Tick(pause) {
		for _, path := range paths {
			r, err := http.Get("http://" + address + path)
			if err != nil {
				panic(err)
			}
			_, err = io.Copy(io.Discard, r.Body)
			if err != nil || r.StatusCode != http.StatusOK {
				panic(fmt.Sprint(path, r.Status, err))
			}
			r.Body.Close()
		}
	}
}

// BenchmarkTwentyPages measures the processor time and the memory of a server with
// 10,000 connections, 1,000 events a second, twenty open pages and a scraper. An
// iteration is a second of it: use -benchtime=30x.
func BenchmarkTwentyPages(b *testing.B) {
	counted := &lateMetrics{}
	s := serve(b, 10000, Config{Metrics: counted.write})
	collector := export.New(export.Config{Tracker: s.tracker, Version: "bench"})
	counted.to.Store(collector)
	go func() { _ = collector.Run(b.Context(), s.tracker.Deltas(b.Context())) }()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), loadClient+"="+s.address)
	input, err := command.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	var received atomic.Uint64
	var reading sync.WaitGroup
	reading.Go(func() {
		scanner := bufio.NewScanner(output)
		for scanner.Scan() {
			var n uint64
			if _, err := fmt.Sscan(scanner.Text(), &n); err == nil {
				received.Store(n)
			}
		}
	})
	defer func() { input.Close(); reading.Wait(); _ = command.Wait() }()
	await.True(b, "the streams", func() bool { return s.server.streams.count() == 20 })
	sent := uint64(0)
	before, began := processorTime(b), time.Now()
	for b.Loop() {
		for range 20 {
			batch := make([]mptcp.Event, 50)
			for i := range batch {
				batch[i] = s.prio(int(sent) % 10000)
				sent++
			}
			s.batches <- batch
			time.Sleep(50 * time.Millisecond)
		}
	}
	b.ReportMetric(100*(processorTime(b)-before).Seconds()/time.Since(began).Seconds(), "%core")
	b.ReportMetric(float64(sent)/time.Since(began).Seconds(), "events/s")
	await.True(b, "all events at all pages", func() bool { return received.Load() == 20*sent })
	b.ReportMetric(float64(20*sent-received.Load()), "events-missed")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse)/1e6, "heap-MB")
	b.ReportMetric(peakMemory(b), "peak-MB")
}

// lateMetrics writes the metrics of a collector that is made after the server.
type lateMetrics struct {
	to atomic.Pointer[export.Collector]
}

func (l *lateMetrics) write(w io.Writer) error { return l.to.Load().Write(w) }

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory returns the most that the process had resident, in MB.
func peakMemory(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Maxrss) * 1024 / 1e6
}
