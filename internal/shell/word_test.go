package shell_test

import (
	"os/exec"
	"strings"
	"testing"

	"mptcpctl/internal/shell"

	"pgregory.net/rapid"
)

func TestWord(t *testing.T) {
	for in, want := range map[string]string{
		"eth0": "eth0", "eth0.7@x": "eth0.7@x", "10.0.0.1%eth0": "10.0.0.1%eth0",
		"a b": "'a b'", "$(x)": "'$(x)'", "it's": `'it'\''s'`, "": "''", "~": "'~'", "a=b": "'a=b'",
	} {
		if got := shell.Word(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// A shell takes each word as it was.
func TestShellReadsWordsBack(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[ -~\n\t]{0,8}`), 1, 20).Draw(t, "words")
		script := "printf '%s\\0'"
		for _, w := range words {
			script += " " + shell.Word(w)
		}
		out, err := exec.Command(sh, "-c", script).Output()
		if want := strings.Join(words, "\x00") + "\x00"; err != nil || string(out) != want {
			t.Fatalf("%s: got %q, %v, want %q", script, out, err, want)
		}
	})
}
