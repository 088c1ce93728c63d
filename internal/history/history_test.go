package history

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mptcpctl/internal/chronicle"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/private"
)

var start = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

// lines returns so many lines behind the one with the number last.
func lines(last uint64, n int, at time.Time) []byte {
	var b []byte
	for i := range n {
		l := chronicle.Line{
			Seq: last + uint64(i) + 1, Time: at, Kind: chronicle.KindEvent,
			Object: fmt.Appendf(nil, `{"event":"CREATED","token":"%08x"}`, rand.Uint32()),
		}
		b = l.Append(b)
	}
	return b
}

// write writes n lines to a history, a hundred at a time, a second apart.
func write(t *testing.T, w *Writer, last uint64, n int, at time.Time) (uint64, time.Time) {
	t.Helper()
	for n > 0 {
		if w.Due(at) {
			if err := w.Begin(at, last+1); err != nil {
				t.Fatal(err)
			}
		}
		some := min(n, 100)
		if err := w.Write(at, lines(last, some, at), last+uint64(some)); err != nil {
			t.Fatal(err)
		}
		last, at, n = last+uint64(some), at.Add(time.Second), n-some
	}
	return last, at
}

func open(t *testing.T, dir string, c *Config) (*Writer, uint64) {
	t.Helper()
	w, last, err := Open(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	return w, last
}

// read reads all lines and keeps their books.
func read(t *testing.T, dir string) (books chronicle.Books, damaged int) {
	t.Helper()
	r, err := NewReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	report, err := r.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report.Books, len(report.Damaged)
}

func TestHistoryIsReadBack(t *testing.T) {
	for name, c := range map[string]*Config{"usual": nil, "in memory": {Sync: -1}} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "history")
			w, last := open(t, dir, c)
			if last != 0 {
				t.Errorf("a new history has %d lines", last)
			}
			if _, _, err := Open(dir, nil); err == nil {
				t.Error("a second writer is let in")
			}
			last, at := write(t, w, 0, 5000, start)
			last, at = write(t, w, last, 5000, at.Add(time.Hour)) // another file
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			w, again := open(t, dir, c)
			if again != last {
				t.Errorf("the last line is %d, want %d", again, last)
			}
			_, _ = write(t, w, last, 50, at)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			books, damaged := read(t, dir)
			if books != (chronicle.Books{First: 1, Last: 10050, Lines: 10050}) || damaged > 0 {
				t.Errorf("%+v, %d damaged", books, damaged)
			}
			r, err := NewReader(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			list, err := r.Files()
			if err != nil || len(list) != 3 {
				t.Fatalf("%v, %v", list, err)
			}
			for _, f := range list {
				if info, err := os.Stat(filepath.Join(dir, f.Name)); err != nil || info.Mode().Perm() != 0o600 || !f.Packed {
					t.Errorf("%s: %v, %v", f.Name, info.Mode(), err)
				}
			}
			n := 0
			for range r.Lines(t.Context(), Span{From: start.Add(time.Hour), To: start.Add(2 * time.Hour)}) {
				n++
			}
			if c == nil && n != 5050 { // times of files in memory are those of this test's run
				t.Errorf("%d lines in the second hour", n)
			}
		})
	}
}

// TestTornFiles cuts the files of a history at every byte of their last kilobyte: it opens,
// goes on with a number that was never given, and the books say how many lines are missing.
func TestTornFiles(t *testing.T) {
	for _, packed := range []bool{false, true} {
		source := filepath.Join(t.TempDir(), "history")
		w, _ := open(t, source, nil)
		last, _ := write(t, w, 0, 300, start)
		if packed {
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		} else if err := w.file.Sync(); err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(source)
		if err != nil {
			t.Fatal(err)
		}
		list, err := r.Files()
		if err != nil || len(list) != 1 || list[0].Packed != packed {
			t.Fatalf("%+v, %v", list, err)
		}
		text, err := os.ReadFile(filepath.Join(source, list[0].Name))
		if err != nil {
			t.Fatal(err)
		}
		for cut := 0; cut < min(1024, len(text)); cut += labtest.Rounds(7, 1) {
			dir := filepath.Join(t.TempDir(), "history")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			rest := text[:len(text)-cut]
			if err := os.WriteFile(filepath.Join(dir, list[0].Name), rest, 0o600); err != nil {
				t.Fatal(err)
			}
			whole := uint64(bytes.Count(rest, []byte("\n")))
			again, found := open(t, dir, nil)
			if packed && found != last || !packed && found != whole {
				t.Fatalf("%d bytes cut: the last line is %d", cut, found)
			}
			end, _ := write(t, again, found, 10, start.Add(time.Minute))
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			books, damaged := read(t, dir)
			if books.Last != end || books.First != 1 || books.Lines+books.Missing != end || books.Backward > 0 || !packed && books.Missing > 0 {
				t.Fatalf("%d bytes cut: %+v", cut, books)
			}
			if packed && (damaged > 0) != (books.Missing > 0) && cut > 4 { // the checksum at the end holds no line
				t.Fatalf("%d bytes cut: %+v, %d damaged", cut, books, damaged)
			}
		}
		if !packed {
			_ = w.Close()
		}
		_ = r.Close()
	}
}

// TestFlippedBits flips bits anywhere: nothing fails, no line is read that was not written,
// and what is missing is known.
func TestFlippedBits(t *testing.T) {
	source := filepath.Join(t.TempDir(), "history")
	w, _ := open(t, source, nil)
	last, at := write(t, w, 0, 400, start)
	last, at = write(t, w, last, 400, at.Add(time.Hour))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, _ = open(t, source, nil)
	last, _ = write(t, w, last, 400, at.Add(time.Hour))
	list, err := files(w.root)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		dir := t.TempDir()
		victim := r.IntN(len(list))
		for i, f := range list {
			text, err := os.ReadFile(filepath.Join(source, f.Name))
			if err != nil {
				t.Fatal(err)
			}
			if i == victim {
				text[r.IntN(len(text))] ^= 1 << r.IntN(8)
			}
			if err := os.WriteFile(filepath.Join(dir, f.Name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		books, _ := read(t, dir)
		// A bit of a number makes another number: then a line stands out of order, or as many are missing.
		if books.Lines > last || books.Last != last && victim != 2 || books.Lines+books.Lost+books.Missing+books.Backward < books.Last {
			t.Fatalf("%+v", books)
		}
		again, found := open(t, dir, nil)
		if found < list[len(list)-1].First-1 {
			t.Fatalf("goes on behind %d", found)
		}
		_ = again.Close()
	}
	_ = w.Close()
}

// TestTheClockIsSet sets it forward by a day and back by an hour.
func TestTheClockIsSet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	w, last := open(t, dir, nil)
	for _, step := range []time.Duration{0, 24 * time.Hour, -25 * time.Hour, -time.Hour} {
		last, _ = write(t, w, last, 200, start.Add(step))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if books, damaged := read(t, dir); books != (chronicle.Books{First: 1, Last: 800, Lines: 800}) || damaged > 0 {
		t.Errorf("%+v, %d damaged", books, damaged)
	}
}

func TestOldestFilesGo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	w, last := open(t, dir, &Config{Size: 90_000, Age: 1000 * time.Hour})
	at := start
	for range 20 {
		last, _ = write(t, w, last, 500, at)
		at = at.Add(time.Hour)
	}
	if err := w.packed(); err != nil {
		t.Fatal(err)
	}
	w.Keep(at)
	list, err := files(w.root)
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, f := range list[:len(list)-1] {
		total += f.Size
	}
	if total > 90_000 || len(list) < 3 || list[0].First == 1 {
		t.Errorf("%d bytes in %d files from line %d on", total, len(list), list[0].First)
	}
	w.config.Age = time.Nanosecond
	w.Keep(at.Add(time.Hour))
	if list, err := files(w.root); err != nil || len(list) != 1 || list[0].Name != w.open.Name {
		t.Errorf("what is left of a history that is too old: %v, %v", list, err)
	}
	_ = w.Close()
	if books, _ := read(t, dir); books.Last != last || books.Missing > 0 {
		t.Errorf("%+v", books)
	}
}

func TestForeignFoldersAreRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(dir, nil); !errors.Is(err, private.ErrForeign) {
		t.Errorf("a folder that all may write to: %v", err)
	}
	if err := Make(filepath.Join(dir, "new", "history"), os.Getuid(), os.Getgid()); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "new", "history")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a new folder: %v, %v", info, err)
	}
	if err := Make(dir, os.Getuid()+1, os.Getgid()); !errors.Is(err, private.ErrForeign) {
		t.Errorf("somebody else's folder: %v", err)
	}
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"20261201T030000Z-0000000000048211.jsonl":                      true,
		"20261201T020000Z-0000000000031007-0000000000048210.jsonl.zst": true,
		"20261201T020000Z-0000000000031007.jsonl.zst":                  false,
		"20261201T020000Z-0.jsonl":                                     false,
		"lock":                                                         false,
		"x-1.jsonl":                                                    false,
	} {
		f, ok := parseName(name)
		if ok != good || ok && !f.Packed && openName(f.Begin, f.First) != name || ok && f.Packed && closedName(&f) != name {
			t.Errorf("%s: %+v, %v", name, f, ok)
		}
	}
}
