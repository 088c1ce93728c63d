package lab_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
)

// actEnv makes the test program act as a process of the tests.
const actEnv = "MPTCPCTL_LAB_TEST_ACT"

// actAsProcess does what the tests' processes do, and returns in a test run.
func actAsProcess() {
	switch act := os.Getenv(actEnv); act {
	case "":
		return
	case "talk": // echo input lines, then say how it ended
		fmt.Println("started as", os.Args[0])
		fmt.Fprintln(os.Stderr, "complaint")
		for input := bufio.NewScanner(os.Stdin); input.Scan(); {
			fmt.Println("heard", input.Text())
		}
		fmt.Print("bye")
		os.Exit(3)
	case "signal":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT)
		fmt.Println("ready")
		fmt.Println("got", <-signals)
	case "parent": // start a child that would live on, and say its pid
		ns, err := lab.NewNamespace()
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		child, err := ns.StartProcess(
			context.Background(),
			lab.ProcessConfig{Args: []string{"/proc/self/exe"}, Env: actingAs("signal")},
		)
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("child", child.Pid())
		select {}
	}
	os.Exit(0)
}

func actingAs(act string) []string { return append(os.Environ(), actEnv+"="+act) }

func start(t *testing.T, c lab.ProcessConfig) *lab.Process {
	t.Helper()
	p, err := labtest.Namespace(t).StartProcess(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func waitLine(t *testing.T, p *lab.Process, text string) lab.Line {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	line, err := p.WaitLine(ctx, func(l lab.Line) bool { return strings.Contains(l.Text, text) })
	if err != nil {
		t.Fatalf("no line with %q: %v; lines %v", text, err, p.Lines())
	}
	return line
}

func TestProcessTalks(t *testing.T) {
	config := lab.ToolConfig([]string{"/proc/self/exe"})
	config.Stdin, config.Env = true, actingAs("talk")
	var seen []string
	config.OnLine = func(l lab.Line) { seen = append(seen, l.Text) }
	before := time.Now()
	p := start(t, config)
	if line := waitLine(t, p, "started as"); line.Text != "started as "+os.Args[0] || line.Time.Before(before) {
		t.Errorf("got %q at %v", line.Text, line.Time)
	}
	fmt.Fprintln(p, "one")
	waitLine(t, p, "heard one")
	if err := p.CloseInput(); err != nil {
		t.Error(err)
	}
	waitLine(t, p, "bye")
	code, err := p.Wait(t.Context())
	if code != 3 || err != nil {
		t.Errorf("exit code %d, %v", code, err)
	}
	if _, err := p.WaitLine(t.Context(), func(lab.Line) bool { return false }); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, want EOF", err)
	}
	if len(seen) != 4 || len(p.Lines()) != 4 {
		t.Errorf("OnLine saw %q, Lines %v", seen, p.Lines())
	}
	for _, line := range p.Lines() {
		if want := map[bool]lab.Stream{true: lab.Stderr, false: lab.Stdout}[line.Text == "complaint"]; line.Stream != want {
			t.Errorf("%q on stream %d", line.Text, line.Stream)
		}
	}
}

func TestProcessSignalAndClose(t *testing.T) {
	p := start(t, lab.ProcessConfig{Args: []string{"/proc/self/exe"}, Env: actingAs("signal")})
	waitLine(t, p, "ready")
	if err := p.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	waitLine(t, p, "got interrupt")
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestProcessIsKilled(t *testing.T) {
	p := start(t, lab.ProcessConfig{Args: []string{"/proc/self/exe"}, Env: actingAs("signal")})
	waitLine(t, p, "ready")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if code, err := p.Wait(t.Context()); code != 128+int(syscall.SIGKILL) || err != nil {
		t.Errorf("exit code %d, %v", code, err)
	}
}

func TestProcessEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := labtest.Namespace(t).
		StartProcess(ctx, lab.ProcessConfig{Args: []string{"/proc/self/exe"}, Env: actingAs("signal")})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	waitLine(t, p, "ready")
	if _, err := p.Wait(canceled()); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	cancel()
	if _, err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestProcessThatIsNotThere(t *testing.T) {
	_, err := labtest.Namespace(t).StartProcess(t.Context(), lab.ProcessConfig{Args: []string{"/nonexistent/program"}})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
}

// TestProcessDiesWithItsParent kills a parent that can clean nothing up.
func TestProcessDiesWithItsParent(t *testing.T) {
	parent := start(t, lab.ProcessConfig{Args: []string{"/proc/self/exe"}, Env: actingAs("parent")})
	line := waitLine(t, parent, "child")
	pid, err := strconv.Atoi(strings.TrimPrefix(line.Text, "child "))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Close(); err != nil {
		t.Fatal(err)
	}
	await.True(t, "child gone", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(status), ") Z ")
	})
}
