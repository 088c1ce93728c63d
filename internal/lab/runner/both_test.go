package runner_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/runner"
	"mptcpctl/internal/lab/scenario"
)

// What `lab both` shows ends with what was expected and found.
func TestBoth(t *testing.T) {
	labtest.MPTCP(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "mptcpctl") // the name tells TestMain what to be
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"both-plain-server", "both-healthy"} {
		b, ok := scenario.FindBoth(name)
		if !ok {
			t.Fatal(name)
		}
		var out bytes.Buffer
		r := &runner.Runner{Program: []string{program}, Out: &out, Stderr: &out}
		err := r.Both(t.Context(), b)
		labtest.SkipMissing(t, err)
		if err != nil || !strings.Contains(out.String(), "doctor --peer ") || !strings.Contains(out.String(), "Expected ") {
			t.Errorf("%s: %v\n%s", name, err, out.String())
		}
	}
}
