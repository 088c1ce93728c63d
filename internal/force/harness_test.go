package force

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/lab"
)

// enough is how long a command may take, on a machine that does much else too.
const enough = 2 * time.Minute

// session is one use of `run`, under a mark by which its supervisor is known.
type session struct {
	t    *testing.T
	ns   *lab.Namespace
	exe  string
	user *syscall.Credential
	mark string
}

func newSession(t *testing.T, ns *lab.Namespace) *session {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &session{t: t, ns: ns, exe: exe, mark: fmt.Sprintf("FORCE_TEST_MARK=%d.%s", os.Getpid(), t.Name())}
}

// command returns `run FLAGS… PROGRAM…`: flags begin with a dash, the rest are the
// arguments of this binary's program, or, after "exec", a command.
func (s *session) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	s.t.Cleanup(cancel)
	argv := []string{"run-command"}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		argv, args = append(argv, args[0]), args[1:]
	}
	if args[0] == "exec" {
		argv = append(argv, args[1:]...)
	} else {
		argv = append(append(argv, s.exe, "run-program"), args...)
	}
	cmd := exec.CommandContext(ctx, s.exe, argv...)
	cmd.Env = s.env()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	return cmd
}

// env is the environment of what a session runs: with its mark, and without the
// second that the race detector has each process wait at its end.
func (s *session) env() []string { return append(os.Environ(), s.mark, "GORACE=atexit_sleep_ms=0") }

// run runs the command to its end, and waits until its supervisor is gone too.
func (s *session) run(args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	cmd := s.command(args...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if e := s.ns.Start(cmd); e != nil {
		s.t.Fatal(e)
	}
	_ = cmd.Wait() // the exit code says it
	s.awaitEnd()
	return out.String(), err.String(), exitCode(cmd.ProcessState.Sys().(syscall.WaitStatus))
}

// awaitEnd waits until no supervisor of the session is left.
func (s *session) awaitEnd() {
	s.t.Helper()
	s.await("end of the supervisor", func() bool { return len(s.supervisors()) == 0 })
}

// await waits until something holds.
func (s *session) await(what string, holds func() bool) {
	s.t.Helper()
	for end := time.Now().Add(enough); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("no %s within %v", what, enough)
		}
	}
}

// supervisors returns the processes of the session's supervisors.
func (s *session) supervisors() (pids []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e.Name(), "%d", &pid); err != nil {
			continue
		}
		argv, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if !bytes.HasPrefix(argv, []byte(supervisorName+"\x00")) {
			continue
		}
		env, _ := os.ReadFile("/proc/" + e.Name() + "/environ")
		for v := range bytes.SplitSeq(env, []byte{0}) {
			if string(v) == s.mark {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// want compares what a command did.
func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
