package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/pathmanager"
)

// announcer makes events, exactly as many as it is told: each listen(2) on an MPTCP
// socket that listens already is told as one more listener.
type announcer struct {
	fd   int
	port int
	made uint64
}

func newAnnouncer(t *testing.T, ns *lab.Namespace) *announcer {
	t.Helper()
	labtest.NeedListenerEvents(t)
	a := &announcer{}
	err := ns.Do(func() (err error) {
		if a.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP); err != nil {
			return err
		}
		if err := unix.Bind(a.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return err
		}
		at, err := unix.Getsockname(a.fd)
		if err == nil {
			a.port = at.(*unix.SockaddrInet4).Port
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(a.fd) })
	return a
}

func (a *announcer) make(t *testing.T, n int) {
	t.Helper()
	for range n {
		if err := unix.Listen(a.fd, 16); err != nil {
			t.Fatal(err)
		}
		a.made++
	}
}

// stop stops a process, and returns when it has stopped.
func stop(t *testing.T, p *lab.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the process to stop", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		return strings.HasPrefix(rest, "T")
	})
}

// TestMonitorKeepsItsBooks stops and continues a monitor while more events come than
// its buffer holds, and ends it while they still come: what it printed and what it
// says was lost is what the kernel made. With -a it hears the events of others too,
// where there are any: then it is what somebody else heard who lost nothing.
func TestMonitorKeepsItsBooks(t *testing.T) {
	for name, options := range map[string][]string{
		"netlink":     {"--engine", "netlink"},
		"ring":        {"--engine", "ring"},
		"auto":        nil,
		"derived":     {"-d"},
		"all":         {"-a"},
		"all derived": {"-a", "-d"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := loopback(t)
			a := newAnnouncer(t, ns)
			if name == "ring" && !initialUserNamespace(t) {
				t.Skip("the ring engine needs the initial user namespace")
			}
			heard, others := func() uint64 { return a.made }, slices.Contains(options, "-a")
			if others {
				heard = bystander(t, ns)
			}
			p := listening(t, ns, tool(append([]string{"-j", "monitor", "--buffer", "1"}, options...)...))
			// It catches signals before it reads, but after it has subscribed: one that comes
			// between ends it without its books.
			a.make(t, 1)
			await.True(t, "the first line", func() bool { return len(p.Lines()) > 0 })
			for range 3 {
				stop(t, p)
				a.make(t, 15_000) // more than either buffer holds
				if err := p.Signal(syscall.SIGCONT); err != nil {
					t.Fatal(err)
				}
				a.make(t, rand.IntN(3000))
			}
			stop(t, p)
			a.make(t, rand.IntN(2000))
			for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGCONT} { // it wakes up to end
				if err := p.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			if code, err := p.Wait(t.Context()); code != 0 || err != nil {
				t.Fatalf("exit code %d, %v", code, err)
			}
			c := books(t, p, a.port)
			said := c.printed + c.lost
			if said < a.made || !others && (said != a.made || c.foreign != 0) || c.lost == 0 || c.overflowed != 0 {
				t.Errorf(
					"printed %d and %d of others, lost %d in %d places: %d of %d",
					c.printed,
					c.foreign,
					c.lost,
					c.marks,
					said,
					a.made,
				)
			}
			if others { // the bystander began earlier, ends later, and may not have read everything yet
				await.True(t, "the bystander to hear all that the monitor says", func() bool { return said <= heard() })
			}
			t.Logf("printed %d and %d of others, lost %d in %d places, of %d and %d of others",
				c.printed, c.foreign, c.lost, c.marks, a.made, heard()-a.made)
		})
	}
}

// bystander listens to the events of all namespaces that the monitor hears, and returns
// how many there have been so far.
func bystander(t *testing.T, ns *lab.Namespace) func() uint64 {
	t.Helper()
	var listener *pathmanager.Listener
	err := ns.Do(func() (err error) {
		listener, err = pathmanager.Listen(&pathmanager.ListenConfig{AllNamespaces: true})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var heard atomic.Uint64
	var done sync.WaitGroup
	done.Go(func() {
		for events, err := range listener.Batches(ctx) {
			if err != nil && ctx.Err() == nil {
				t.Errorf("the bystander: %v", err)
			}
			for i := range events {
				heard.Add(max(events[i].Lost, 1))
			}
		}
	})
	t.Cleanup(func() {
		stop()
		done.Wait()
		listener.Close()
	})
	return heard.Load
}

// TestMonitorMovesToTheRing has a storm of events come until the monitor says that it
// changed the engine for them: it told all of them once.
func TestMonitorMovesToTheRing(t *testing.T) {
	if !initialUserNamespace(t) {
		t.Skip("the ring engine needs the initial user namespace")
	}
	ns := loopback(t)
	a := newAnnouncer(t, ns)
	p := listening(t, ns, tool("-j", "monitor", "-d"))
	said := func(engine string) bool {
		return slices.ContainsFunc(p.Lines(), func(l lab.Line) bool {
			return l.Stream == lab.Stderr && strings.HasSuffix(l.Text, "event engine: "+engine)
		})
	}
	await.True(t, "the move to the ring", func() bool {
		a.make(t, 5000)
		return said("ring")
	})
	a.make(t, 5000)
	if err := p.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code, err := p.Wait(t.Context()); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v", code, err)
	}
	// What -d adds makes it slower than the storm where the processors have other work:
	// what it has to leave out it says to the event, and nothing is lost on the way.
	if c := books(t, p, a.port); c.printed+c.overflowed != a.made || c.lost != 0 || c.foreign != 0 {
		t.Errorf("printed %d, left out %d, lost %d, of %d", c.printed, c.overflowed, c.lost, a.made)
	}
	if !said("netlink") {
		t.Error("it did not begin with the socket")
	}
}

// initialUserNamespace reports whether the tests run in it.
func initialUserNamespace(t *testing.T) bool {
	t.Helper()
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(users)), " ") == "0 0 4294967295"
}

// count is what a monitor printed, what it says was lost and in how many marks, and what
// it left out because it was too slow, which only -d does.
type count struct {
	printed, lost, overflowed uint64
	foreign                   uint64 // printed events that the test did not make
	marks                     int
}

// books counts a monitor's lines. The test's own events are about listeners at that port.
func books(t *testing.T, p *lab.Process, port int) (c count) {
	t.Helper()
	for _, line := range p.Lines() {
		var e struct {
			Event   string
			Lost    uint64
			Sport   int
			Netns   string
			Derived bool
		}
		if line.Stream != lab.Stdout {
			t.Logf("stderr: %s", line.Text)
			continue
		}
		if err := json.Unmarshal([]byte(line.Text), &e); err != nil {
			t.Fatalf("%q: %v", line.Text, err)
		}
		switch {
		case e.Event == "LOST" && e.Netns != "": // at the socket of a namespace that has no number
			c.foreign++
		case e.Event == "LOST":
			c.lost += e.Lost
			c.marks++
		case e.Event == "OVERFLOW":
			c.overflowed += e.Lost
		case e.Event == "LISTENER_CREATED" && e.Sport == port:
			c.printed++
		case e.Event == "RESYNC", e.Derived: // behind a loss, of -d; what follows from others' events
		default:
			c.foreign++
		}
	}
	return c
}
