package cli

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// held is a connection that the lab holds, to a server on all addresses.
func held(t *testing.T, ctx context.Context, l *lab.Lab) *lab.Conn {
	t.Helper()
	server, err := lab.Serve(ctx, l.Host(lab.ServerHost).Namespace, netip.MustParseAddrPort("0.0.0.0:443"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	conn, err := lab.Connect(ctx, l.Host(lab.ClientHost).Namespace, netip.MustParseAddrPort("10.0.1.1:443"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestTopScreens walks through all screens of top on the real kernel: a connection
// gets a second subflow, loses it, and is closed. UPDATE=1 puts what is seen into
// docs/top.md.
func TestTopScreens(t *testing.T) {
	t.Parallel()
	l := dualStack(t)
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	client := l.Host(lab.ClientHost)
	limits := func(pm *pathmanager.Client) error {
		return pm.SetLimits(ctx, pathmanager.LimitsUpdate{Subflows: new(uint32(4)), AddAddrAccepted: new(uint32(1))})
	}
	manage(t, client, limits)
	manage(t, l.Host(lab.ServerHost), limits)
	s := startOnScreen(t, client, 80, 24, nil, "top")
	pictures := map[string]string{}
	s.wait("[1 overview]", "connections  0")
	conn := held(t, ctx, l)
	exchange(t, conn, 200_000)
	token, _ := conn.Token()
	s.wait("connections  1", "CREATED", "ESTABLISHED")

	s.press("2")
	s.wait(token.String(), "established client", "10.0.1.1:443", "eth0")
	s.press("5")
	s.wait("[5 endpoints]", "none: only a userspace path manager", "4    0 used at most")
	manage(t, client, func(pm *pathmanager.Client) error {
		return pm.AddEndpoint(ctx, mptcp.Endpoint{Address: netip.MustParseAddr("10.0.2.2"), Flags: mptcp.FlagSubflow})
	})
	exchange(t, conn, 3_000_000)
	pictures["endpoints"] = s.wait("10.0.2.2", "1 of 1 connection")
	s.press("2")
	pictures["connections"] = s.wait("[2 connections]", "1:0", "eth1", "established", "└─")
	s.press("4")
	s.wait("[4 events]", "SF_ESTABLISHED", "1:0 10.0.2.2")

	s.press("2\r")
	s.wait("[3 connection]", token.String(), "0:0 eth0", "1:0 eth1")
	manage(t, client, func(pm *pathmanager.Client) error { return pm.RemoveEndpoint(ctx, 1) })
	exchange(t, conn, 400_000)
	s.wait("×", "subflow 1:0 closed", "100% share")
	s.press("1")
	pictures["overview"] = s.wait("[1 overview]", "connections  1", "SF_CLOSED")
	s.press("4")
	pictures["events"] = s.wait("[4 events]", "SF_CLOSED", "SF_ESTABLISHED")
	s.press("6")
	s.wait("[6 doctor]")
	s.press("?")
	s.wait("freeze the screen")
	s.press("q2/dport 80\r")
	s.wait("filter: ", "no connection matches the filter (there are 1)")
	s.press("/\x15dport 443\r")
	s.wait(token.String())
	s.press("3")
	conn.Close()
	s.wait("ended at")
	s.press("q")
	if err := s.waitEnd(); err != nil {
		t.Errorf("top ended with %v", err)
	}
	s.restored()
	if os.Getenv("UPDATE") == "1" {
		updatePictures(t, "../../docs/top.md", pictures)
	}
}

func exchange(t *testing.T, conn *lab.Conn, n int) {
	t.Helper()
	if err := conn.Exchange(n); err != nil {
		t.Fatal(err)
	}
}

// updatePictures replaces the code blocks that follow <!-- NAME --> in a document.
func updatePictures(t *testing.T, file string, pictures map[string]string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	document := string(text)
	for name, picture := range pictures {
		block := regexp.MustCompile("(?s)(<!-- " + name + " -->\n```text\n).*?(```\n)")
		if !block.MatchString(document) {
			t.Errorf("%s has no picture %q", file, name)
		}
		document = block.ReplaceAllStringFunc(document, func(found string) string {
			parts := block.FindStringSubmatch(found)
			return parts[1] + picture + parts[2]
		})
	}
	if err := os.WriteFile(file, []byte(document), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTopRestoresTheTerminal ends top by signals, keys and a size of nothing.
func TestTopRestoresTheTerminal(t *testing.T) {
	t.Parallel()
	l := dualStack(t)
	client := l.Host(lab.ClientHost)
	for name, c := range map[string]struct {
		end  func(s *screen)
		code int
	}{
		"q":       {func(s *screen) { s.press("q") }, 0},
		"ctrl+c":  {func(s *screen) { s.press("\x03") }, 0},
		"SIGTERM": {func(s *screen) { _ = s.cmd.Process.Signal(syscall.SIGTERM) }, 0},
		"SIGINT":  {func(s *screen) { _ = s.cmd.Process.Signal(syscall.SIGINT) }, 0},
		"SIGHUP":  {func(s *screen) { _ = s.cmd.Process.Signal(syscall.SIGHUP) }, 0},
		"SIGQUIT": {func(s *screen) { _ = s.cmd.Process.Signal(syscall.SIGQUIT) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := startOnScreen(t, client, 80, 24, nil, "top", "--screen", "endpoints")
			s.wait("[5 endpoints]", "Limits")
			if s.settings() == s.before {
				t.Error("the terminal was not changed: nothing to restore")
			}
			c.end(s)
			if err := s.waitEnd(); err != nil || s.cmd.ProcessState.ExitCode() != c.code {
				t.Errorf("top ended with %v, want exit code %d", err, c.code)
			}
			s.restored()
		})
	}
}

// TestTopSizeAndColour changes the size of the terminal, and asks for no colour.
func TestTopSizeAndColour(t *testing.T) {
	t.Parallel()
	l := dualStack(t)
	client := l.Host(lab.ClientHost)
	colours := regexp.MustCompile(`\x1b\[[0-9;]*[1-9][0-9;]*m`)
	s := startOnScreen(t, client, 80, 24, nil, "top")
	s.wait("[1 overview]", "q quit")
	if !colours.MatchString(s.written()) {
		t.Error("there is no colour on a terminal")
	}
	s.resize(120, 40)
	s.press("2")
	s.fill(40, "[2 connections]", "e ended")
	s.resize(40, 10)
	s.press("1")
	s.fill(10, "[1 overview]", "q quit")
	s.press("q")
	if err := s.waitEnd(); err != nil {
		t.Error(err)
	}
	s.restored()
	s = startOnScreen(t, client, 80, 24, []string{"NO_COLOR=1", "LC_ALL=C"}, "top", "--screen", "2")
	s.wait("[2 connections]", "by address v")
	s.press("q")
	if err := s.waitEnd(); err != nil {
		t.Error(err)
	}
	if found := colours.FindString(s.written()); found != "" {
		t.Errorf("with NO_COLOR there is %q in %q", found, s.written())
	}
	for _, r := range s.written() {
		if r > 0x7e {
			t.Errorf("in the locale C there is %q", r)
			break
		}
	}
}

// TestTopChanges adds and deletes an endpoint and sets limits from the view.
func TestTopChanges(t *testing.T) {
	t.Parallel()
	l := dualStack(t)
	client := l.Host(lab.ClientHost)
	s := startOnScreen(t, client, 80, 24, nil, "top", "--screen", "5", "--allow-changes")
	s.wait("a add")
	s.press("a10.0.2.2 dev eth1 subflow\r")
	s.wait("mptcpctl endpoint add 10.0.2.2 dev eth1 subflow: do it? y/n")
	s.press("n")
	s.wait("nothing changed")
	s.press("a10.0.2.2 dev eth1 subflow\ry")
	s.wait("done: endpoint add", "eth1", "0 of 0 connections")
	s.press("a10.0.2.2\ry")
	s.wait("endpoint add 10.0.2.2: ")
	s.press("l\x15subflows 3\ry")
	s.wait("done: limits set subflows 3", "subflows          3")
	s.press("a10.0.2.2 dev nothing\r")
	s.wait("device does not exist")
	s.press("\x1b")
	s.wait("q quit")
	s.press("d")
	s.wait("endpoint delete id 1: do it? y/n")
	s.press("y")
	s.wait("done: endpoint delete id 1", "none: only a userspace path manager")
	s.press("q")
	if err := s.waitEnd(); err != nil {
		t.Error(err)
	}
	s.restored()
	manage(t, client, func(pm *pathmanager.Client) error {
		limits, err := pm.Limits(t.Context())
		if err == nil && limits.Subflows != 3 {
			err = fmt.Errorf("the limits are %+v", limits)
		}
		for e := range pm.Endpoints(t.Context()) {
			err = fmt.Errorf("there is still %v", e)
		}
		return err
	})
}

// TestTopWithoutPrivileges runs top without CAP_NET_ADMIN: it sees a connection
// all the same.
func TestTopWithoutPrivileges(t *testing.T) {
	t.Parallel()
	l := dualStack(t)
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	conn := held(t, ctx, l)
	exchange(t, conn, 1000)
	token, _ := conn.Token()
	client := l.Host(lab.ClientHost)
	s := startAs(t, client, 80, 24, nil, withoutPrivileges(), "top", "--screen", "2")
	unseen, device := "no events: needs CAP_NET_ADMIN", "eth0"
	if labtest.KernelBefore(t, 6, 15) {
		unseen, device = "no events, no subflows: needs CAP_NET_ADMIN", ""
	}
	s.wait(unseen, token.String(), device)
	s.press("4")
	s.wait(unseen)
	conn.Close()
	s.press("1")
	s.wait("connections  0")
	s.press("q")
	if err := s.waitEnd(); err != nil {
		t.Error(err)
	}
	s.restored()
}

// TestTopPlain runs top in a pipe.
func TestTopPlain(t *testing.T) {
	t.Parallel()
	l := dualStack(t)
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	conn := held(t, ctx, l)
	exchange(t, conn, 1000)
	token, _ := conn.Token()
	client := l.Host(lab.ClientHost)
	for _, c := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"top", "--plain", "--count", "2", "--interval", "100ms"}, 0, []string{"overview at", "connections  1"}},
		{[]string{"top", "--plain", "--count", "1", "--screen", "connections", "dport", "443"}, 0, []string{token.String(), "10.0.1.1:443"}},
		{[]string{"top", "--plain", "--count", "1", "--screen", "connection"}, 0, []string{token.String(), "0:0 eth0", "initial"}},
		{[]string{"top"}, 1, []string{"must be a terminal; --plain"}},
		{[]string{"top", "--screen", "attic"}, 2, []string{"want overview, connections"}},
		{[]string{"top", "--plain", "--interval", "1ms"}, 2, []string{"at least 100ms"}},
		{[]string{"top", "--plain", "dport", "x"}, 2, []string{"want a port"}},
	} {
		lines, code, err := client.RunProcess(ctx, tool(c.args...))
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, l := range lines {
			text.WriteString(l.Text + "\n")
		}
		if code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.args, code, c.code)
		}
		for _, want := range c.want {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%v prints, without %q:\n%s", c.args, want, text.String())
			}
		}
	}
}

// TestTopLanes draws what befalls subflows on the real kernel: an announced
// address, a join without an answer, a priority, an address that is gone.
func TestTopLanes(t *testing.T) {
	t.Parallel()
	l := dualStack(t)
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	client, server := l.Host(lab.ClientHost), l.Host(lab.ServerHost)
	limits := func(pm *pathmanager.Client) error {
		return pm.SetLimits(ctx, pathmanager.LimitsUpdate{Subflows: new(uint32(4)), AddAddrAccepted: new(uint32(2))})
	}
	manage(t, client, limits)
	manage(t, server, limits)
	s := startOnScreen(t, client, 100, 40, nil, "top", "--screen", "connection")
	s.wait("no connection is selected")
	conn := held(t, ctx, l)
	exchange(t, conn, 100_000)
	s.wait("subflow 0:0 established")

	// The server does not hear what comes to its second device.
	if err := server.SetFirewall(lab.FirewallRule{Hook: lab.HookInput, In: "eth1", Verdict: lab.Drop}); err != nil {
		t.Fatal(err)
	}
	manage(t, server, func(pm *pathmanager.Client) error {
		return pm.AddEndpoint(ctx, mptcp.Endpoint{Address: netip.MustParseAddr("10.0.2.1"), Flags: mptcp.FlagSignal})
	})
	s.wait("the peer announced address id 1 10.0.2.1", "pending", "┄")
	if err := server.SetFirewall(); err != nil {
		t.Fatal(err)
	}
	s.wait("subflow 1:1 established")

	manage(t, server, func(pm *pathmanager.Client) error {
		return pm.SetEndpointFlags(ctx, pathmanager.Selector{ID: 1}, mptcp.FlagBackup)
	})
	s.wait("the peer made it a backup")
	if err := client.RemoveAddress("eth1", netip.MustParsePrefix("10.0.2.2/24")); err != nil {
		t.Fatal(err)
	}
	s.wait("subflow 1:1 silent", "░")
	s.resize(80, 30)
	picture := s.wait("q quit", "subflow 1:1 silent")
	s.press("q")
	if err := s.waitEnd(); err != nil {
		t.Error(err)
	}
	s.restored()
	if os.Getenv("UPDATE") == "1" {
		updatePictures(t, "../../docs/top.md", map[string]string{"connection": picture})
	}
}
