package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// The foreign programs connect over MPTCP sockets,
// send some bytes both ways, print a line, and hold the connections until their
// input ends. They are Python, so that nothing of ours is in them.
const foreignServer = `
import socket, sys, threading
s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 262)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::", 5301)); s.listen(256)
def serve(c):
    while True:
        b = c.recv(65536)
        if not b: return
        c.sendall(b)
def accept():
    while True:
        c, _ = s.accept()
        threading.Thread(target=serve, args=(c,), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
print("ready", flush=True); sys.stdin.read()
`

const foreignClient = `
import socket, sys
held = []
for i in range(20):
    family, to = ((socket.AF_INET, "10.0.1.1"), (socket.AF_INET6, "2001:db8:1::1"), (socket.AF_INET6, "::ffff:10.0.1.1"))[i % 3]
    c = socket.socket(family, socket.SOCK_STREAM, 262)
    c.connect((to, 5301)); c.sendall(b"x" * (1000 + i)); got = 0
    while got < 1000 + i: got += len(c.recv(65536))
    held.append(c)
print("ready", flush=True); sys.stdin.read()
`

// TestConnectionAgreesWithSS compares `connection show -j` with ss for the
// connections of a foreign program that are older than the command.
func TestConnectionAgreesWithSS(t *testing.T) { // not in parallel: what others fork has our sockets for a moment
	for _, program := range []string{"python3", "ss"} {
		if _, err := exec.LookPath(program); err != nil {
			labtest.Skip(t, "no %s to compare with", program)
		}
	}
	// The kernel does not repeat a join that fails, as one may on a busy host.
	for wait := 15 * time.Second; !agreesWithSS(t, wait); wait *= 2 {
		if wait > await.Patience {
			t.Fatalf("not all subflows come up within %v", wait)
		}
	}
}

// agreesWithSS compares the connections of a foreign program. It returns false where the
// kernel has not all of their subflows in that time.
func agreesWithSS(t *testing.T, wait time.Duration) bool {
	t.Helper()
	l := dualStack(t)
	ctx, cancel := context.WithTimeout(t.Context(), wait+await.Patience)
	defer cancel()
	client, server := l.Host(lab.ClientHost), l.Host(lab.ServerHost)
	endpoints(t, ctx, client, "10.0.2.2", "2001:db8:2::2", mptcp.FlagSubflow)
	manage(t, server, func(pm *pathmanager.Client) error {
		return pm.SetLimits(ctx, pathmanager.LimitsUpdate{Subflows: new(uint32(8))})
	})
	startForeign(t, ctx, server, foreignServer)
	startForeign(t, ctx, client, foreignClient)
	for _, host := range []*lab.Host{client, server} {
		var ours, theirs []string
		var connections []mptcp.Connection
		deadline := time.Now().Add(wait)
		for { // the last acknowledgements and joins may still be under way
			connections = show(t, ctx, host)
			ours, theirs = subflowFacts(connections), ssFacts(t, ctx, host)
			if len(ours) == 40 && slices.Equal(ours, theirs) || time.Now().After(deadline) {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if len(theirs) != 40 {
			t.Logf("ss has %d subflows after %v, want 40", len(theirs), wait)
			return false
		}
		checkAgainstSS(t, connections, ours, theirs)
	}
	return true
}

// checkAgainstSS compares what both say, and what only we do with what must be.
func checkAgainstSS(t *testing.T, connections []mptcp.Connection, ours, theirs []string) {
	t.Helper()
	if !slices.Equal(ours, theirs) {
		t.Errorf(
			"%d subflows here, ss has %d:\n%s\n--- ss:\n%s",
			len(ours),
			len(theirs),
			strings.Join(ours, "\n"),
			strings.Join(theirs, "\n"),
		)
	}
	if len(connections) != 20 {
		t.Errorf("%d connections, want 20", len(connections))
	}
	for _, c := range connections {
		if len(c.Processes) != 1 || !strings.HasPrefix(c.Processes[0].Name, "python") {
			t.Errorf("%s: processes %v, want the foreign program", c.Token, c.Processes)
		}
		if c.Side == mptcp.SideUnknown || c.Fallback || !c.Subflows[0].Initial || c.Subflows[1].Initial {
			t.Errorf(
				"%s: side %v, fallback %v, initial %v %v",
				c.Token,
				c.Side,
				c.Fallback,
				c.Subflows[0].Initial,
				c.Subflows[1].Initial,
			)
		}
	}
}

func startForeign(t *testing.T, ctx context.Context, host *lab.Host, program string) {
	t.Helper()
	p, err := host.StartProcess(ctx, lab.ProcessConfig{Args: []string{"python3", "-c", program}, Stdin: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if _, err := p.WaitLine(ctx, func(l lab.Line) bool { return l.Text == "ready" }); err != nil {
		t.Fatalf("the foreign program did not come up: %v %v", err, p.Lines())
	}
}

func show(t *testing.T, ctx context.Context, host *lab.Host) []mptcp.Connection {
	t.Helper()
	lines, code, err := host.RunProcess(ctx, tool("-j", "connection", "show"))
	if err != nil || code != 0 {
		t.Fatalf("connection show: exit %d, %v: %v", code, err, lines)
	}
	var connections []mptcp.Connection
	if err := json.Unmarshal([]byte(lines[0].Text), &connections); err != nil {
		t.Fatal(err)
	}
	return connections
}

// subflowFacts returns a line for each subflow with what ss also tells.
func subflowFacts(connections []mptcp.Connection) []string {
	var facts []string
	for _, c := range connections {
		for _, s := range c.Subflows {
			device := ""
			if s.Bound {
				device = "%" + s.Device
			}
			facts = append(
				facts,
				fmt.Sprintf(
					"%s %v%s %v id %d/%d sent %d received %d",
					c.Token,
					s.Local,
					device,
					s.Remote,
					s.RemoteID,
					s.LocalID,
					s.BytesSent,
					s.BytesReceived,
				),
			)
		}
	}
	slices.Sort(facts)
	return facts
}

// ssFacts returns the same lines from ss. It drops the zeros in front of a token
// and leaves counters out that are zero.
func ssFacts(t *testing.T, ctx context.Context, host *lab.Host) []string {
	t.Helper()
	lines, code, err := host.RunProcess(ctx, lab.ProcessConfig{Args: []string{"ss", "-tinOH"}})
	if err != nil || code != 0 {
		t.Fatalf("ss: exit %d, %v: %v", code, err, lines)
	}
	number := func(line, key string) string {
		if m := regexp.MustCompile(` ` + key + `:(\d+)`).FindStringSubmatch(line); m != nil {
			return m[1]
		}
		return "0"
	}
	ulp := regexp.MustCompile(`tcp-ulp-mptcp flags:\w+ token:\w+\(id:(\d+)\)/(\w+)\(id:(\d+)\)`)
	var facts []string
	for _, line := range lines {
		m := ulp.FindStringSubmatch(line.Text)
		fields := strings.Fields(line.Text)
		if m == nil || fields[0] != "ESTAB" {
			continue
		}
		token, err := mptcp.ParseToken(m[2])
		if err != nil {
			t.Fatal(err)
		}
		unmap := strings.NewReplacer("[::ffff:10.", "10.")
		local, remote := unmapped(unmap.Replace(fields[3])), unmapped(unmap.Replace(fields[4]))
		facts = append(
			facts,
			fmt.Sprintf(
				"%s %s %s id %s/%s sent %s received %s",
				token,
				local,
				remote,
				m[1],
				m[3],
				number(line.Text, "bytes_sent"),
				number(line.Text, "bytes_received"),
			),
		)
	}
	slices.Sort(facts)
	return facts
}

// unmapped takes the closing bracket off an address whose opening one went with
// its mapping, and puts a device behind the port.
func unmapped(s string) string {
	if strings.HasPrefix(s, "10.") {
		s = strings.Replace(s, "]", "", 1)
	}
	if m := regexp.MustCompile(`^(.*)(%\w+)(\]?:\d+)$`).FindStringSubmatch(s); m != nil {
		s = m[1] + m[3] + m[2]
	}
	return s
}
