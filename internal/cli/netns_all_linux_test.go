package cli

import (
	"context"
	"encoding/json"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mptcpctl/hostnet"
	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/mptcp"
)

// TestAllNamespaces looks from one host at all: -a shows what another host has
// under the name of its namespace, live and in dumps.
func TestAllNamespaces(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	topology := findTopology(t, "two-subnets")
	l := build(t, ctx, topology)
	client, server := l.Host(lab.ClientHost), l.Host(lab.ServerHost)
	// A process makes a namespace one that can be found.
	hold, err := client.StartProcess(ctx, lab.ProcessConfig{Args: []string{"sleep", "600"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hold.Close() })
	name := namespaceOf(t, ctx, client)
	monitor, err := server.StartProcess(ctx, tool("-a", "-d", "monitor"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { monitor.Close() })
	heard := func(words ...string) func() bool {
		return func() bool {
			for _, line := range monitor.Lines() {
				all := true
				for _, w := range words {
					all = all && strings.Contains(line.Text, w)
				}
				if all {
					return true
				}
			}
			return false
		}
	}
	await.True(t, "the monitor", func() bool {
		s, err := lab.Serve(ctx, client.Namespace, netip.MustParseAddrPort("127.0.0.1:1"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c, err := lab.Connect(ctx, client.Namespace, s.Addr(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return heard("CREATED]", "netns="+name)()
	})
	traffic(t, ctx, l, func(step string) {
		if step != "up" {
			return
		}
		await.True(t, "the events of the other namespace", heard("SF_ESTABLISHED", "dev=eth1", "netns="+name))
		var connections []mptcp.Connection
		if err := json.Unmarshal([]byte(stdoutOf(t, ctx, server, "-a", "-j", "connection", "show", "netns", `"`+name+`"`)), &connections); err != nil {
			t.Fatal(err)
		}
		if len(connections) != 2 || connections[0].Netns != name || len(connections[0].Subflows) != 2 ||
			len(connections[0].Processes) == 0 {
			t.Errorf("connections %+v", connections)
		}
		file := filepath.Join(t.TempDir(), "all.pcapng")
		stdoutOf(t, ctx, server, "-a", "record", file, "for", "500ms", "every", "200ms")
		type answer struct {
			args []string
			want string
		}
		tests := []answer{
			{
				[]string{"-a", "wait", "netns", `"` + name + `"`, "and", "subflows", ">=", "2", "timeout", "60s"},
				" netns " + name + " ",
			},
			{[]string{"-a", "connection"}, " netns " + name + " "},
			{[]string{"-a", "endpoint", "show"}, "10.0.2.2 id 1 subflow dev eth1 netns " + name + " \n"},
			{[]string{"-a", "-j", "endpoint", "show"}, `"dev":"eth1","netns":"` + name + `"}`},
			{[]string{"-a", "limits", "show"}, "subflows 2 netns " + name + "\n"},
			{[]string{"-a", "-j", "limits", "show"}, `"subflows":2,"netns":"` + name + `"}`},
			{[]string{"-a", "paths"}, "network namespace " + name + ":\n"},
			{[]string{"-a", "-j", "paths"}, `{"netns":"` + name + `","destinations"`},
			{[]string{"-a", "counters", "MPJoinSynAckRx"}, "[netns " + name + "]"},
			{[]string{"-a", "-j", "counters", "MPJoinSynAckRx"}, `"netns":"` + name + `"`},
		}
		for _, test := range tests {
			// A recording gives the same answers under the same names.
			if replayed := append([]string{"--replay", file}, test.args[1:]...); !strings.Contains(
				stdoutOf(t, ctx, server, replayed...),
				test.want,
			) {
				t.Errorf("%q lacks %q", replayed, test.want)
			}
			if got := stdoutOf(t, ctx, server, test.args...); !strings.Contains(got, test.want) {
				t.Errorf("%q: %q lacks %q", test.args, got, test.want)
			}
		}
		if out := stdoutOf(t, ctx, server, "--replay", file, "top", "--plain", "--count", "1", "--screen", "connections"); !strings.Contains(
			out,
			name,
		) {
			t.Errorf("top does not name %q: %s", name, out)
		}
		for line := range strings.Lines(stdoutOf(t, ctx, server, "--replay", file, "counters", "watch")) {
			if strings.Contains(line, "+") && !strings.Contains(line, "[netns ") {
				t.Errorf("counted in no namespace: %q", line)
			}
		}
		wireshark(t, file)
		if names := capinfos(t, file); names != "" && !strings.Contains(names, name) {
			t.Errorf("Wireshark's interfaces lack %q: %s", name, names)
		}
	})
	await.True(t, "the end of a connection", heard("CLOSED] token", "netns="+name))
	stopMonitor(t, monitor)
}

// capinfos returns what Wireshark says of the interfaces, "" where it is not
// installed.
func capinfos(t *testing.T, file string) string {
	t.Helper()
	program, err := exec.LookPath("capinfos")
	if err != nil {
		return ""
	}
	out, err := exec.Command(program, "-I", file).CombinedOutput()
	if err != nil {
		t.Fatalf("capinfos: %v: %s", err, out)
	}
	return string(out)
}

// namespaceOf returns the name by which -a knows the host.
func namespaceOf(t *testing.T, ctx context.Context, host *lab.Host) string {
	t.Helper()
	name := nameOf(t, ctx, host.Namespace)
	if name == "" {
		t.Fatal("the host's namespace is not listed")
	}
	return name
}

// nameOf returns the name by which -a knows a namespace, "" while it does not.
func nameOf(t *testing.T, ctx context.Context, ns *lab.Namespace) string {
	t.Helper()
	inode, err := ns.Inode()
	if err != nil {
		t.Fatal(err)
	}
	namespaces, err := hostnet.Namespaces(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range namespaces {
		if n.Inode == inode {
			return n.String()
		}
	}
	return ""
}

// stdoutOf runs the tool; what -a warns of goes to stderr.
func stdoutOf(t *testing.T, ctx context.Context, host *lab.Host, args ...string) string {
	t.Helper()
	lines, code, err := host.RunProcess(ctx, tool(args...))
	if err != nil || code != 0 {
		t.Fatalf("%q: exit code %d, %v: %v", args, code, err, lines)
	}
	var text strings.Builder
	for _, line := range lines {
		if line.Stream == lab.Stdout {
			text.WriteString(line.Text + "\n")
		}
	}
	return text.String()
}

// TestDerivedEvents: a connection that falls back to TCP, and one that the peer
// aborts, make no event of the kernel's. monitor -d tells of both.
func TestDerivedEvents(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	l := dualStack(t)
	client, server := l.Host(lab.ClientHost), l.Host(lab.ServerHost)
	monitor := startMonitor(t, ctx, client, tool("-j", "-d", "monitor"))
	s, err := lab.Serve(ctx, server.Namespace, netip.MustParseAddrPort("10.0.1.1:7001"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	type object struct {
		Event, Token, Confidence string
		Derived                  bool
		Evidence                 []string
		Time                     time.Time
	}
	find := func(event string, token mptcp.Token) (found object, ok bool) {
		for _, line := range monitor.Lines() {
			var o object
			if line.Stream == lab.Stdout && json.Unmarshal([]byte(line.Text), &o) == nil && o.Event == event &&
				o.Token == token.String() {
				return o, true
			}
		}
		return object{}, false
	}
	c, err := lab.Connect(ctx, client.Namespace, s.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exchange(10); err != nil {
		t.Fatal(err)
	}
	token, _ := c.Token()
	await.True(t, "CREATED", func() bool { _, ok := find("CREATED", token); return ok })
	for _, accepted := range s.Conns() {
		_ = accepted.Abort()
	}
	await.True(t, "the abort", func() bool { _, ok := find("ABORTED", token); return ok })
	o, _ := find("ABORTED", token)
	if !o.Derived || o.Confidence == "" || len(o.Evidence) == 0 || o.Time.IsZero() {
		t.Errorf("%+v", o)
	}
	if o, _ := find("CREATED", token); o.Derived || o.Confidence != "" {
		t.Errorf("an event of the kernel's became %+v", o)
	}
	stopMonitor(t, monitor)
	engine := false
	for _, line := range monitor.Lines() {
		engine = engine || line.Stream == lab.Stderr && strings.Contains(line.Text, "event engine: ")
	}
	if !engine {
		t.Error("stderr does not say how events come")
	}
}
