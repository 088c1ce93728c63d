package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const recording = "../../internal/source/recording/testdata/6.18/redhat.pcapng"

// installed builds both programs, the quick one into bin below a new folder and the whole
// one into whole, and returns the folder.
func installed(t *testing.T) (folder string) {
	t.Helper()
	compiler, err := exec.LookPath("go")
	if err != nil {
		t.Fatal("no Go toolchain to build the programs with: ", err)
	}
	folder = t.TempDir()
	for program, into := range map[string]string{"mptcpctl": "bin", "mptcpctl-full": "whole"} {
		build := exec.Command(
			compiler,
			"build",
			"-buildvcs=false",
			"-o",
			filepath.Join(folder, into, program),
			"../"+program,
		)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return folder
}

// place moves the whole program from one folder to another.
func place(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(from, "mptcpctl-full"), filepath.Join(to, "mptcpctl-full")); err != nil {
		t.Fatal(err)
	}
}

func run(program string, args ...string) (string, error) {
	out, err := exec.Command(program, args...).CombinedOutput()
	return string(out), err
}

// For the terminal view and the server the quick program becomes the whole one, from
// where that may be installed. All else, also help for these commands, works without it.
func TestQuickProgramBecomesTheWhole(t *testing.T) {
	folder := installed(t)
	quick, link := filepath.Join(folder, "bin/mptcpctl"), filepath.Join(folder, "mptcpctl")
	if err := os.Symlink(quick, link); err != nil {
		t.Fatal(err)
	}
	show := []string{"--replay", recording, "top", "--plain", "--count", "1"}
	batch := filepath.Join(folder, "batch")
	if err := os.WriteFile(batch, []byte(strings.Join(show, " ")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	for _, line := range [][]string{show, {"serve", "--listen", "127.0.0.1:0"}} {
		out, err := run(quick, line...)
		if err == nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "needs the program mptcpctl-full") ||
			!strings.Contains(out, "go build") {
			t.Errorf("%q without the whole program: %v, %q", line, err, out)
		}
	}
	for _, c := range []struct {
		want string
		line []string
	}{
		{"--allow-changes", []string{"help", "top"}},
		{".Dd", []string{"help", "--man", "serve"}},
		{"serve\t", []string{"completion", "words", "--", "ser"}},
		{"client", []string{"--replay", recording, "connection"}},
	} {
		if out, err := run(quick, c.line...); err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%q without the whole program: %v, want %q in %q", c.line, err, c.want, out)
		}
	}

	beside, behind := filepath.Join(folder, "bin"), filepath.Join(folder, "libexec/mptcpctl")
	at := filepath.Join(folder, "whole")
	for _, next := range []string{beside, behind} {
		place(t, at, next)
		at = next
		for _, program := range []string{quick, link} {
			if out, err := run(program, show...); err != nil || !strings.Contains(out, "connections") {
				t.Errorf("%s with the whole program in %s: %v, %q", program, next, err, out)
			}
		}
	}

	out, err := run(quick, "-batch", batch)
	if err == nil || !strings.Contains(out, "mptcpctl-full -batch "+batch) {
		t.Errorf("in a batch: %v, %q", err, out)
	}
	if out, err := run(filepath.Join(behind, "mptcpctl-full"), "-batch", batch); err != nil ||
		!strings.Contains(out, "connections") {
		t.Errorf("the whole program in a batch: %v, %q", err, out)
	}
}
