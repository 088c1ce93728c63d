package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab/labtest"
)

// endingTime is how long a command may take to end after a signal.
const endingTime = 2 * time.Second

// TestSignalsEndEveryCommand sends SIGTERM and SIGINT to each command that goes on until
// then, while it does so.
func TestSignalsEndEveryCommand(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.toml")
	if err := os.WriteFile(policy, []byte("[limits]\nsubflows = 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, args := range [][]string{
		{"monitor"}, {"monitor", "-d"}, {"-a", "monitor"}, {"-j", "monitor"},
		{"counters", "watch"}, {"doctor", "--watch"}, {"doctor", "--window", "1m"}, {"-a", "doctor", "--window", "1m"},
		{"wait", "event", "CREATED"}, {"top", "--plain"}, {"-a", "top", "--plain"}, {"nc", "-l", "-p", "7777"},
		{"serve", "--listen", "127.0.0.1:0"}, {"-a", "serve", "--listen", "127.0.0.1:0"},
		{"policy", "watch", "--state", filepath.Join(dir, "state"), policy},
		{"record", filepath.Join(dir, "RECORDING")}, {"-a", "record", filepath.Join(dir, "RECORDING")},
	} {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(fmt.Sprint(strings.Join(args, " "), " ", signal), func(t *testing.T) {
				t.Parallel()
				own := append([]string(nil), args...)
				for k := range own {
					own[k] = strings.ReplaceAll(own[k], "RECORDING", fmt.Sprintf("r%d-%d", i, signal))
				}
				p := started(t, labtest.MPTCP(t), tool(own...))
				catches(t, p.Pid(), signal)
				began := time.Now()
				if err := syscall.Kill(p.Pid(), signal); err != nil {
					t.Fatal(err)
				}
				if _, err := p.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > endingTime {
					t.Errorf("it took %v to end", took)
				}
			})
		}
	}
}

// settled is how long a command is let alone: then it is past its start, and in the middle
// of what it does until it is ended.
const settled = 400 * time.Millisecond

// catches waits until the process has settled, waits for something and catches the signal.
func catches(t *testing.T, pid int, signal syscall.Signal) {
	t.Helper()
	began := time.Now()
	await.True(t, "the program to be at work", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "SigCgt:\t")
		mask, err := strconv.ParseUint(strings.Fields(rest)[0], 16, 64)
		return err == nil && time.Since(began) > settled && mask&(1<<(signal-1)) != 0 &&
			strings.Contains(string(status), "State:\tS")
	})
}
