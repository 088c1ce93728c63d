package managers_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"mptcpctl/internal/managers"
	"mptcpctl/mptcp"
)

// proc makes a procfs of processes, each with its name and its namespace; without one
// it has ended.
func proc(t *testing.T, processes map[int][2]string) string {
	t.Helper()
	root := t.TempDir()
	for pid, p := range processes {
		dir := filepath.Join(root, strconv.Itoa(pid))
		if err := os.MkdirAll(filepath.Join(dir, "ns"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "comm"), []byte(p[0]+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if p[1] == "" {
			continue
		}
		if err := os.Symlink(p[1], filepath.Join(dir, "ns/net")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("7", filepath.Join(root, "thread-self")); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestFind(t *testing.T) {
	root := proc(t, map[int][2]string{
		7:  {"mptcpctl", "net:[1]"},
		8:  {"NetworkManager", "net:[1]"},
		9:  {"mptcpd", "net:[2]"},
		10: {"mptcpd", ""},
		11: {"NetworkManagerX", "net:[1]"},
		12: {"systemd-network", "net:[1]"}, // systemd-networkd: 15 bytes of it
	})
	found, err := managers.Find(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if want := []mptcp.Process{{PID: 8, Name: "NetworkManager"}}; !slices.Equal(found.Here, want) {
		t.Errorf("here %v, want %v", found.Here, want)
	}
	want := []managers.Elsewhere{{Process: mptcp.Process{PID: 9, Name: "mptcpd"}, Netns: "net:[2]"}}
	if !slices.Equal(found.Elsewhere, want) {
		t.Errorf("elsewhere %v, want %v", found.Elsewhere, want)
	}
	if len(found.Maybe) > 0 {
		t.Errorf("maybe %v: the process has ended", found.Maybe)
	}
	if _, err := managers.Find(t.Context(), filepath.Join(root, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without procfs: %v", err)
	}
}
