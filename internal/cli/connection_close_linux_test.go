package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
)

// closeWorld is a client with one connection of two subflows.
type closeWorld struct {
	client *lab.Host
	conn   *lab.Conn
	token  mptcp.Token
}

func newCloseWorld(t *testing.T, ctx context.Context) *closeWorld {
	t.Helper()
	client, _ := runWorld(t, ctx)
	w := &closeWorld{client: client}
	w.conn, w.token = connectTwice(t, ctx, client)
	return w
}

// connectTwice makes a connection and waits for its second subflow.
func connectTwice(t *testing.T, ctx context.Context, client *lab.Host) (*lab.Conn, mptcp.Token) {
	t.Helper()
	conn, err := lab.Connect(ctx, client.Namespace, netip.MustParseAddrPort(runServer+":"+echoPort), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.Exchange(1000); err != nil {
		t.Fatal(err)
	}
	token, ok := conn.Token()
	if !ok {
		t.Fatal("fallback")
	}
	await.True(t, "two subflows", func() bool { return len(subflowsShown(t, ctx, client, token)) == 2 })
	return conn, token
}

// subflowsShown returns the subflows that `connection show` has of a connection.
func subflowsShown(t *testing.T, ctx context.Context, client *lab.Host, token mptcp.Token) []mptcp.Subflow {
	t.Helper()
	for _, c := range show(t, ctx, client) {
		if c.Token == token {
			return c.Subflows
		}
	}
	return nil
}

func TestCloseSubflow(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	w := newCloseWorld(t, ctx)
	token := w.token.String()
	for _, wrong := range []struct{ line, want string }{
		{"close-subflow", "the connection is missing"},
		{token, "which subflow"},
		{token + " id 300", "want numbers from 0 to 255"},
		{token + " id", "id needs a value"},
		{token + " id 7 -y", "0 subflows of " + token + " match, want exactly one; it has: 10.0."},
		{token + " to 10.0.1.1 -y", "2 subflows of " + token + " match"},
		{token + " id 1", "add -y"},
		{"dst,:1 id 1 -y", `no connection matches "dport = :1"`},
		{"xyz id 1 -y", `nor is it a filter: at "xyz": want not, (`},
	} {
		line := strings.TrimPrefix(wrong.line, "close-subflow")
		words := append([]string{"connection", "close-subflow"}, strings.Fields(line)...)
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], ",", " ")
		}
		_, errs, code := ran(t, w.client.Namespace, tool(words...))
		if code == 0 || !strings.Contains(errs, wrong.want) {
			t.Errorf("%s: exit %d, %q; want %q", wrong.line, code, errs, wrong.want)
		}
	}
	if n := len(subflowsShown(t, ctx, w.client, w.token)); n != 2 {
		t.Fatalf("%d subflows after refusals", n)
	}
	// By a filter; the other one carries on.
	out, errs, code := ran(
		t,
		w.client.Namespace,
		tool("connection", "close-subflow", "dst :7007", "from", "10.0.2.2", "id", "1:0", "-y"),
	)
	if code != 0 || !strings.HasPrefix(out, token+": ended 10.0.2.2:") || !strings.Contains(out, "subflows left: 1") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	left := subflowsShown(t, ctx, w.client, w.token)
	if len(left) != 1 || left[0].Local.Addr().String() != "10.0.1.2" {
		t.Errorf("left: %v", left)
	}
	if err := w.conn.Exchange(1000); err != nil {
		t.Errorf("the connection does not go on: %v", err)
	}
}

func TestCloseConnection(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	w := newCloseWorld(t, ctx)
	lingers := "for up to 2s (net.mptcp.close_timeout)"
	if labtest.KernelBefore(t, 6, 7) { // it ends at once
		lingers = ""
	} else if err := w.client.SetSysctl("net.mptcp.close_timeout", "2"); err != nil {
		t.Fatal(err)
	}
	second, other := connectTwice(t, ctx, w.client)
	closes := func(args ...string) (string, string, int) {
		return ran(t, w.client.Namespace, tool(append([]string{"connection", "close"}, args...)...))
	}
	if _, errs, code := closes("dst", ":7007", "-y"); code != 1 || !strings.Contains(errs, "2 connections match") ||
		!strings.Contains(errs, w.token.String()) {
		t.Errorf("several: exit %d, %q", code, errs)
	}
	if _, errs, code := closes("-y"); code != 2 || !strings.Contains(errs, "which connection") {
		t.Errorf("none named: exit %d, %q", code, errs)
	}
	if _, errs, code := closes(w.token.String()); code != 2 || !strings.Contains(errs, "add -y") {
		t.Errorf("without -y: exit %d, %q", code, errs)
	}
	out, errs, code := closes(w.token.String(), "-y")
	if code != 0 || strings.Count(out, ": ended ") != 2 || !strings.Contains(out, lingers) {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	if n := len(subflowsShown(t, ctx, w.client, w.token)); n != 0 {
		t.Errorf("%d subflows are left", n)
	}
	if err := second.Exchange(1000); err != nil {
		t.Errorf("the other connection %v: %v", other, err)
	}
	// What is said of the end is so: the program learns of it after close_timeout.
	_ = w.conn.SetReadDeadline(time.Now().Add(await.Patience))
	if _, err := w.conn.Read(make([]byte, 1)); err == nil || errors.Is(err, syscall.EAGAIN) {
		t.Errorf("read from the closed connection: %v", err)
	}
	out, errs, code = ran(t, w.client.Namespace, tool("-j", "connection", "close", "--all", "-y"))
	var closed []closedConnection
	if err := json.Unmarshal([]byte(out), &closed); err != nil || code != 0 {
		t.Fatalf("%v: exit %d, %q, %q", err, code, out, errs)
	}
	if !strings.Contains(out, other.String()) {
		t.Errorf("--all leaves %v: %s", other, out)
	}
}

// Without CAP_NET_ADMIN the refusal names what is missing.
func TestCloseWithoutPrivilege(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	w := newCloseWorld(t, ctx)
	argv := append(
		[]string{"setpriv", "--bounding-set", "-net_admin", toolPath(t)},
		"connection",
		"close",
		w.token.String(),
		"-y",
	)
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Fatal(err)
	}
	_, errs, code := ran(t, w.client.Namespace, lab.ProcessConfig{Args: argv})
	if code != 1 || !strings.Contains(errs, "CAP_NET_ADMIN") {
		t.Errorf("exit %d, %q", code, errs)
	}
	if n := len(subflowsShown(t, ctx, w.client, w.token)); n != 2 {
		t.Errorf("%d subflows are left", n)
	}
}

// TestPMByFilter names the connection of a userspace path manager's command by a
// filter.
func TestPMByFilter(t *testing.T) {
	t.Parallel()
	h := newLoopHost(t)
	h.pathManager("1")
	_, server := h.connect()
	announce := []string{"mptcpctl", "pm", "announce", secondAddress, "id", "5", "token"}
	got := ask(t, h.ns, self(t), announce[0], append(announce[1:], "side server")...)
	if got.code != 0 {
		t.Errorf("%v", got)
	}
	h.run("mptcpctl", "pm addresses token "+server.String(), 0, secondAddress+" id 5 signal \n", "")
	got = ask(t, h.ns, self(t), announce[0], append(announce[1:], "dst "+firstAddress)...)
	if got.code != 1 || !strings.Contains(got.stderr, `2 connections match "dst `+firstAddress) ||
		!strings.Contains(got.stderr, "(server, ") {
		t.Errorf("%v", got)
	}
}
