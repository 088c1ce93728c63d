package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNothingOfOursRunsBeforeMain: a one-shot command costs little more than the start of a
// Go program, and each package that fills a variable before main makes every command dearer.
func TestNothingOfOursRunsBeforeMain(t *testing.T) {
	quick := exec.Command(filepath.Join(installed(t), "bin/mptcpctl"), "version")
	quick.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := quick.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", quick, err, out)
	}
	if !strings.Contains(string(out), "\ninit os ") {
		t.Fatalf("no trace of what runs before main:\n%s", out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "init mptcpctl/") {
			t.Errorf("runs before main: %s", line)
		}
	}
}
