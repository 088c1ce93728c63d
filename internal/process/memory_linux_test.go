package process

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGroupLimit(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("cgroup", "12:cpu:/elsewhere\n0::/system.slice/mptcpctl.service\n")
	limit := func() int64 { return groupLimit(filepath.Join(dir, "cgroup"), filepath.Join(dir, "fs")) }
	if n := limit(); n != 0 {
		t.Errorf("without a limit: %d", n)
	}
	write("fs/system.slice/mptcpctl.service/memory.max", "536870912\n")
	write("fs/system.slice/memory.max", "max\n")
	if n := limit(); n != 512<<20 {
		t.Errorf("the group's own: %d", n)
	}
	write("fs/system.slice/memory.max", "1000000\n")
	if n := limit(); n != 1000000 {
		t.Errorf("that of the group around it: %d", n)
	}
	write("cgroup", "12:cpu:/elsewhere\n")
	if n := limit(); n != 0 {
		t.Errorf("without the unified hierarchy: %d", n)
	}
}
