package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// tool starts this program in the host under its own name.
func tool(args ...string) lab.ProcessConfig {
	return lab.ProcessConfig{Args: append([]string{"/proc/self/exe"}, args...), Arg0: "mptcpctl"}
}

// ipProgram returns iproute2's ip, that of $IPROUTE2 where it is set, and its
// version.
func ipProgram(t *testing.T) (name, version string) {
	t.Helper()
	name = os.Getenv("IPROUTE2")
	if name == "" {
		name = "ip"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/ip"); err != nil {
			labtest.Skip(t, "no iproute2 to compare with (package iproute2)")
		}
	}
	out, err := exec.Command(path, "-V").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`iproute2-(\d+\.\d+)`).FindStringSubmatch(string(out))
	if found == nil {
		t.Fatalf("what version is this? %s", out)
	}
	return path, found[1]
}

// dualStack is two hosts with two links, IPv4 and IPv6 on both.
func dualStack(t *testing.T) *lab.Lab {
	t.Helper()
	labtest.MPTCP(t)
	topology := findTopology(t, "two-subnets")
	for i := range topology.Links {
		link := &topology.Links[i]
		for host, end := range map[int]*lab.End{2: &link.A, 1: &link.B} {
			if end.Host == lab.ServerHost {
				host = 1
			} else {
				host = 2
			}
			end.Addresses = append(end.Addresses, netip.MustParsePrefix(fmt.Sprintf("2001:db8:%d::%d/64", i+1, host)))
		}
	}
	l, err := lab.Build(t.Context(), topology)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestMonitorAgreesWithIP runs both monitors on both hosts, while connections
// over IPv4, IPv6 and v4-mapped sockets come, get subflows by endpoints and by
// announcements, change priority, lose addresses and go.
func TestMonitorAgreesWithIP(t *testing.T) {
	t.Parallel()
	ip, version := ipProgram(t)
	l := dualStack(t)
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	var both []func() bool
	for _, name := range []string{lab.ClientHost, lab.ServerHost} {
		host := l.Host(name)
		ours := startMonitor(t, ctx, host, tool("monitor"))
		theirs := startMonitor(t, ctx, host, lab.ProcessConfig{Args: []string{ip, "mptcp", "monitor"}})
		t.Cleanup(func() {
			if !t.Failed() {
				compareMonitors(t, name, version, events(ours), events(theirs))
			}
		})
		t.Cleanup(func() { stopMonitor(t, ours); stopMonitor(t, theirs) })
		both = append(both, func() bool { return tellsOfLast(ours) && tellsOfLast(theirs) })
	}
	churn(t, ctx, l)
	// One of them may be late, and ip prints nothing more at its end: when both tell of
	// one more connection they have told of all before it.
	for i, name := range []string{lab.ClientHost, lab.ServerHost} {
		s, err := lab.Serve(
			ctx,
			l.Host(name).Namespace,
			netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), lastPort),
			nil,
		)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c, err := lab.Connect(ctx, l.Host(name).Namespace, s.Addr(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		await.True(t, "the last connection of the "+name, both[i])
	}
}

// lastPort is that of the connection which comes when all else has happened.
const lastPort = 2

// tellsOfLast reports whether a monitor has printed that both ends of it are there.
func tellsOfLast(p *lab.Process) bool { return len(lastTokens(p)) == 2 }

// lastTokens returns the tokens of that connection's ends.
func lastTokens(p *lab.Process) (tokens []string) {
	created := regexp.MustCompile(fmt.Sprintf(`CREATED\] (token=[0-9a-f]{8}) .*\b[sd]port=%d\b`, lastPort))
	for _, line := range p.Lines() {
		if found := created.FindStringSubmatch(line.Text); found != nil {
			tokens = append(tokens, found[1])
		}
	}
	return tokens
}

// startMonitor starts a monitor and waits until it hears events.
func startMonitor(t *testing.T, ctx context.Context, host *lab.Host, c lab.ProcessConfig) *lab.Process {
	t.Helper()
	p, err := host.StartProcess(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	await.True(t, "a monitor's subscription", func() bool {
		ok, err := p.Subscribed(time.Since(began))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	})
	return p
}

// stopMonitor ends a monitor as a user does. What it printed by then is complete.
func stopMonitor(t *testing.T, p *lab.Process) {
	t.Helper()
	if err := p.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	if _, err := p.Wait(ctx); err != nil {
		t.Errorf("the monitor does not end at SIGINT: %v", err)
	}
	p.Close()
}

// events returns the lines of a monitor without those of listeners, which an old ip
// does not name, and of the last connection.
func events(p *lab.Process) []string {
	last := lastTokens(p)
	var lines []string
	for _, line := range p.Lines() {
		other := strings.Contains(line.Text, "LISTENER") || strings.Contains(line.Text, "UNKNOWN") ||
			slices.ContainsFunc(last, func(token string) bool { return strings.Contains(line.Text, token) })
		if line.Stream == lab.Stdout && !other {
			lines = append(lines, line.Text)
		}
	}
	return lines
}

const (
	connectionsPerKind = 70
	churnPort          = 5201
)

// churn makes the events.
func churn(t *testing.T, ctx context.Context, l *lab.Lab) {
	t.Helper()
	client, server := l.Host(lab.ClientHost), l.Host(lab.ServerHost)
	endpoints(t, ctx, client, "10.0.2.2", "2001:db8:2::2", mptcp.FlagSubflow)
	endpoints(t, ctx, server, "10.0.2.1", "2001:db8:2::1", mptcp.FlagSignal)
	s, err := lab.Serve(ctx, server.Namespace, netip.AddrPortFrom(netip.IPv6Unspecified(), churnPort), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var conns []*lab.Conn
	for range connectionsPerKind {
		for _, kind := range []struct {
			to string
			v6 bool
		}{{"10.0.1.1", false}, {"2001:db8:1::1", true}, {"10.0.1.1", true}} {
			c, err := lab.Connect(
				ctx,
				client.Namespace,
				netip.AddrPortFrom(netip.MustParseAddr(kind.to), churnPort),
				&lab.ConnectConfig{V6: kind.v6},
			)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Exchange(10); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
	}
	waitSubflows(t, conns)
	changePriority(t, ctx, client)
	changePriority(t, ctx, server)
	remove(t, ctx, client)
	manage(t, server, func(pm *pathmanager.Client) error { return pm.FlushEndpoints(ctx) })
	for _, c := range conns {
		c.Close()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	settle(t, ctx, l)
}

func manage(t *testing.T, host *lab.Host, f func(pm *pathmanager.Client) error) {
	t.Helper()
	err := host.Do(func() error {
		pm, err := pathmanager.Dial(nil)
		if err != nil {
			return err
		}
		defer pm.Close()
		return f(pm)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func endpoints(t *testing.T, ctx context.Context, host *lab.Host, v4, v6 string, flags mptcp.EndpointFlags) {
	t.Helper()
	manage(t, host, func(pm *pathmanager.Client) error {
		if err := pm.FlushEndpoints(ctx); err != nil {
			return err
		}
		if err := pm.SetLimits(ctx, pathmanager.LimitsUpdate{AddAddrAccepted: new(uint32(8)), Subflows: new(uint32(8))}); err != nil {
			return err
		}
		for _, a := range []string{v4, v6} {
			if err := pm.AddEndpoint(ctx, mptcp.Endpoint{Address: netip.MustParseAddr(a), Flags: flags}); err != nil {
				return err
			}
		}
		return nil
	})
}

// changePriority asks the peer to use the subflows of the endpoints last, and
// takes that back.
func changePriority(t *testing.T, ctx context.Context, host *lab.Host) {
	t.Helper()
	manage(t, host, func(pm *pathmanager.Client) error {
		for e, err := range pm.Endpoints(ctx) {
			if err != nil {
				return err
			}
			for _, backup := range []mptcp.EndpointFlags{mptcp.FlagBackup, 0} {
				if err := pm.SetEndpointFlags(ctx, pathmanager.Selector{ID: e.ID}, backup); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// remove removes the endpoints one by one: the peer hears of each, which it does
// not when a client flushes.
func remove(t *testing.T, ctx context.Context, host *lab.Host) {
	t.Helper()
	manage(t, host, func(pm *pathmanager.Client) error {
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
}

// waitSubflows waits until every connection has an additional subflow.
func waitSubflows(t *testing.T, conns []*lab.Conn) {
	t.Helper()
	deadline := time.Now().Add(await.Patience)
	for _, c := range conns {
		for c.AdditionalSubflows() == 0 {
			if time.Now().After(deadline) {
				t.Fatal("a connection got no additional subflow")
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// settle makes a last connection and waits until the counters of both hosts rest:
// then all events are out.
func settle(t *testing.T, ctx context.Context, l *lab.Lab) {
	t.Helper()
	var before string
	for rest := 0; rest < 5; {
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
		if now == before {
			rest++
		} else {
			rest = 0
		}
		before = now
		select {
		case <-ctx.Done():
			t.Fatal("the hosts do not come to rest")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// compareMonitors compares the lines of one host. Two sockets of the group may see
// events in different order, when two processors send them at once: those of
// different connections, and a connection's announcements beside its subflows. The
// order of what is said of one subflow is one.
func compareMonitors(t *testing.T, host, version string, ours, theirs []string) {
	t.Helper()
	if len(ours) < 5*3*connectionsPerKind {
		t.Errorf("%s: only %d events: the test makes too few", host, len(ours))
	}
	// Before 6.18 the kernel marks the server's side by an attribute of its own, which
	// an ip that prints a number does not know.
	unmarked := labtest.KernelBefore(t, 6, 18) && asVersion(" server_side", version) != " server_side"
	for i := range ours {
		if unmarked {
			ours[i] = strings.Replace(ours[i], " server_side", "", 1)
		}
		ours[i] = asVersion(ours[i], version)
	}
	token := regexp.MustCompile(`token=[0-9a-f]{8}`)
	subflow := regexp.MustCompile(`[sd]port=[0-9]+`)
	bySubflow := func(lines []string) map[string][]string {
		subflows := map[string][]string{}
		for _, line := range lines {
			key := strings.Join(append(subflow.FindAllString(line, -1), token.FindString(line)), " ")
			subflows[key] = append(subflows[key], line)
		}
		return subflows
	}
	us, them := bySubflow(ours), bySubflow(theirs)
	for key, lines := range us {
		if !slices.Equal(lines, them[key]) {
			t.Errorf(
				"%s, %s:\nours:\n%s\niproute2 %s:\n%s",
				host,
				key,
				strings.Join(lines, "\n"),
				version,
				strings.Join(them[key], "\n"),
			)
			break
		}
	}
	if len(us) != len(them) {
		t.Errorf("%s: events of %d subflows, iproute2 saw %d", host, len(us), len(them))
	}
	kinds := map[string]int{}
	for _, line := range ours {
		kinds[strings.Trim(strings.SplitN(line, "]", 2)[0], "[ ")]++
	}
	t.Logf("%s: %d events agree with iproute2 %s: %v", host, len(ours), version, kinds)
	want := []string{"CREATED", "ESTABLISHED", "SF_ESTABLISHED", "SF_CLOSED", "SF_PRIO", "REMOVED", "CLOSED"}
	if host == lab.ClientHost {
		want = append(want, "ANNOUNCED")
	}
	for _, kind := range want {
		if kinds[kind] == 0 {
			t.Errorf("%s: the test made no %s", host, kind)
		}
	}
}

// asVersion turns a line into what an older iproute2 prints of the same event:
// before 7.0 without dev=, before 6.19 with the flags as a number in another
// place, before 6.2 with 14 columns for the name.
func asVersion(line, version string) string {
	major, minor, _ := strings.Cut(version, ".")
	number, _ := strconv.Atoi(major)
	part, _ := strconv.Atoi(minor)
	older := func(a, b int) bool { return number < a || number == a && part < b }
	if older(7, 0) {
		line = regexp.MustCompile(` dev=\S+`).ReplaceAllString(line, "")
	}
	if older(6, 19) {
		flags := 0
		for bit, word := range map[int]string{1: " deny_join_id0", 2: " server_side"} {
			if strings.Contains(line, word) {
				flags |= bit
				line = strings.Replace(line, word, "", 1)
			}
		}
		if flags != 0 {
			line += " flags=" + strconv.FormatInt(int64(flags), 16)
		}
	}
	if older(6, 2) {
		line = strings.Replace(line, "[  ", "[", 1)
	}
	return line
}

// A monitor that was stopped says of the events that came meanwhile that they may be
// older than their time.
func TestStoppedMonitorMarksEvents(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	for _, args := range [][]string{{"-j", "monitor"}, {"-j", "-d", "monitor"}} {
		p := started(t, ns, tool(args...))
		await.True(t, "an event", func() bool {
			connect(t, ns)()
			return len(p.Lines()) > 0
		})
		// A stop that falls between the end of a wait and the reading, as it may on a busy
		// machine, cannot be told from none.
		for attempt := 1; ; attempt++ {
			late := lateAfterStop(t, ns, p)
			if len(late) > 0 && slices.Min(late) >= 300 {
				break
			}
			if attempt == 5 {
				t.Errorf("%v: late by %d ms after a stop of 300 ms", args, late)
				break
			}
		}
	}
}

// lateAfterStop stops the monitor for 300 ms, in which a connection comes and goes, and
// returns by how many milliseconds it says that CREATED may be late.
func lateAfterStop(t *testing.T, ns *lab.Namespace, p *lab.Process) (late []int) {
	t.Helper()
	await.True(t, "rest", func() bool { // the events of the last connection may still come
		before := len(p.Lines())
		time.Sleep(50 * time.Millisecond)
		return len(p.Lines()) == before
	})
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the stop", func() bool { return halted(t, p.Pid()) })
	seen := len(p.Lines())
	connect(t, ns)()
	time.Sleep(300 * time.Millisecond)
	continued := time.Now()
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the events of the stop", func() bool {
		late = nil
		for _, l := range p.Lines()[seen:] {
			var e struct {
				Event string
				Time  time.Time
				Late  int `json:"late_ms"`
			}
			// Read after the stop: what was printed before may still be in the pipe.
			if json.Unmarshal([]byte(l.Text), &e) == nil && e.Event == "CREATED" && e.Time.After(continued) {
				late = append(late, e.Late)
			}
		}
		return len(late) > 0
	})
	return late
}

// halted reports whether the process is stopped.
func halted(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "T")
}
