package force

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// TestSwitchedOff gives TCP where MPTCP is off, and says so once.
func TestSwitchedOff(t *testing.T) {
	ns := labtest.MPTCP(t)
	err := ns.Do(func() error { return os.WriteFile("/proc/sys/net/mptcp/enabled", []byte("0"), 0) })
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Do(Check); !errors.Is(err, mptcp.ErrDisabled) {
		t.Errorf("Check: %v, want ErrDisabled", err)
	}
	const notice = "run: MPTCP is disabled (sysctl net.mptcp.enabled=0): the program gets TCP\n"
	for _, form := range []string{"plain", "-v", "-weak"} {
		s := newSession(t, ns)
		out, errs, code := s.run(flags(form, "storm", "2", "20")...)
		if !strings.Contains(out, "0 map[") || !strings.Contains(out, "protocol 6") || code != 0 {
			t.Errorf("%s: %q, exit %d; want 40 TCP sockets", form, out, code)
		}
		if strings.Count(errs, notice) != 1 {
			t.Errorf("%s: standard error %q; want the notice once", form, errs)
		}
	}
	if out, errs, _ := newSession(t, ns).run("exec", "true"); out+errs != "" {
		t.Errorf("a program without sockets: %q; want silence", out+errs)
	}
}

// TestCheck finds everything there.
func TestCheck(t *testing.T) {
	if err := labtest.MPTCP(t).Do(Check); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// TestNested runs run in run: one supervisor serves, and nothing is said.
func TestNested(t *testing.T) {
	s := newSession(t, labtest.MPTCP(t))
	out, errs, code := s.run("exec", s.exe, "run-command", s.exe, "run-program", "protocol")
	want(t, "inner protocol", out, "262\n")
	want(t, "standard error", errs, "")
	want(t, "code", code, 0)
	out, errs, _ = s.run("exec", s.exe, "run-command", "-v", s.exe, "run-program", "protocol")
	want(t, "inner protocol", out, "262\n")
	if !strings.Contains(errs, "another supervisor served this program") {
		t.Errorf("report %q; want that another supervisor served", errs)
	}
}

// TestOrphan leaves a process behind: run ends with the program, its pipes end with
// it, and the process still gets MPTCP; then the supervisor ends.
func TestOrphan(t *testing.T) {
	ns := labtest.MPTCP(t)
	for _, form := range []string{"plain", "-v"} {
		t.Run(form, func(t *testing.T) {
			s := newSession(t, ns)
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := unix.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := s.command(flags(form, "orphan", fifo)...)
			var errs strings.Builder
			cmd.Stderr = &errs // a pipe: Wait waits for its end
			if err := ns.Start(cmd); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			want(t, "supervisors", len(s.supervisors()), 1)
			for _, pid := range s.supervisors() {
				for _, n := range []syscall.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGINT} {
					_ = syscall.Kill(pid, n) // none of its concern
				}
			}
			b, err := os.ReadFile(fifo)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "orphan's protocol", string(b), "262")
			s.awaitEnd()
			if told := strings.Contains(errs.String(), "continue with MPTCP"); told != (form == "-v") {
				t.Errorf("report %q", errs.String())
			}
		})
	}
}

// TestElsewhere checks sockets of a program that goes to another network namespace:
// they belong there, or are TCP where the supervisor cannot follow.
func TestElsewhere(t *testing.T) {
	ns := labtest.MPTCP(t)
	out, errs, _ := newSession(t, ns).run("elsewhere")
	want(t, "with CAP_SYS_ADMIN: protocol, and in its namespace", out+errs, "262 true\n")
	out, errs, _ = newSession(t, ns).run("-weak", "elsewhere-user")
	want(t, "without: protocol", out, "6\n")
	if !strings.Contains(errs, "another network namespace") {
		t.Errorf("notice %q", errs)
	}
}

// TestDropped checks that sockets belong to the user that the program has become.
func TestDropped(t *testing.T) {
	ns := labtest.MPTCP(t)
	user := "65534"
	if os.Getuid() != 0 || ownUsers(t) == 1 {
		user = "0" // there is no other
	}
	out, errs, _ := newSession(t, ns).run("dropped", user)
	want(t, "protocol and user", out+errs, "262 "+user+"\n")
}

// TestCredentials compares the two ways to find a thread's user.
func TestCredentials(t *testing.T) {
	c := newCaller(uint32(unix.Gettid()))
	uid, gid, err := c.credentialsFromProc()
	if err != nil || uid != os.Geteuid() || gid != os.Getegid() {
		t.Errorf("from /proc: %d %d %v; want %d %d", uid, gid, err, os.Geteuid(), os.Getegid())
	}
	if uid, gid, err = c.credentials(); err != nil || uid != os.Geteuid() || gid != os.Getegid() {
		t.Errorf("%d %d %v; want %d %d", uid, gid, err, os.Geteuid(), os.Getegid())
	}
	if _, _, err := newCaller(1 << 30).credentials(); err == nil {
		t.Error("credentials of no thread")
	}
}

// TestFull checks that a program without descriptors hears so, and goes on.
func TestFull(t *testing.T) {
	out, errs, _ := newSession(t, labtest.MPTCP(t)).run("full")
	want(t, "sockets", out+errs, "too many open files\n262\n")
}

// TestStaticProgram builds a static Go program that knows nothing of MPTCP, and
// lets it talk to itself.
func TestStaticProgram(t *testing.T) {
	ns := labtest.MPTCP(t)
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no Go toolchain to build the program with")
	}
	exe := filepath.Join(t.TempDir(), "static")
	build := exec.Command(tool, "build", "-o", exe, "./testdata/static")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if b, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	for _, form := range forms {
		out, errs, code := newSession(t, ns).run(flags(form, "exec", exe)...)
		want(t, form+" output", out, "hello true <nil>\n")
		want(t, form+" code ("+errs+")", code, 0)
	}
}

// TestPython runs an interpreter that forks and starts threads.
func TestPython(t *testing.T) {
	ns := labtest.MPTCP(t)
	python, err := exec.LookPath("python3")
	if err == nil {
		err = exec.Command(python, "-c", "").Run()
	}
	if err != nil {
		t.Skipf("python3 does not run here: %v", err)
	}
	const script = `
import os, socket, threading
def p(n): print(n, socket.socket().getsockopt(socket.SOL_SOCKET, 38), flush=True)
p("main")
t = threading.Thread(target=p, args=("thread",)); t.start(); t.join()
if os.fork() == 0:
    p("child"); os._exit(0)
os.wait()
s = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(s.getsockname()); a = s.accept()[0]
a.sendall(b"hello"); print(c.recv(5).decode())
`
	out, errs, code := newSession(t, ns).run("exec", python, "-c", script)
	want(t, "output", out, "main 262\nthread 262\nchild 262\nhello\n")
	want(t, "code ("+errs+")", code, 0)
}

// TestShell runs a pipeline of a shell.
func TestShell(t *testing.T) {
	s := newSession(t, labtest.MPTCP(t))
	line := fmt.Sprintf("cat | tr a-z A-Z; %q run-program protocol; exit 4", s.exe)
	cmd := s.command("exec", "/bin/sh", "-c", line)
	var out strings.Builder
	cmd.Stdin, cmd.Stdout = strings.NewReader("through\n"), &out
	if err := s.ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	want(t, "output", out.String(), "THROUGH\n262\n")
	want(t, "code", cmd.ProcessState.ExitCode(), 4)
	s.awaitEnd()
}

// TestReported reports each socket, also of short-lived children.
func TestReported(t *testing.T) {
	s := newSession(t, labtest.MPTCP(t))
	_, errs, code := s.run("-v", "storm", "8", "100")
	want(t, "code", code, 0)
	name := filepath.Base(s.exe)
	name = name[:min(len(name), 15)] + "[" // as much as the kernel keeps of it
	if !strings.HasPrefix(errs, "run: 800 TCP sockets asked for, 800 made with MPTCP\n") ||
		strings.Count(errs, name) != 800 {
		t.Errorf("report of %d lines begins %.200q", strings.Count(errs, "\n"), errs)
	}
	_, errs, _ = s.run("-v", "exit", "0")
	want(t, "report", errs, "run: the program asked for no TCP socket\n")
}
