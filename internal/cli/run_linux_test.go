package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
)

// A network for programs that know nothing of MPTCP: the client has an endpoint on
// its second link, so that a connection with MPTCP gets a second subflow.
const (
	runServer = "10.0.1.1"
	echoPort  = "7007"
	webPort   = "8080"
)

// runPrograms are the foreign programs. Each says hello to the server, prints the
// answer and stays connected until its input ends.
func runPrograms(t *testing.T) []foreign {
	const threads = `
import socket, sys, threading
def one(hold):
    c = socket.create_connection(("` + runServer + `", ` + echoPort + `)); c.sendall(b"hello\n")
    c.recv(6); hold.append(c); ready.release(); done.wait()
ready, done, hold = threading.Semaphore(0), threading.Event(), []
crowd = [threading.Thread(target=one, args=(hold,)) for i in range(32)]
for c in crowd: c.start()
for c in crowd: ready.acquire()
print("hello", flush=True); sys.stdin.read(); done.set()
`
	const single = `
import socket, sys
c = socket.create_connection(("` + runServer + `", ` + echoPort + `)); c.sendall(b"hello\n")
print(c.recv(6).decode().strip(), flush=True); sys.stdin.read()
`
	python := "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		python = "python3"
	}
	return []foreign{
		{name: "python", argv: []string{python, "-c", single}, report: true},
		{name: "threads", argv: []string{python, "-c", threads}, connections: 32},
		{
			name:        "curl",
			argv:        []string{"curl", "-sS", "-N", "http://" + runServer + ":" + webPort + "/"},
			untilServer: true,
		},
		{name: "netcat-openbsd", argv: []string{"nc.openbsd", "-N", runServer, echoPort}, input: "hello\n"},
		{name: "ncat", argv: []string{"ncat", runServer, echoPort}, input: "hello\n"},
		{name: "static Go", argv: []string{buildStatic(t), runServer + ":" + echoPort}},
	}
}

type foreign struct {
	name        string
	argv        []string
	input       string
	connections int  // 0: one
	untilServer bool // it ends when the server does, not with its input
	report      bool // see that the report tells of the second subflow
}

// buildStatic builds a static program, where everybody may execute it.
func buildStatic(t *testing.T) string {
	t.Helper()
	compiler, err := exec.LookPath("go")
	if err != nil {
		labtest.Skip(t, "no Go toolchain to build the static program with")
	}
	path := filepath.Join(openDirectory(t), "static")
	build := exec.Command(compiler, "build", "-o", path, "./testdata/static")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// openDirectory returns a folder that every user can enter.
func openDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mptcpctl-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// publicTool copies this program to where every user can execute it.
func publicTool(t *testing.T) string {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path := filepath.Join(openDirectory(t), "mptcpctl")
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if closed := to.Close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
	return path
}

// ordinary returns the words in front of a command that make it one of an ordinary
// user's: of nobody where there are other users, and without the capability that
// makes seccomp free everywhere.
func ordinary(t *testing.T) []string {
	t.Helper()
	if _, err := exec.LookPath("setpriv"); err != nil {
		labtest.Skip(t, "no setpriv")
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(strings.TrimSpace(string(users)), "4294967295") {
		return []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}
	}
	return []string{"setpriv", "--bounding-set", "-sys_admin"}
}

// runWorld builds the network, with servers in it.
func runWorld(t *testing.T, ctx context.Context) (client *lab.Host, hangUp func()) {
	t.Helper()
	labtest.MPTCP(t)
	topology := findTopology(t, "two-subnets")
	l, err := lab.Build(ctx, topology)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for _, spec := range topology.Hosts {
		for _, args := range spec.Commands() {
			if out, code, err := l.Host(spec.Name).RunProcess(ctx, tool(args...)); err != nil || code != 0 {
				t.Fatalf("%v: exit %d, %v: %v", args, code, err, out)
			}
		}
	}
	server := l.Host(lab.ServerHost)
	echo, err := lab.Serve(ctx, server.Namespace, netip.MustParseAddrPort(runServer+":"+echoPort), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })
	return l.Host(lab.ClientHost), serveWeb(t, ctx, server)
}

// serveWeb starts a web server that says hello, and hangs up when told.
func serveWeb(t *testing.T, ctx context.Context, server *lab.Host) (hangUp func()) {
	t.Helper()
	var listener net.Listener
	err := server.Do(func() (err error) {
		var config net.ListenConfig
		config.SetMultipathTCP(true)
		listener, err = config.Listen(ctx, "tcp", runServer+":"+webPort)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{}, 1)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-end:
		case <-r.Context().Done():
		}
	})}
	go func() { _ = web.Serve(listener) }()
	t.Cleanup(func() { web.Close() })
	return func() { end <- struct{}{} }
}

// TestRunPrograms lets programs that know nothing of MPTCP have it, and a second
// subflow, as the test's user and as an ordinary one.
func TestRunPrograms(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	client, hangUp := runWorld(t, ctx)
	path := publicTool(t)
	for _, program := range runPrograms(t) {
		for _, user := range []struct {
			name  string
			words []string
		}{{"this user", nil}, {"ordinary user", ordinary(t)}} {
			t.Run(program.name+", "+user.name, func(t *testing.T) {
				if _, err := exec.LookPath(program.argv[0]); err != nil {
					labtest.Skip(t, "no %s", program.argv[0])
				}
				argv := append(append(append([]string{}, user.words...), path, "run", "-v", "--"), program.argv...)
				p := started(t, client.Namespace, lab.ProcessConfig{Args: argv, Stdin: true})
				runOne(t, ctx, client, p, program, hangUp)
			})
		}
	}
}

// runOne follows a program through its life.
func runOne(t *testing.T, ctx context.Context, client *lab.Host, p *lab.Process, program foreign, hangUp func()) {
	t.Helper()
	if _, err := p.Write([]byte(program.input)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.WaitLine(ctx, func(l lab.Line) bool { return l.Text == "hello" }); err != nil {
		t.Fatalf("no answer: %v: %v", err, p.Lines())
	}
	want := max(program.connections, 1)
	await.True(t, "a second subflow each", func() bool {
		n := 0
		for _, c := range show(t, ctx, client) {
			if c.Remote.Addr().String() == runServer && !c.Fallback && len(c.Subflows) == 2 {
				n++
			}
		}
		return n == want
	})
	if program.report {
		time.Sleep(3 * time.Second) // twelve looks of the observer, which shows no sign of them
	}
	if program.untilServer {
		hangUp()
	}
	if err := p.CloseInput(); err != nil {
		t.Fatal(err)
	}
	code, err := p.Wait(ctx)
	_, errs := texts(p.Lines())
	if err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s", code, err, errs)
	}
	if program.report && !strings.Contains(errs, "MPTCP, 2 subflows") {
		t.Errorf("the report does not tell of two subflows:\n%s", errs)
	}
	if strings.Contains(errs, "fell back") || !strings.Contains(errs, fmt.Sprintf("%d made with MPTCP", want)) {
		t.Errorf("report: %s", errs)
	}
	await.True(t, "the connections to end", func() bool { return len(show(t, ctx, client)) == 0 })
}

// TestRunProcedure runs Red Hat's procedure with the system's own netcats.
func TestRunProcedure(t *testing.T) {
	t.Parallel()
	labtest.MPTCP(t)
	self := toolPath(t)
	for nc, flags := range map[string]string{
		"nc.openbsd": "",
		"ncat":       "--no-shutdown", // the server's input is empty, which is no reason to hang up
	} {
		t.Run(nc, func(t *testing.T) {
			if _, err := exec.LookPath(nc); err != nil {
				labtest.Skip(t, "no %s", nc)
			}
			ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
			defer cancel()
			script := `self=$1; nc=$2; flags=$3; shift 3; case $1 in nc) shift; exec "$self" run "$nc" $flags "$@";; *) exec "$self" "$@";; esac`
			var told strings.Builder
			report, err := procedure.Run(
				ctx,
				procedure.TextNarrator(&told),
				[]string{"sh", "-c", script, "tool", self, nc, flags},
			)
			if err != nil || !report.OK() {
				var table strings.Builder
				_ = report.WriteTable(&table)
				t.Errorf("%v\n%s\n%s", err, table.String(), told.String())
			}
		})
	}
}
