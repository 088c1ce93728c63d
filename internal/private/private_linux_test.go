package private

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// victim is a file that nobody may touch by way of a link.
func victim(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "victim")
	if err := os.WriteFile(name, []byte("precious"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

func intact(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	info, errStat := os.Stat(name)
	if err != nil || errStat != nil || string(text) != "precious" || info.Mode().Perm() != 0o666 {
		t.Errorf("%s: %q, %v %v %v", name, text, info.Mode(), err, errStat)
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	for kind, link := range map[string]func(string, string) error{"symbolic": os.Symlink, "hard": os.Link} {
		dir := t.TempDir()
		v := victim(t, dir)
		d, err := MakeDirectory(filepath.Join(dir, "ours"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"f", "f.new", "f.lock"} {
			if err := link(v, filepath.Join(d.path, name)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := d.Read("f"); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: read with error %v", kind, err)
		}
		if _, err := d.Lock("f.lock"); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: locked with error %v", kind, err)
		}
		if _, err := Create(filepath.Join(d.path, "f"), true); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: created with error %v", kind, err)
		}
		if err := d.Replace("f", []byte("ours"), 0o644); err != nil {
			t.Errorf("%s: replaced with error %v", kind, err)
		}
		intact(t, v)
		if text, err := d.Read("f"); err != nil || string(text) != "ours" {
			t.Errorf("%s: %q, %v", kind, text, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFoldersOfOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	d, err := MakeDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Replace("f", []byte("ours"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused := func(why string) {
		t.Helper()
		if _, err := MakeDirectory(dir); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: opened with error %v", why, err)
		}
		if _, err := d.Read("f"); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: read with error %v", why, err)
		}
		if _, err := d.Read("absent"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: what is not there is read with error %v", why, err)
		}
	}
	for _, mode := range []fs.FileMode{0o777, 0o775, 0o777 | fs.ModeSticky} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		refused(mode.String())
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		t.Skip("the rest needs root, to give a folder away")
	}
	if err := os.Chown(dir, 12345, -1); err != nil {
		t.Skip(err) // a user namespace of one user
	}
	refused("another owner")
}

func TestFileOfAnother(t *testing.T) {
	d, err := MakeDirectory(filepath.Join(t.TempDir(), "d"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Replace("f", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(d.path, "f"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read("f"); !errors.Is(err, ErrForeign) {
		t.Errorf("one that others may write to: %v", err)
	}
	if err := syscall.Mkfifo(filepath.Join(d.path, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read("pipe"); !errors.Is(err, ErrForeign) {
		t.Errorf("a pipe: %v", err)
	}
}

func TestLockIsHeldOnce(t *testing.T) {
	d, err := MakeDirectory(t.TempDir() + "/d")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	held, err := d.Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock("lock"); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("the second: %v", err)
	}
	held.Close()
	again, err := d.Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestCreate(t *testing.T) {
	old := unix.Umask(0)
	defer unix.Umask(old)
	name := filepath.Join(t.TempDir(), "f")
	mode := func() fs.FileMode {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	f, err := Create(name, false)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if mode() != 0o600 {
		t.Errorf("created with mode %v", mode())
	}
	if err := errors.Join(os.WriteFile(name, []byte("long before"), 0o600), os.Chmod(name, 0o666)); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(name, false); !errors.Is(err, fs.ErrExist) || mode() != 0o666 {
		t.Errorf("one that exists: %v, mode %v", err, mode())
	}
	if f, err = Create(name, true); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("new"); err != nil {
		t.Error(err)
	}
	f.Close()
	if text, _ := os.ReadFile(name); string(text) != "new" || mode() != 0o600 {
		t.Errorf("overwritten it is %q with mode %v", text, mode())
	}
	if f, err = Create("/dev/null", true); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("/dev/null is %v now, %v", info.Mode(), err)
	}
}
