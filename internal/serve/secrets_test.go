package serve

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestFoldersOfARenewedFile(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"live", "archive/host", "data/..1", "secrets.d/7"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"live/cert.pem": "../archive/host/cert1.pem",
		"data/..data":   "..1",
		"data/tls.crt":  "..data/tls.crt",
		"secrets":       filepath.Join(root, "secrets.d/7"),
		"round":         "about",
		"about":         "round",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]string{
		"plain/cert.pem": {"plain"},
		"live/cert.pem":  {"live", "archive/host"},
		"data/tls.crt":   {"data", "data/..data", "data/..1"},
		"secrets/cert":   {"secrets.d", "secrets.d/7"},
		"round":          {""},
	} {
		var full []string
		for _, folder := range want {
			full = append(full, filepath.Join(root, folder))
		}
		if got := folders(filepath.Join(root, name)); !slices.Equal(got, full) {
			t.Errorf("%s: %v, want %v", name, got, full)
		}
	}
	t.Chdir(root)
	if got := folders("cert.pem"); !slices.Equal(got, []string{root}) {
		t.Errorf("a relative name: %v", got)
	}
	if err := os.Symlink("/cert.pem", filepath.Join(root, "top")); err != nil {
		t.Fatal(err)
	}
	if got := folders(filepath.Join(root, "top")); !slices.Equal(got, []string{root}) {
		t.Errorf("a link to the root folder leaves all files in reach: %v", got)
	}
}

func TestAnotherFileOfTheSameSizeAndTimeIsAChange(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	link := filepath.Join(dir, "token")
	for _, name := range []string{"one", "two"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(file, []byte(name), 0o600), os.Chtimes(file, now, now)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	w := newWatch(link)
	if w.changed() {
		t.Error("a change before there was one")
	}
	if err := errors.Join(os.Remove(link), os.Symlink("two", link)); err != nil {
		t.Fatal(err)
	}
	w.looked = time.Time{}
	if !w.changed() {
		t.Error("no change, though the link leads to another file")
	}
}
