package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/mptcp"
)

// loopback is a host of its own with a way to run the program in it.
func loopback(t *testing.T) *lab.Namespace {
	t.Helper()
	return labtest.MPTCP(t)
}

// started starts the program in the background; it ends with the test.
func started(t *testing.T, ns *lab.Namespace, c lab.ProcessConfig) *lab.Process {
	t.Helper()
	p, err := ns.StartProcess(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// ran runs the program to its end and returns its output and exit code.
func ran(t *testing.T, ns *lab.Namespace, c lab.ProcessConfig) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	lines, code, err := ns.RunProcess(ctx, c)
	if err != nil {
		t.Fatalf("%v: %v", c.Args, err)
	}
	out, errs := texts(lines)
	return out, errs, code
}

func texts(lines []lab.Line) (stdout, stderr string) {
	var out, errs strings.Builder
	for _, line := range lines {
		if line.Stream == lab.Stderr {
			errs.WriteString(line.Text + "\n")
		} else {
			out.WriteString(line.Text + "\n")
		}
	}
	return out.String(), errs.String()
}

// connect makes one connection in the namespace, and ends it when told.
func connect(t *testing.T, ns *lab.Namespace) (end func()) {
	t.Helper()
	s, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:7001"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := lab.Connect(t.Context(), ns, s.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exchange(100); err != nil {
		t.Fatal(err)
	}
	return func() {
		c.Close()
		s.Close()
	}
}

// listening starts a monitor and waits until it hears the kernel.
func listening(t *testing.T, ns *lab.Namespace, c lab.ProcessConfig) *lab.Process {
	t.Helper()
	p := started(t, ns, c)
	await.True(t, "the monitor to subscribe", func() bool {
		ok, err := p.Subscribed(0)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	})
	return p
}

// ended sends the signal and returns the exit code.
func ended(t *testing.T, p *lab.Process, s os.Signal) int {
	t.Helper()
	if err := p.Signal(s); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	code, err := p.Wait(ctx)
	if err != nil {
		t.Fatalf("%v does not end the program: %v", s, err)
	}
	return code
}

// Both signals end a monitor with exit 0 and complete output, in all of its forms.
func TestMonitorForms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		args   []string
		signal os.Signal
		check  func(t *testing.T, out string)
	}{
		{"text", []string{"monitor"}, syscall.SIGINT, wantLines(`^\[         CREATED\] token=[0-9a-f]{8} remid=0 locid=0 saddr4=127\.0\.0\.1 daddr4=127\.0\.0\.1 sport=\d+ dport=7001$`)},
		{"json", []string{"-j", "monitor"}, syscall.SIGTERM, wantObjects},
		{"array", []string{"monitor", "--json-array"}, syscall.SIGINT, wantArray},
		{"short times", []string{"-ts", "monitor"}, syscall.SIGTERM, wantLines(`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\] \[          CLOSED\] token=[0-9a-f]{8}$`)},
		{"long times", []string{"-t", "monitor"}, syscall.SIGINT, wantLines(`^Timestamp: \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} \d+ usec$`)},
		{"one line", []string{"-o", "-t", "monitor"}, syscall.SIGINT, wantLines(`^Timestamp: .* usec\\\[          CLOSED\] token=[0-9a-f]{8}$`)},
		{"colour", []string{"-c=always", "monitor"}, syscall.SIGINT, wantLines("saddr4=\x1b\\[1;35m127\\.0\\.0\\.1\x1b\\[0m")},
		{"filter", []string{"monitor", "event", "CLOSED"}, syscall.SIGINT, func(t *testing.T, out string) {
			if n := strings.Count(out, "\n"); n != 2 || strings.Count(out, "[          CLOSED]") != 2 {
				t.Errorf("want the two CLOSED and nothing else:\n%s", out)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ns := loopback(t)
			p := listening(t, ns, tool(test.args...))
			connect(t, ns)()
			await.True(t, "both ends to close", func() bool {
				out, _ := texts(p.Lines())
				return strings.Count(out, " CLOSED]") >= 2 || strings.Count(out, `"CLOSED"`) >= 2 ||
					test.name == "array"
			})
			if code := ended(t, p, test.signal); code != 0 {
				t.Errorf("exit code %d", code)
			}
			out, errs := texts(p.Lines())
			if errs != "" {
				t.Errorf("stderr: %s", errs)
			}
			test.check(t, out)
		})
	}
}

func wantLines(pattern string) func(*testing.T, string) {
	return func(t *testing.T, out string) {
		t.Helper()
		if !regexp.MustCompile("(?m)" + pattern).MatchString(out) {
			t.Errorf("no line %s in:\n%s", pattern, out)
		}
	}
}

func wantObjects(t *testing.T, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		var event struct {
			Event string    `json:"event"`
			Time  time.Time `json:"time"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.Event == "" ||
			time.Since(event.Time).Abs() > time.Hour {
			t.Errorf("%v: %s", err, line)
		}
	}
}

func wantArray(t *testing.T, out string) {
	t.Helper()
	var list []struct {
		Event string `json:"event"`
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(list) < 2 || list[len(list)-1].Event == "" || !strings.HasPrefix(list[1].Token, "0x") {
		t.Errorf("not iproute2's array: %s", out)
	}
}

// A reader that has seen enough ends the monitor without a word.
func TestMonitorClosedPipe(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	p := started(t, ns, lab.ProcessConfig{Args: []string{"sh", "-c", `"$0" monitor | head -n 1`, toolPath(t)}})
	await.True(t, "the pipeline to end", func() bool {
		connect(t, ns)()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := p.Wait(ctx)
		return err == nil
	})
	out, errs := texts(p.Lines())
	if strings.Count(out, "\n") != 1 || errs != "" {
		t.Errorf("stdout %q, stderr %q", out, errs)
	}
}

// toolPath returns a path under which this program runs as mptcpctl.
func toolPath(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "mptcpctl")
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// An ordinary user gets one line that says what is missing, and everything that
// only reads.
func TestWithoutPrivilege(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	path := toolPath(t)
	unprivileged := func(args ...string) lab.ProcessConfig { // no capability over the network namespace
		return lab.ProcessConfig{Args: append([]string{"unshare", "-U", path}, args...)}
	}
	_, errs, code := ran(t, ns, unprivileged("monitor"))
	if code != exit.IPUsage || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "CAP_NET_ADMIN") ||
		!strings.Contains(errs, "connection") {
		t.Errorf("monitor: exit %d, %q", code, errs)
	}
	defer connect(t, ns)()
	out, _, code := ran(t, ns, unprivileged("-j", "connection", "show"))
	var connections []mptcp.Connection
	if err := json.Unmarshal([]byte(out), &connections); err != nil || code != 0 || len(connections) != 2 {
		t.Errorf("connection: exit %d, %v, %d connections", code, err, len(connections))
	}
	for _, args := range [][]string{{"endpoint", "show"}, {"limits", "show"}, {"counters"}, {"paths"}, {"connection", "show", "listen"}} {
		if _, errs, code := ran(t, ns, unprivileged(args...)); code != 0 || errs != "" {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
	_, errs, code = ran(t, ns, unprivileged("-a", "wait", "event FALLBACK", "timeout", "30ms"))
	lines := slices.Sorted(strings.Lines(errs))
	if told := slices.Compact(slices.Clone(lines)); code != exit.Failed || len(told) != len(lines) ||
		strings.Contains(errs, "CAP_NET_BROADCAST") {
		t.Errorf("wait: exit %d, what is left out is not told once, and as it is without events: %s", code, errs)
	}
	if _, errs, code := ran(t, ns, unprivileged("limits", "set", "subflows", "2")); code != exit.IPRefused ||
		!strings.Contains(errs, "CAP_NET_ADMIN") {
		t.Errorf("limits set: exit %d: %s", code, errs)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	if out, errs, code := ran(t, ns, tool("wait", "dport = :7001", "timeout", "30ms")); code != exit.Failed ||
		out != "" ||
		!strings.Contains(errs, "there is no MPTCP connection") {
		t.Errorf("nothing there: exit %d, %q, %q", code, out, errs)
	}
	p := started(t, ns, tool("-j", "wait", "dport = :7001 and state established", "timeout", "70s"))
	defer connect(t, ns)()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	if code, err := p.Wait(ctx); code != 0 || err != nil {
		t.Fatalf("exit %d, %v: %v", code, err, p.Lines())
	}
	if _, errs, code := ran(t, ns, tool("wait", "subflows >= 2", "timeout", "30ms")); code != exit.Failed ||
		!strings.Contains(errs, "has 1 subflow (") {
		t.Errorf("too few subflows: exit %d, %q", code, errs)
	}
	for _, args := range [][]string{{"wait"}, {"wait", "timeout", "1s"}, {"wait", "fallback", "timeout", "soon"}, {"wait", "subflows >>> 2"}} {
		if _, _, code := ran(t, ns, tool(args...)); code != exit.Usage {
			t.Errorf("%q: exit %d, want %d", args, code, exit.Usage)
		}
	}
}

func TestNetcatCommand(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	config := tool("nc", "-l", "-k", "-p", "7002")
	server := started(t, ns, config)
	for _, text := range []string{"first\n", "second\n"} {
		await.True(t, "the client to get through", func() bool {
			client := tool("nc", "-v", "127.0.0.1", "7002")
			client.Stdin = true
			p := started(t, ns, client)
			// A client that was refused may be gone before it is written to.
			if _, err := p.Write([]byte(text)); err != nil && !errors.Is(err, syscall.EPIPE) {
				t.Fatal(err)
			}
			line, err := p.WaitLine(t.Context(), func(lab.Line) bool { return true })
			if err != nil || strings.Contains(line.Text, "refused") {
				return false
			}
			if !strings.Contains(line.Text, "(MPTCP)") {
				t.Errorf("-v says %q", line.Text)
			}
			if _, err := server.WaitLine(t.Context(), func(l lab.Line) bool { return l.Text+"\n" == text }); err != nil {
				t.Fatal(err)
			}
			if err := p.CloseInput(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
			defer cancel()
			if code, err := p.Wait(ctx); code != 0 || err != nil {
				t.Errorf("client: exit %d, %v", code, err)
			}
			return true
		})
	}
	if code := ended(t, server, syscall.SIGTERM); code != 0 {
		t.Errorf("server: exit %d", code)
	}
	if _, errs, code := ran(t, ns, tool("nc", "127.0.0.1", "7003")); code != exit.Failed ||
		!strings.Contains(errs, "Connection refused") {
		t.Errorf("refused: exit %d, %q", code, errs)
	}
	for _, args := range [][]string{{"nc"}, {"nc", "-l"}, {"nc", "-k", "host", "1"}, {"nc", "-w", "x", "h", "1"}, {"nc", "-l", "a", "b", "c"}} {
		if _, _, code := ran(t, ns, tool(args...)); code != exit.Usage {
			t.Errorf("%q: exit %d, want %d", args, code, exit.Usage)
		}
	}
}

func TestNetcatWithoutMPTCP(t *testing.T) {
	ns := loopback(t)
	if err := ns.Do(func() error { return os.WriteFile("/proc/sys/net/mptcp/enabled", []byte("0"), 0) }); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := ran(t, ns, tool("nc", "127.0.0.1", "7003")); code != exit.Failed ||
		strings.Count(errs, "sysctl -w net.mptcp.enabled=1") != 1 {
		t.Errorf("exit %d, %q: it should name the sysctl, once", code, errs)
	}
}

// Where the lab cannot run it says what is missing.
func TestLabForbidden(t *testing.T) {
	ns := loopback(t)
	// A user that is not known in its user namespace may make no other.
	// An ordinary user's test run has entered one already: the program must not know.
	c := lab.ProcessConfig{Args: []string{"unshare", "-U", "env", "-u", "MPTCPCTL_LAB_ENTERED", toolPath(t), "lab"}}
	if _, errs, code := ran(t, ns, c); code != exit.Failed || !strings.Contains(errs, "user namespaces missing") ||
		strings.Contains(errs, "CAP_NET_ADMIN") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

func TestPathsCommand(t *testing.T) {
	t.Parallel()
	labtest.MPTCP(t)
	topology := findTopology(t, "redhat")
	l, err := lab.Build(t.Context(), topology)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := l.Host(lab.ClientHost).Namespace
	out, _, code := ran(t, client, tool("paths", "to", "192.0.2.1"))
	for _, want := range []string{
		"the initial subflow goes from 192.0.2.2 dev enp1s0",
		"192.0.2.3 dev wlp1s0 link up metric 600, no endpoint",
		"mptcpctl endpoint add 192.0.2.3 dev wlp1s0 subflow",
	} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, no %q in:\n%s", code, want, out)
		}
	}
	var answer struct{ Commands []string }
	out, _, _ = ran(t, client, tool("-j", "paths", "to", "192.0.2.1"))
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	for _, command := range answer.Commands { // what it says to type works as it stands
		if _, errs, code := ran(t, client, lab.ProcessConfig{Args: []string{"sh", "-c", strings.Replace(command, "mptcpctl", toolPath(t), 1)}}); code != 0 {
			t.Errorf("%s: exit %d: %s", command, code, errs)
		}
	}
	out, _, _ = ran(t, client, tool("paths", "to", "192.0.2.1"))
	if !strings.Contains(out, "192.0.2.3 dev wlp1s0 link up metric 600, endpoint id 1 subflow") ||
		strings.Contains(out, "to use the other paths") {
		t.Errorf("after typing that:\n%s", out)
	}
}

func TestLabDemo(t *testing.T) {
	t.Parallel()
	labtest.MPTCP(t)
	begin := time.Now()
	ns := labtest.Namespace(t)
	out, errs, code := ran(t, ns, tool("lab"))
	if code != 0 || !strings.Contains(out, "All as promised") || strings.Contains(out, "\nNO ") {
		t.Errorf("exit %d:\n%s%s", code, out, errs)
	}
	t.Logf("the procedure took %v", time.Since(begin))
}

func TestLabNetworks(t *testing.T) {
	t.Parallel()
	labtest.MPTCP(t)
	for _, topology := range scenario.Topologies() {
		t.Run(topology.Name, func(t *testing.T) {
			t.Parallel()
			out, errs, code := ran(t, labtest.Namespace(t), tool("lab", "run", topology.Name))
			if code != 0 {
				t.Errorf("exit %d:\n%s%s", code, out, errs)
			}
		})
	}
}

// Ctrl+C ends the procedure wherever it is, and with it everything that it
// started.
func TestLabInterrupted(t *testing.T) {
	ns := labtest.MPTCP(t)
	p := started(t, ns, tool("lab"))
	if _, err := p.WaitLine(t.Context(), func(l lab.Line) bool { return strings.Contains(l.Text, "nc -l -k") }); err != nil {
		t.Fatal(err)
	}
	if code := ended(t, p, syscall.SIGINT); code != exit.Interrupted && code != 0 { // 0: it was done already
		t.Errorf("exit code %d", code)
	}
	await.True(t, "its children to end", func() bool { return !hasChildren(t, p.Pid()) })
}

// hasChildren reports whether a process has this one as its parent.
func hasChildren(t *testing.T, pid int) bool {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := bytes.Cut(text, []byte(") "))
		fields := bytes.Fields(rest)
		if len(fields) > 1 && string(fields[1]) == strconv.Itoa(pid) {
			return true
		}
	}
	return false
}
