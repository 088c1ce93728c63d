package cli

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/confine"
	"mptcpctl/internal/kernel"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/serve"
)

// fetch asks the server in the namespace with curl, and returns the answer with
// its status behind it.
func fetch(t *testing.T, ns *lab.Namespace, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		labtest.Skip(t, "curl is not installed")
	}
	command := append([]string{"curl", "-sS", "-m", "30", "-w", "\n%{http_code}"}, args...)
	out, errs, _ := ran(t, ns, lab.ProcessConfig{Args: command})
	return strings.TrimSpace(out) + errs
}

// stopped ends the server and waits until it has ended, with its stacks where it
// does not.
func stopped(t *testing.T, p *lab.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	code, err := p.Wait(ctx)
	if err == nil && code == 0 {
		return
	}
	if err != nil && p.Signal(syscall.SIGQUIT) == nil {
		ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
		defer cancel()
		_, _ = p.Wait(ctx) // for its last words
	}
	t.Fatalf("serve ended with %d, %v: %v", code, err, p.Lines())
}

func TestServeAnswersAndEndsInGoodOrder(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	socket := filepath.Join(t.TempDir(), "notify")
	notified, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notified.Close()
	c := tool("serve")
	c.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=300000")
	p := started(t, ns, c)
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := notification(t, notified); got != want {
			t.Fatalf("systemd was told %q, want %q", got, want)
		}
	}
	defer connect(t, ns)()
	await.True(t, "both ends of the connection", func() bool {
		return strings.Contains(fetch(t, ns, "http://127.0.0.1:9099/api/v1/connections"), `"total":2`)
	})
	shown, _, _ := ran(t, ns, tool("-j", "connection", "show"))
	var fromCommand []map[string]any
	if err := json.Unmarshal([]byte(shown), &fromCommand); err != nil {
		t.Fatal(err)
	}
	// What the server has heard of by an event it completes when it looks.
	missing := ""
	await.True(t, "the keys of the command's JSON in the server's", func() bool {
		answer, _, _ := strings.Cut(fetch(t, ns, "http://127.0.0.1:9099/api/v1/connections"), "\n")
		var page struct{ Connections []map[string]any }
		if err := json.Unmarshal([]byte(answer), &page); err != nil {
			t.Fatal(err)
		}
		if missing = missingKey(fromCommand, page.Connections); missing != "" {
			t.Logf("not in the server's JSON: %s", missing)
		}
		return missing == ""
	})
	if got := fetch(t, ns, "http://127.0.0.1:9099/api/v1/findings"); !strings.Contains(got, `"verdict":`) ||
		!strings.HasSuffix(got, "200") {
		t.Errorf("findings: %s", got)
	}
	await.True(t, "the metrics", func() bool {
		got := fetch(t, ns, "http://127.0.0.1:9099/metrics")
		return strings.Contains(got, `mptcp_connections{netns="",side="client",state="established"} 1`) &&
			strings.Contains(got, `mptcp_monitor_engine_info{engine="netlink"} 1`)
	})
	listeners, _, _ := ran(t, ns, tool("connection", "show", "listen"))
	if strings.Contains(listeners, ":9099") {
		t.Errorf("the server is among what it shows: %s", listeners)
	}
	// Meanwhile nobody has read what systemd is told: the server must not hang on it.
	stopped(t, p)
}

// missingKey returns a key that a connection of the command's has and the server's
// has not, with the connection's token; "" where there is none.
func missingKey(fromCommand, fromServer []map[string]any) string {
	byToken := map[any]map[string]any{}
	for _, c := range fromServer {
		byToken[c["token"]] = c
	}
	for _, c := range fromCommand {
		for key := range c {
			if _, ok := byToken[c["token"]][key]; !ok {
				return fmt.Sprintf("%s of %v", key, c["token"])
			}
		}
	}
	return ""
}

func TestServeTellsSystemdThatItStops(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	socket := filepath.Join(t.TempDir(), "notify")
	notified, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notified.Close()
	c := tool("serve")
	c.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket)
	p := started(t, ns, c)
	if got := notification(t, notified); got != "READY=1" {
		t.Errorf("first %q", got)
	}
	stopped(t, p)
	if got := notification(t, notified); got != "STOPPING=1" {
		t.Errorf("at last %q", got)
	}
}

func notification(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 512)
	n, err := c.Read(b)
	if err != nil {
		t.Fatalf("systemd could not be notified: %v", err)
	}
	return string(b[:n])
}

func TestServeRefusesToBeOpenToAll(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--listen", "0.0.0.0:9099"}, "use a token"},
		{[]string{"--listen", ":9099"}, "use a token"},
		{[]string{"--listen", "[2001:db8::1]:9099"}, "use a token"},
		{[]string{"--listen", "0.0.0.0:9099", "--token-file", short}, "too short"},
		{[]string{"--listen", "0.0.0.0:9099", "--token-file", "/nonexistent"}, "no such file"},
		{[]string{"--listen", "nonsense"}, "want an address and a port"},
		{[]string{"--listen", "example.com:80"}, "want an address and a port"},
		{[]string{"--tls-cert", short}, "need each other"},
		{[]string{"--client-ca", short}, "needs --tls-cert"},
		{[]string{"rubbish"}, "takes no arguments"},
		{[]string{"--log-level", "loud"}, "want debug"},
	} {
		_, stderr, code := ran(t, ns, tool(append([]string{"serve"}, c.args...)...))
		if code == 0 || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit %d, %q, want %q", c.args, code, stderr, c.want)
		}
	}
}

func TestServeWithTLSAndClientCertificates(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	dir := t.TempDir()
	certificate(t, dir, "server")
	certificate(t, dir, "client")
	at := func(name string) string { return filepath.Join(dir, name) }
	ready(
		t,
		started(
			t,
			ns,
			tool(
				"serve",
				"--listen",
				"0.0.0.0:9443",
				"--tls-cert",
				at("server.pem"),
				"--tls-key",
				at("server.key"),
				"--client-ca",
				at("client.pem"),
			),
		),
	)
	const url = "https://127.0.0.1:9443/api/v1/summary"
	if got := fetch(t, ns, "--cacert", at("server.pem"), "--cert", at("client.pem"), "--key", at("client.key"), url); !strings.HasSuffix(
		got,
		"200",
	) {
		t.Errorf("with a certificate: %s", got)
	}
	if got := fetch(t, ns, "--cacert", at("server.pem"), url); strings.Contains(got, `"connections"`) {
		t.Errorf("without a certificate: %s", got)
	}
	if got := fetch(t, ns, "--cacert", at("server.pem"), "--cert", at("server.pem"), "--key", at("server.key"), url); strings.Contains(
		got,
		`"connections"`,
	) {
		t.Errorf("with a certificate of somebody else: %s", got)
	}
	if got := fetch(t, ns, "http://127.0.0.1:9443/api/v1/summary"); strings.Contains(got, `"connections"`) {
		t.Errorf("without TLS: %s", got)
	}
}

// TestServeReadsRenewedFilesBehindLinks renews a certificate and a token as certbot and
// Kubernetes do: the name that the server knows is a link, and the new file is another one.
func TestServeReadsRenewedFilesBehindLinks(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, folder := range []string{"live", "archive", "first", "second"} {
		if err := os.Mkdir(at(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{filepath.Dir(dir), dir, at("live"), at("archive"), at("first"), at("second")} {
		if err := os.Chmod(folder, 0o755); err != nil { // whatever the umask is
			t.Fatal(err)
		}
	}
	for _, name := range []string{"old", "new"} {
		certificate(t, at("archive"), name)
		// As root the server becomes another user, who must be able to read what is renewed.
		for _, file := range []string{".pem", ".key"} {
			if err := os.Chmod(at("archive/"+name+file), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	lead := func(link, target string) {
		t.Helper()
		if err := os.Symlink(target, at("link")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(at("link"), at(link)); err != nil {
			t.Fatal(err)
		}
	}
	for folder, token := range map[string]string{"first": "one token of the test", "second": "another token of it"} {
		if err := os.WriteFile(filepath.Join(at(folder), "token"), []byte(token), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(at(folder), "token"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lead("live/cert.pem", "../archive/old.pem")
	lead("live/key.pem", "../archive/old.key")
	lead("secrets", at("first"))
	p := started(t, ns, tool("serve", "--listen", "127.0.0.1:9443",
		"--tls-cert", at("live/cert.pem"), "--tls-key", at("live/key.pem"), "--token-file", at("secrets/token")))
	ready(t, p)
	defer func() {
		if t.Failed() {
			t.Log(p.Lines())
		}
	}()
	allowed := func(authority, token string) bool {
		got := fetch(t, ns, "--cacert", at("archive/"+authority+".pem"), "--header", "Authorization: Bearer "+token,
			"https://127.0.0.1:9443/api/v1/summary")
		return strings.HasSuffix(got, "200")
	}
	if !allowed("old", "one token of the test") {
		t.Fatal("the server refuses the certificate and the token that it started with")
	}
	lead("live/cert.pem", "../archive/new.pem")
	lead("live/key.pem", "../archive/new.key")
	lead("secrets", at("second"))
	await.True(t, "the renewed certificate and token", func() bool {
		return allowed("new", "another token of it")
	})
	if allowed("new", "one token of the test") {
		t.Error("the token from before is still in force")
	}
	if !logged(p, "files are out of reach") {
		return // this kernel has no Landlock
	}
	elsewhere := t.TempDir()
	token := filepath.Join(elsewhere, "token")
	if err := errors.Join(
		os.WriteFile(token, []byte("a token from elsewhere"), 0o644), os.Chmod(token, 0o644), os.Chmod(elsewhere, 0o755),
	); err != nil {
		t.Fatal(err)
	}
	lead("secrets", elsewhere)
	await.True(t, "the refusal to read a folder that nothing led to at the start", func() bool {
		return allowed("new", "another token of it") && logged(p, "the token that changed is not used")
	})
}

// logged reports whether a line that contains text is in the program's log.
func logged(p *lab.Process, text string) bool {
	return slices.ContainsFunc(p.Lines(), func(l lab.Line) bool { return strings.Contains(l.Text, text) })
}

// certificate makes NAME.pem and NAME.key, signed by itself, for 127.0.0.1.
func certificate(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(
			1,
		), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: cert}, name + ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestServeGivesUpItsPrivileges looks at all threads of the program as it is shipped.
func TestServeGivesUpItsPrivileges(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	compiler, err := exec.LookPath("go")
	if err != nil {
		labtest.Skip(t, "no Go toolchain to build the program with")
	}
	program := filepath.Join(t.TempDir(), "mptcpctl")
	build := exec.CommandContext(
		t.Context(),
		compiler,
		"build",
		"-buildvcs=false",
		"-o",
		program,
		"../../cmd/mptcpctl-full",
	)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := started(t, ns, lab.ProcessConfig{Args: []string{program, "serve"}})
	ready(t, p)
	want := fmt.Sprintf("%016x", serve.KeptCapabilities(kernel.Release()))
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.Pid()))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("%d threads, %v", len(tasks), err)
	}
	for _, task := range tasks {
		for name, value := range status(t, task) {
			switch name {
			case "CapEff", "CapPrm", "CapAmb":
				if value != want && value != "0000000000000000" {
					t.Errorf("%s: %s %s, want %s", task, name, value, want)
				}
			case "NoNewPrivs":
				if value != "1" {
					t.Errorf("%s: may gain new privileges", task)
				}
			case "Uid":
				if id, err := confine.Unprivileged(); err == nil && id.Here() && strings.HasPrefix(value, "0\t") {
					t.Errorf("%s: is still root: %s", task, value)
				}
			}
		}
	}
	defer connect(t, ns)()
	await.True(t, "events, which were subscribed to before", func() bool {
		return strings.Contains(fetch(t, ns, "http://127.0.0.1:9099/metrics"), `event="ESTABLISHED"`)
	})
	await.True(t, "the name of this process, into which the server may not look", func() bool {
		return strings.Contains(fetch(t, ns, "http://127.0.0.1:9099/api/v1/connections"), fmt.Sprintf(`"pid":%d,`, os.Getpid()))
	})
	for _, line := range p.Lines() {
		if strings.Contains(line.Text, "privileges are kept") {
			t.Error(line.Text)
		}
	}
}

func status(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		return nil // the thread has ended
	}
	defer f.Close()
	values := map[string]string{}
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		if key, value, ok := strings.Cut(scanner.Text(), ":"); ok {
			values[key] = strings.TrimSpace(value)
		}
	}
	return values
}

func TestServeWithoutEventsSaysSo(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	if _, err := exec.LookPath("setpriv"); err != nil {
		labtest.Skip(t, "setpriv is not installed")
	}
	c := tool("serve")
	c.Args = append([]string{"setpriv", "--bounding-set=-all", "--inh-caps=-all"}, toolPath(t), "serve")
	c.Arg0 = ""
	ready(t, started(t, ns, c))
	defer connect(t, ns)()
	await.True(t, "the connection, by polling", func() bool {
		got := fetch(t, ns, "http://127.0.0.1:9099/api/v1/summary")
		return strings.Contains(got, `"events_available":false`) && strings.Contains(got, "CAP_NET_ADMIN") &&
			strings.Contains(got, `"connections":2`)
	})
	if got := fetch(t, ns, "http://127.0.0.1:9099/metrics"); !strings.Contains(
		got,
		`mptcp_monitor_engine_info{engine="none"} 1`,
	) {
		t.Errorf("metrics: %s", got)
	}
}
