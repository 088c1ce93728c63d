package hostnet_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"mptcpctl/internal/lab/labtest"
)

// holdEnv makes the test binary a process that only holds its descriptors until
// its standard input ends. It says so: a process that has just been started still
// has, for a moment, its parent's name and its parent's descriptors.
const holdEnv = "MPTCPCTL_TEST_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(holdEnv) != "" {
		fmt.Println("ready")
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			os.Exit(1)
		}
		return
	}
	labtest.Main(m)
}

// hold starts a process that holds the files until the test has ended, and returns
// its number.
func hold(t *testing.T, start func(*exec.Cmd) error, files ...*os.File) (pid int) {
	t.Helper()
	child := exec.Command("/proc/self/exe")
	child.Env = append(os.Environ(), holdEnv+"=1")
	child.ExtraFiles = files
	in, err1 := child.StdinPipe()
	out, err2 := child.StdoutPipe()
	if err := errors.Join(err1, err2, start(child)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		child.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the process says %q: %v", line, err)
	}
	return child.Process.Pid
}
