package cli

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/kernel"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// recording is a recording under way in a host.
type recorder struct {
	file    string
	process *lab.Process
}

// startRecording records the host, and returns when the first dump is written.
func startRecording(t *testing.T, ctx context.Context, host *lab.Host, file string) *recorder {
	t.Helper()
	p, err := host.StartProcess(ctx, tool("record", file, "every", "1s", "--force"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	r := &recorder{file, p}
	await.True(t, "the first dump", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), `{"fact":"end"}`)
	})
	return r
}

// stop ends the recording as a user does.
func (r *recorder) stop(t *testing.T, ctx context.Context) {
	t.Helper()
	if err := r.process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code, err := r.process.Wait(ctx); err != nil || code != 0 {
		t.Fatalf("record: exit code %d, %v: %v", code, err, r.process.Lines())
	}
}

// traffic makes what a recording shows: a connection that gets a second subflow,
// loses it and is closed, and one that stays.
func traffic(t *testing.T, ctx context.Context, l *lab.Lab, at func(step string)) {
	t.Helper()
	topology := l.Topology()
	client, server := l.Host(lab.ClientHost), l.Host(lab.ServerHost)
	to := netip.AddrPortFrom(topology.Paths[0].Destination, 12345)
	wildcard := netip.IPv4Unspecified()
	if to.Addr().Is6() {
		wildcard = netip.IPv6Unspecified()
	}
	s, err := lab.Serve(ctx, server.Namespace, netip.AddrPortFrom(wildcard, to.Port()), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var conns []*lab.Conn
	for range 2 {
		c, err := lab.Connect(ctx, client.Namespace, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Exchange(1000); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	if topology.Name == "redhat" {
		manage(t, client, func(pm *pathmanager.Client) error {
			return pm.AddEndpoint(
				ctx,
				mptcp.Endpoint{
					ID:      2,
					Address: netip.MustParseAddr("192.0.2.3"),
					IfIndex: int32(index(t, client, "wlp1s0")),
					Flags:   mptcp.FlagSubflow,
				},
			)
		})
	}
	waitSubflows(t, conns)
	at("up")
	manage(t, client, func(pm *pathmanager.Client) error {
		var ids []mptcp.AddressID
		for e, err := range pm.Endpoints(ctx) {
			if err != nil {
				return err
			}
			ids = append(ids, e.ID)
		}
		for _, id := range ids {
			if err := pm.RemoveEndpoint(ctx, id); err != nil {
				return err
			}
		}
		return nil
	})
	conns[0].Close()
	at("down")
}

func index(t *testing.T, host *lab.Host, device string) int {
	t.Helper()
	n, err := host.IfIndex(device)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// build builds a topology and gives its hosts their limits and endpoints.
func build(t *testing.T, ctx context.Context, topology lab.Topology) *lab.Lab {
	t.Helper()
	labtest.MPTCP(t)
	l, err := lab.Build(ctx, topology)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, host := range l.Hosts() {
		for _, command := range host.Spec.Commands() {
			if lines, code, err := host.RunProcess(ctx, tool(command...)); err != nil || code != 0 {
				t.Fatalf("%q: exit code %d, %v: %v", command, code, err, lines)
			}
		}
	}
	return l
}

// kernelDirectory is that of the running kernel among the fixtures.
func kernelDirectory() string {
	return "../source/recording/testdata/" + regexp.MustCompile(`^\d+\.\d+`).FindString(kernel.Release())
}

// TestRecordFixtures records the lab's networks, with UPDATE=1 for good: then run
// TestReplayGolden with UPDATE=1 too. Without it this tests that each network can
// be recorded and gives all that a replay needs.
func TestRecordFixtures(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	if os.Getenv("UPDATE") == "1" {
		directory = kernelDirectory()
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, topology := range scenario.Topologies() {
		t.Run(topology.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
			defer cancel()
			l := build(t, ctx, topology)
			if topology.Name == "redhat" {
				manage(t, l.Host(lab.ClientHost), func(pm *pathmanager.Client) error {
					return pm.SetLimits(ctx, pathmanager.LimitsUpdate{Subflows: new(uint32(1))})
				})
				manage(t, l.Host(lab.ServerHost), func(pm *pathmanager.Client) error {
					return pm.SetLimits(ctx, pathmanager.LimitsUpdate{Subflows: new(uint32(1))})
				})
			}
			file := filepath.Join(directory, topology.Name+".pcapng")
			r := startRecording(t, ctx, l.Host(lab.ClientHost), file)
			monitored := func(text string) func() bool {
				return func() bool {
					stdout, _, _ := runHere("--replay", file, "monitor")
					return strings.Contains(stdout, text)
				}
			}
			traffic(t, ctx, l, func(step string) {
				if step == "up" {
					await.True(t, "a dump with two subflows", func() bool {
						_, _, code := runHere("--replay", file, "wait", "subflows >= 2")
						return code == 0
					})
					return
				}
				await.True(t, "the end of a connection", func() bool {
					out, _, _ := runHere("--replay", file, "connection") // a dump may be older than the event
					return monitored("CLOSED] token")() && strings.Count(out, "initial") == 1
				})
				r.stop(t, ctx)
			})
			anonymise(t, file)
			if out, _, _ := runHere("--replay", file, "connection"); !strings.Contains(out, "client") ||
				strings.Count(out, "initial") != 1 {
				t.Errorf("at the end: %s", out)
			}
			wireshark(t, file)
		})
	}
}

// anonymise takes the running kernel's local version out of a recording.
func anonymise(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	release := kernel.Release()
	version := regexp.MustCompile(`^\d+\.\d+`).FindString(release)
	plain := version + strings.Repeat("x", len(release)-len(version))
	if err := os.WriteFile(file, bytes.ReplaceAll(data, []byte(release), []byte(plain)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// wireshark checks that tshark takes the file and finds the family by its name.
func wireshark(t *testing.T, file string) {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		return // the format has tests of its own
	}
	script, err := filepath.Abs("../../docs/mptcp_pm.lua")
	if err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(
		tshark,
		"-n",
		"-X",
		"lua_script:"+script,
		"-r",
		absolute,
		"-Y",
		"mptcp_pm.event",
		"-T",
		"fields",
		"-e",
		"mptcp_pm.event",
		"-e",
		"mptcp_pm.token",
	)
	command.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, out)
	}
	events, _, _ := runHere("--replay", file, "monitor")
	for _, e := range regexp.MustCompile(`(?m)^\[ *([A-Z_]+)\](?: token=(\w+))?`).FindAllStringSubmatch(events, -1) {
		if !strings.Contains(string(out), e[1]) || !strings.Contains(string(out), e[2]) {
			t.Errorf("tshark does not find %s of %s in:\n%s", e[1], e[2], out)
		}
	}
}

// TestReplayAgreesWithLive records while connections are made, and holds the
// answers of the replay against those that the kernel gave at its end.
func TestReplayAgreesWithLive(t *testing.T) { // not in parallel: what others fork has our sockets for a moment
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	topology := findTopology(t, "two-subnets")
	l := build(t, ctx, topology)
	client := l.Host(lab.ClientHost)
	live := startMonitor(t, ctx, client, tool("monitor"))
	r := startRecording(t, ctx, client, filepath.Join(t.TempDir(), "t.pcapng"))
	lines := [][]string{
		{
			"-j",
			"connection",
		}, {"-d", "connection"}, {"connection", "show", "listen"}, {"endpoint", "show"}, {"-j", "endpoint", "show"},
		{
			"limits",
			"show",
		}, {"counters", "--all"}, {"-j", "counters"}, {"paths"}, {"-d", "paths", "to", "10.0.1.1"}, {"-j", "paths", "to", "10.0.1.1"},
	}
	answers := make([]string, len(lines))
	traffic(t, ctx, l, func(step string) {
		if step != "up" {
			return
		}
		settleHosts(t, ctx, l)
		for i, line := range lines {
			answers[i] = answerOf(t, ctx, client, line...)
		}
		r.stop(t, ctx)
		stopMonitor(t, live)
	})
	for i, line := range lines {
		got := answerOf(t, ctx, client, append([]string{"--replay", r.file}, line...)...)
		if a, b := steady(got), steady(answers[i]); a != b {
			t.Errorf("%q: replayed\n%s\nlive\n%s", line, a, b)
		}
	}
	replay := answerOf(t, ctx, client, "--replay", r.file, "monitor")
	for _, line := range events(live) {
		if !strings.Contains(replay, line) {
			t.Errorf("the replay lacks %q:\n%s", line, replay)
		}
	}
}

// settleHosts waits until the counters of all hosts rest.
func settleHosts(t *testing.T, ctx context.Context, l *lab.Lab) {
	t.Helper()
	before, rest := "", 0
	await.True(t, "hosts at rest", func() bool {
		now := ""
		for _, host := range l.Hosts() {
			err := host.Do(func() error {
				text, err := os.ReadFile("/proc/thread-self/net/netstat")
				now += string(text)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if rest++; now != before {
			before, rest = now, 0
		}
		return rest > 100
	})
}

func answerOf(t *testing.T, ctx context.Context, host *lab.Host, args ...string) string {
	t.Helper()
	lines, code, err := host.RunProcess(ctx, tool(args...))
	if err != nil || code != 0 {
		t.Fatalf("%q: exit code %d, %v: %v", args, code, err, lines)
	}
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line.Text + "\n")
	}
	return text.String()
}

// steady takes out what changes with the time alone.
func steady(text string) string {
	text = regexp.MustCompile(`"last_\w+":\d+`).ReplaceAllString(text, `"last":0`)
	return regexp.MustCompile(` (last_\w+|ack|idle) [\w.]+`).ReplaceAllString(text, "")
}
