package force

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/lab/labtest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// forms are the ways in which a program may be run.
var forms = []string{"plain", "-v", "-weak"}

// flags returns the form as arguments of run.
func flags(form string, args ...string) []string {
	if form == "plain" {
		return args
	}
	return append([]string{form}, args...)
}

// TestSockets checks each kind of socket, as root, without CAP_SYS_ADMIN, and with
// a process in front.
func TestSockets(t *testing.T) {
	ns := labtest.MPTCP(t)
	const right = `inet: 262 cloexec=false nonblock=false
inet tcp: 262 cloexec=false nonblock=false
inet6: 262 cloexec=false nonblock=false
inet6 tcp cloexec: 262 cloexec=true nonblock=false
inet nonblock: 262 cloexec=false nonblock=true
inet both: 262 cloexec=true nonblock=true
mptcp: 262 cloexec=false nonblock=false
udp: 17 cloexec=false nonblock=false
udp6 cloexec: 17 cloexec=true nonblock=false
unix: 0 cloexec=false nonblock=false
netlink: 0 cloexec=false nonblock=false
`
	for _, form := range forms {
		t.Run(form, func(t *testing.T) {
			out, errs, code := newSession(t, ns).run(flags(form, "sockets")...)
			if !strings.HasPrefix(out, right) || code != 0 {
				t.Errorf("exit %d, %s\n%s", code, errs, cmp.Diff(right, out))
			}
			// What fails, fails with the kernel's own words, on every machine.
			rest := strings.TrimPrefix(out, right)
			if strings.Contains(rest, "262") || strings.Count(rest, "\n") != 3 ||
				!strings.Contains(rest, "bad kind: invalid argument") {
				t.Errorf("bad sockets: %q", rest)
			}
			if form != "-v" {
				want(t, "standard error", errs, "")
			}
		})
	}
}

// TestOrdinaryUser runs as a user that has no privilege at all.
func TestOrdinaryUser(t *testing.T) {
	ns := labtest.MPTCP(t)
	s := newSession(t, ns)
	if os.Getuid() == 0 && ownUsers(t) > 1 {
		s.user = &syscall.Credential{Uid: 65534, Gid: 65534}
		s.exe = publicCopy(t, s.exe)
	}
	out, errs, code := s.run("protocol")
	want(t, "protocol", out+errs, "262\n")
	want(t, "code", code, 0)
	out, _, _ = s.run("-weak", "privs")
	want(t, "no_new_privs without CAP_SYS_ADMIN", out, "true\n")
	if s.user == nil {
		out, _, _ = s.run("privs")
		want(t, "no_new_privs with CAP_SYS_ADMIN", out, "false\n")
	}
}

// ownUsers returns how many users the user namespace has.
func ownUsers(t *testing.T) (users int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	var inside, outside int
	if _, err := fmt.Sscan(string(b), &inside, &outside, &users); err != nil {
		t.Fatal(err)
	}
	return users
}

// publicCopy copies a program to where every user can execute it.
func publicCopy(t *testing.T, exe string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "force")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "force.test")
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestStorm makes thousands of sockets on many threads, each of which must be
// right, while the supervisor is signalled, stopped and continued all the time.
func TestStorm(t *testing.T) {
	ns := labtest.MPTCP(t)
	for _, disturb := range [][]syscall.Signal{nil, {syscall.SIGURG}, {syscall.SIGSTOP, syscall.SIGCONT}} {
		t.Run(fmt.Sprint(disturb), func(t *testing.T) {
			s := newSession(t, ns)
			cmd := s.command("storm", "24", "250")
			out, err1 := cmd.StdoutPipe()
			hold, err2 := cmd.StdinPipe()
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = os.Stderr
			if err := ns.Start(cmd); err != nil {
				t.Fatal(err)
			}
			read := make(chan string, 1)
			go func() { b, _ := io.ReadAll(out); read <- string(b) }()
			var pids []int
			if disturb != nil {
				s.await("supervisor", func() bool { pids = s.supervisors(); return len(pids) > 0 })
			}
			hold.Close() // not before there is somebody to disturb
			for {
				select {
				case got := <-read:
					want(t, "sockets", got, "6000 map[]\n")
					if err := cmd.Wait(); err != nil {
						t.Error(err)
					}
					s.awaitEnd()
					return
				default:
				}
				for _, pid := range pids {
					for _, n := range disturb {
						_ = syscall.Kill(pid, n) // it may be over
					}
				}
				time.Sleep(100 * time.Microsecond) // a storm that leaves room for work
				if pids == nil {
					got := <-read
					read <- got
				}
			}
		})
	}
}

// TestExit checks exit codes, those of run itself among them.
func TestExit(t *testing.T) {
	ns := labtest.MPTCP(t)
	noExec := filepath.Join(t.TempDir(), "plain")
	script := filepath.Join(t.TempDir(), "script")
	broken := filepath.Join(t.TempDir(), "broken")
	for file, text := range map[string]string{noExec: "x", script: "echo $0 $1\nexit 5\n", broken: "#!/nonexistent/shell\n"} {
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(noExec, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		code int
		out  string
	}{
		{"zero", []string{"exit", "0"}, 0, ""},
		{"seven", []string{"exit", "7"}, 7, ""},
		{"killed", []string{"kill", "9"}, 137, ""},
		{"terminated", []string{"kill", "15"}, 143, ""},
		{"not found", []string{"exec", "no-such-program-anywhere"}, 127, ""},
		{"no such file", []string{"exec", "/nonexistent/program"}, 127, ""},
		{"not executable", []string{"exec", noExec}, 126, ""},
		{"directory", []string{"exec", "/"}, 126, ""},
		{"no interpreter", []string{"exec", broken}, 127, ""},
		{"script without interpreter", []string{"exec", script, "a"}, 5, script + " a\n"},
		{"grandchild", []string{"child", "child", "protocol"}, 0, "262\n"},
	}
	for _, tt := range tests {
		for _, form := range []string{"plain", "-v"} {
			t.Run(tt.name+" "+form, func(t *testing.T) {
				out, errs, code := newSession(t, ns).run(flags(form, tt.args...)...)
				want(t, "output", out, tt.out)
				want(t, "code ("+errs+")", code, tt.code)
			})
		}
	}
}

// TestFacts checks that the program finds its place as without run: its own group
// and session, its directory, no child that it does not know, the files that it
// was given, and its environment.
func TestFacts(t *testing.T) {
	ns := labtest.MPTCP(t)
	for _, form := range []string{"plain", "-v"} {
		t.Run(form, func(t *testing.T) {
			s := newSession(t, ns)
			dir := t.TempDir()
			null, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer null.Close()
			look := func(cmd *exec.Cmd) string {
				var out strings.Builder
				cmd.Dir, cmd.Stdout, cmd.ExtraFiles = dir, &out, []*os.File{null, null, null}
				if err := ns.Start(cmd); err != nil {
					t.Fatal(err)
				}
				if err := cmd.Wait(); err != nil {
					t.Fatal(err)
				}
				return out.String()
			}
			direct := exec.Command(s.exe, "run-program", "facts")
			direct.Env = s.env()
			alone := look(direct)
			if !strings.Contains(alone, "open 5\n") || !strings.Contains(alone, dir) {
				t.Fatalf("the program shows nothing: %q", alone)
			}
			if diff := cmp.Diff(alone, look(s.command(flags(form, "facts")...))); diff != "" {
				t.Errorf("without run -, with run +:\n%s", diff)
			}
			s.awaitEnd()
		})
	}
}

// TestSignals passes a signal to the program.
func TestSignals(t *testing.T) {
	ns := labtest.MPTCP(t)
	for _, form := range []string{"plain", "-v"} {
		for _, n := range []syscall.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGUSR1, unix.SIGWINCH} {
			t.Run(form+" "+unix.SignalName(n), func(t *testing.T) {
				s := newSession(t, ns)
				cmd := s.command(flags(form, "trap")...)
				cmd.SysProcAttr.Setsid = true // no terminal: nobody else sends it to the program
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := ns.Start(cmd); err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewReader(out)
				if line, err := lines.ReadString('\n'); err != nil || line != "ready\n" {
					t.Fatalf("%q, %v", line, err)
				}
				if err := cmd.Process.Signal(n); err != nil {
					t.Fatal(err)
				}
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				want(t, "signal", line, n.String()+"\n")
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
				s.awaitEnd()
			})
		}
	}
}

// TestStopped stops with the program on a terminal, and continues it.
func TestStopped(t *testing.T) {
	ns := labtest.MPTCP(t)
	for _, form := range []string{"plain", "-v"} {
		t.Run(form, func(t *testing.T) {
			s := newSession(t, ns)
			master, slave := terminal(t)
			cmd := s.command(flags(form, "stop")...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
			cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
			if err := ns.Start(cmd); err != nil {
				t.Fatal(err)
			}
			slave.Close()
			go func() { _, _ = io.Copy(io.Discard, master) }()
			status, err := wait(cmd.Process.Pid, syscall.WUNTRACED)
			if err != nil || !status.Stopped() {
				t.Fatalf("status %#x, %v; want stopped", int(status), err)
			}
			if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			want(t, "code", cmd.ProcessState.ExitCode(), 3)
			s.awaitEnd()
		})
	}
}

// terminal opens a new pseudo-terminal.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}
