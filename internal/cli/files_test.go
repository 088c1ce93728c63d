package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const recordedExample = "../source/recording/testdata/6.18/redhat.pcapng"

// TestFilesThatExist has doctor write a bundle and record a recording where there is
// something already. What they write is its owner's alone; they overwrite on request
// only, and nothing by way of a link.
func TestFilesThatExist(t *testing.T) {
	for _, command := range [][]string{
		{"--replay", recordedExample, "doctor", "--bundle"},
		{"record", "for", "100ms"},
	} {
		dir := t.TempDir()
		name, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
		write := func(args ...string) (string, int) {
			_, errs, code := ranHere(t, append(command[:len(command):len(command)], args...)...)
			return errs, code
		}
		if command[0] == "record" {
			write = func(args ...string) (string, int) {
				_, errs, code := ranHere(t, append(append([]string{"record"}, args...), command[1:]...)...)
				return errs, code
			}
		}
		err := errors.Join(os.WriteFile(name, []byte("precious"), 0o666), os.Chmod(name, 0o666), os.Symlink(name, link))
		if err != nil {
			t.Fatal(err)
		}
		if errs, code := write(name); code == 0 || !strings.Contains(errs, "--force to overwrite it") {
			t.Errorf("%v: exit %d: %s", command, code, errs)
		}
		if errs, code := write(link, "--force"); code == 0 || !strings.Contains(errs, "symbolic link") {
			t.Errorf("%v by way of a link: exit %d: %s", command, code, errs)
		}
		if text, mode := state(t, name); text != "precious" || mode != 0o666 {
			t.Fatalf("%v: %q with mode %v", command, text, mode)
		}
		if errs, _ := write(name, "--force"); strings.Contains(errs, "mptcpctl: ") {
			t.Errorf("%v --force: %s", command, errs)
		}
		if text, mode := state(t, name); text == "precious" || mode != 0o600 {
			t.Errorf("%v --force: %d bytes with mode %v", command, len(text), mode)
		}
	}
}

func state(t *testing.T, name string) (text string, mode fs.FileMode) {
	t.Helper()
	b, err := os.ReadFile(name)
	info, errStat := os.Stat(name)
	if err = errors.Join(err, errStat); err != nil {
		t.Fatal(err)
	}
	return string(b), info.Mode().Perm()
}
