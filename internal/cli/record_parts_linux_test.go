package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/source/recording"
)

// TestRecordInParts records dumps into files of a bounded size: the newest are kept, each
// can be replayed, and only they are there.
func TestRecordInParts(t *testing.T) {
	ns := labtest.MPTCP(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "ring.pcapng")
	_, errs, code := ran(t, ns, tool("record", file, "for", "6s", "every", "100ms", "--size", "20k", "--keep", "2"))
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Fatalf("%d files, want 2: %v", len(entries), entries)
	}
	for _, entry := range entries {
		if entry.Name() == "ring.pcapng" || !strings.HasPrefix(entry.Name(), "ring-") {
			t.Errorf("%s is kept", entry.Name())
		}
		info, err := entry.Info()
		if err != nil || info.Size() > 60_000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d bytes, mode %v, %v", entry.Name(), info.Size(), info.Mode(), err)
		}
		r, err := recording.Open(filepath.Join(dir, entry.Name()))
		if err != nil || r.Truncated() {
			t.Errorf("%s: %v", entry.Name(), err)
		}
	}
}

func TestRecordBoundsOnTheCommandLine(t *testing.T) {
	for _, args := range [][]string{
		{"record", "x", "--size", "0"}, {"record", "x", "--size", "1k"}, {"record", "x", "--keep", "3"},
		{"record", "-", "--size", "1M"}, {"record", "x", "--size", "1M", "--keep", "0"},
		{"record", "x", "--size", "99999999999G"},
	} {
		if _, errs, code := ranHere(t, args...); code != 2 {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
	}
	for text, want := range map[string]int64{"100k": 100_000, "2M": 2_000_000, "1G": 1_000_000_000, "250000": 250_000} {
		if got, err := line.Size(text); got != want || err != nil {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
}

func TestPartNames(t *testing.T) {
	for file, want := range map[string]string{
		"a.pcapng": "a-3.pcapng", "d.d/a.pcapng.gz": "d.d/a-3.pcapng.gz", "./a": "./a-3",
	} {
		if got := partName(file, 3); got != want || partName(file, 0) != file {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

// TestRecordToAFullFileSystem: the reason is told once, also of a compressed file.
func TestRecordToAFullFileSystem(t *testing.T) {
	ns := labtest.MPTCP(t)
	link := lab.ProcessConfig{Args: []string{"unshare", "-m", "sh", "-c",
		`mount -t tmpfs -o size=8k none "$1" && exec "$2" record "$1/r.pcapng.gz" every 100ms for 60s`, "sh", t.TempDir(), toolPath(t)}}
	_, errs, code := ran(t, ns, link)
	if strings.Contains(errs, "mount:") || strings.Contains(errs, "unshare:") {
		labtest.Skip(t, "no file system can be mounted: %s", errs)
	}
	once := strings.Count(errs, "no space left on device") + strings.Count(errs, "are left on its file system")
	if code != 1 || once != 1 {
		t.Errorf("exit %d: %s", code, errs)
	}
}
