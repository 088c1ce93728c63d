package counters

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The few files that PathManager reads say what all of them do.
func TestReaderPathManager(t *testing.T) {
	for name, settings := range map[string]map[string]string{
		"path_manager":       {"path_manager": "userspace", "pm_type": "0"},
		"pm_type":            {"pm_type": "1", "enabled": "1"},
		"before Linux 5.19":  {"enabled": "1"},
		"pm_type is no word": {"pm_type": "x"},
	} {
		root := t.TempDir()
		dir := filepath.Join(root, "sys", "net", "mptcp")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range settings {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r := New(root)
		all, wrong := r.Sysctls()
		got, err := r.PathManager()
		if (err != nil) != (wrong != nil) || err == nil && got != all.PathManagerName() {
			t.Errorf("%s: %q, %v; all settings say %q, %v", name, got, err, all.PathManagerName(), wrong)
		}
	}
	if _, err := New(t.TempDir()).PathManager(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a kernel without MPTCP: %v", err)
	}
}
