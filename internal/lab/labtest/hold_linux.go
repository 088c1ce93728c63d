package labtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// holdEnv makes the test binary a process that only holds its descriptors until its
// standard input ends.
const holdEnv = "MPTCPCTL_TEST_HOLD"

// Hold starts a process that holds the files until the test has ended, and returns
// its process id. Start starts the command, for example in a namespace. The process
// is ready when Hold returns: a process that has just been started still has, for a
// moment, its parent's name and its parent's descriptors.
func Hold(t testing.TB, start func(*exec.Cmd) error, files ...*os.File) (pid int) {
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

// holdIfAsked is the process that Hold starts; it does not return there.
func holdIfAsked() {
	if os.Getenv(holdEnv) == "" {
		return
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}
