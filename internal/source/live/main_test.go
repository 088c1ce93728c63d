package live_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/pathmanager"
)

// listenEnv makes the test binary a program of that name that listens to events.
const listenEnv = "MPTCPCTL_SOURCE_TEST_LISTEN"

// TestMain is also the main of the forger and of the listener, which tests start
// from this binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == forgerArg {
		os.Exit(forger())
	}
	if name := os.Getenv(listenEnv); name != "" {
		listenForever(name)
	}
	labtest.Main(m)
}

func listenForever(name string) {
	err := os.WriteFile("/proc/self/comm", []byte(name), 0)
	var l *pathmanager.Listener
	if err == nil {
		l, err = pathmanager.Listen(nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer l.Close()
	time.Sleep(time.Hour) // it is killed before
}

// startListener starts another process that listens to events in the namespace.
func startListener(t *testing.T, ns *lab.Namespace) *exec.Cmd { return startNamed(t, ns, "listener") }

// startNamed starts a listener that goes by the name.
func startNamed(t *testing.T, ns *lab.Namespace, name string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := ns.Command(t.Context(), self)
	cmd.Env = append(os.Environ(), listenEnv+"="+name)
	cmd.Stderr = os.Stderr
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed, or waited for
	})
	return cmd
}
