package cli

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
)

const watchedPolicy = `
[limits]
subflows = 4

[[endpoint]]
link = "eth*"
within = "10.0.2.0/24"
flags = ["subflow"]

[[endpoint]]
address = "10.0.1.2"
flags = ["subflow", "backup"]
`

// policyWorld is a client with two links to a server, without endpoints.
type policyWorld struct {
	t      *testing.T
	ctx    context.Context
	client *lab.Host
	file   string
	state  string
}

func newPolicyWorld(t *testing.T) *policyWorld {
	t.Helper()
	labtest.MPTCP(t)
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	t.Cleanup(cancel)
	topology := findTopology(t, "two-subnets")
	l, err := lab.Build(ctx, topology)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	server := l.Host(lab.ServerHost)
	if _, _, code := ran(t, server.Namespace, tool("limits", "set", "subflows", "8")); code != 0 {
		t.Fatal("limits of the server")
	}
	echo, err := lab.Serve(ctx, server.Namespace, netip.MustParseAddrPort(runServer+":"+echoPort), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })
	dir := t.TempDir()
	w := &policyWorld{
		t:      t,
		ctx:    ctx,
		client: l.Host(lab.ClientHost),
		file:   filepath.Join(dir, "policy.toml"),
		state:  filepath.Join(dir, "state"),
	}
	w.write(watchedPolicy)
	return w
}

func (w *policyWorld) write(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.file, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// watch starts the policy's watch and waits until it has applied.
func (w *policyWorld) watch() *lab.Process {
	w.t.Helper()
	p := started(w.t, w.client.Namespace, tool("policy", "watch", "--state", w.state, w.file))
	if _, err := p.WaitLine(w.ctx, func(l lab.Line) bool { return l.Text == "watching" }); err != nil {
		w.t.Fatalf("%v: %v", err, p.Lines())
	}
	return p
}

// endpoints returns the lines of `endpoint show`, without the ids.
func (w *policyWorld) endpoints() string {
	out, _, _ := ran(w.t, w.client.Namespace, tool("endpoint"))
	var lines []string
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		lines = append(lines, strings.Join(append(words[:1:1], words[3:]...), " "))
	}
	return strings.Join(lines, "; ")
}

func (w *policyWorld) wait(p *lab.Process, what string, holds func() bool) {
	w.t.Helper()
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("%s: %s; %v", what, w.endpoints(), p.Lines())
		}
	})
	await.True(w.t, what, holds)
}

const (
	bothEndpoints = "10.0.1.2 subflow backup; 10.0.2.2 subflow dev eth1"
	oneEndpoint   = "10.0.1.2 subflow backup"
)

// sorted compares the endpoints whatever their order.
func sortedEndpoints(text string) string {
	parts := strings.Split(text, "; ")
	if len(parts) == 2 && parts[0] > parts[1] {
		parts[0], parts[1] = parts[1], parts[0]
	}
	return strings.Join(parts, "; ")
}

// TestPolicyWatch takes links down and up while connections carry data: the
// endpoints are as the file says, and the connections get their subflows back.
func TestPolicyWatch(t *testing.T) {
	t.Parallel()
	w := newPolicyWorld(t)
	p := w.watch()
	is := func(want string) func() bool {
		return func() bool { return sortedEndpoints(w.endpoints()) == want }
	}
	w.wait(p, "the policy's endpoints", is(bothEndpoints))
	stop := w.load()
	defer stop()
	w.wait(p, "two subflows each", func() bool { return w.subflows("10.0.2.2") == loadConnections })
	for round := range 3 {
		if err := w.client.LinkDown("eth1"); err != nil {
			t.Fatal(err)
		}
		w.wait(p, fmt.Sprintf("round %d: the endpoint to go with its link", round), is(oneEndpoint))
		if err := w.client.LinkUp("eth1"); err != nil {
			t.Fatal(err)
		}
		w.wait(p, fmt.Sprintf("round %d: the endpoint to come back", round), is(bothEndpoints))
	}
	w.wait(p, "the subflows to come back", func() bool { return w.subflows("10.0.2.2") == loadConnections })

	// A file that is changed is read again; one that is wrong leaves it in force.
	w.write("[[endpoint]]\naddress = \"x\"\nflags = [\"signal\"]\n")
	if _, err := p.WaitLine(w.ctx, func(l lab.Line) bool { return strings.Contains(l.Text, "stays in force") }); err != nil {
		t.Fatal(err)
	}
	w.write("[[endpoint]]\naddress = \"10.0.1.2\"\nflags = [\"subflow\", \"backup\"]\n")
	w.wait(p, "the changed file", is(oneEndpoint))

	// One at a time.
	_, errs, code := ran(t, w.client.Namespace, tool("policy", "apply", "--state", w.state, w.file))
	if code != 1 || !strings.Contains(errs, "another `policy watch`") {
		t.Errorf("a second one: exit %d, %q", code, errs)
	}
	if code := ended(t, p, os.Interrupt); code != 0 {
		t.Errorf("watch ends with %d", code)
	}
	if !is(oneEndpoint)() {
		t.Errorf("after watch: %s", w.endpoints())
	}
}

// TestPolicyWatchTriesAgain kills a subflow that the kernel will not make again.
func TestPolicyWatchTriesAgain(t *testing.T) {
	t.Parallel()
	w := newPolicyWorld(t)
	p := w.watch()
	w.wait(p, "the policy's endpoints", func() bool { return sortedEndpoints(w.endpoints()) == bothEndpoints })
	conn, err := lab.Connect(w.ctx, w.client.Namespace, netip.MustParseAddrPort(runServer+":"+echoPort), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Exchange(1000); err != nil {
		t.Fatal(err)
	}
	var killed []netip.AddrPort
	w.wait(p, "a second subflow", func() bool { killed = w.locals("10.0.2.2"); return len(killed) == 1 })
	if out, errs, code := ran(t, w.client.Namespace, tool("connection", "close-subflow", "dst :"+echoPort, "from", "10.0.2.2", "-y")); code != 0 {
		t.Fatal(out, errs)
	}
	// Where this is slow the next one is there already: it goes from another port.
	if slices.Contains(w.locals("10.0.2.2"), killed[0]) {
		t.Fatalf("%v is still there", killed[0])
	}
	if _, err := p.WaitLine(w.ctx, func(l lab.Line) bool {
		return strings.HasPrefix(l.Text, "adding 10.0.2.2 ") && strings.Contains(l.Text, " again: ")
	}); err != nil {
		t.Fatalf("%v: %v", err, p.Lines())
	}
	w.wait(p, "the subflow again", func() bool {
		again := w.locals("10.0.2.2")
		return len(again) == 1 && again[0] != killed[0]
	})
	if err := conn.Exchange(1000); err != nil {
		t.Error(err)
	}
}

// TestPolicyWatchYields lets somebody else remove an endpoint again and again: it
// comes back, with growing pauses.
func TestPolicyWatchYields(t *testing.T) {
	t.Parallel()
	w := newPolicyWorld(t)
	p := w.watch()
	added := func() (n int) {
		out, _ := texts(p.Lines())
		return strings.Count(out, "add 10.0.2.2 ")
	}
	began := time.Now()
	for time.Since(began) < 6*time.Second || added() < 2 && time.Since(began) < 60*time.Second {
		if sortedEndpoints(w.endpoints()) == bothEndpoints {
			ran(t, w.client.Namespace, tool("endpoint", "flush"))
		}
		time.Sleep(20 * time.Millisecond)
	}
	if n, took := added(), time.Since(began); n < 2 || float64(n) > took.Seconds() {
		t.Errorf("added %d times in %v, want a few: %v", n, took, p.Lines())
	}
	w.wait(p, "the endpoint again", func() bool { return sortedEndpoints(w.endpoints()) == bothEndpoints })
}

const loadConnections = 4

// load keeps data moving on some connections.
func (w *policyWorld) load() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	var running sync.WaitGroup
	for range loadConnections {
		conn, err := lab.Connect(ctx, w.client.Namespace, netip.MustParseAddrPort(runServer+":"+echoPort), nil)
		if err != nil {
			w.t.Fatal(err)
		}
		running.Go(func() {
			defer conn.Close()
			for ctx.Err() == nil {
				if err := conn.Exchange(1 << 14); err != nil {
					w.t.Errorf("the connection does not survive: %v", err)
					return
				}
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// subflows counts the established subflows from an address.
func (w *policyWorld) subflows(from string) int { return len(w.locals(from)) }

// locals returns the local ends of the established subflows from an address.
func (w *policyWorld) locals(from string) (ends []netip.AddrPort) {
	for _, c := range show(w.t, w.ctx, w.client) {
		for _, s := range c.Subflows {
			if s.Local.Addr().String() == from && s.TCP.String() == "established" {
				ends = append(ends, s.Local)
			}
		}
	}
	return ends
}
