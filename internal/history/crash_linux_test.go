package history

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/chronicle"
	"mptcpctl/internal/lab/labtest"
)

// The processes that the tests start write histories: this variable says how.
const childVariable = "HISTORY_CHILD"

func TestMain(m *testing.M) {
	how, dir, _ := strings.Cut(os.Getenv(childVariable), ":")
	switch how {
	case "write":
		writeForEver(dir)
	case "fill":
		if err := fillDisk(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// writeForEver writes lines with small files until it is killed, and prints the number of
// the last line that it has written.
func writeForEver(dir string) {
	w, last, err := Open(dir, nil)
	at := start
	for err == nil {
		if w.Due(at) {
			err = w.Begin(at, last+1)
		}
		if err == nil {
			err = w.Write(at, lines(last, 50, at), last+50)
		}
		last, at = last+50, at.Add(5*time.Minute)
		fmt.Println(last)
	}
	fmt.Println(err)
}

// TestKilledAtAnyMoment kills writers by signal 9: what they had written is there, numbers go
// on, and nothing is missing.
func TestKilledAtAnyMoment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "history")
	for range labtest.Rounds(10, 50) {
		c := exec.Command("/proc/self/exe")
		c.Env = append(os.Environ(), childVariable+"=write:"+dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		written := uint64(0)
		most := rand.IntN(60)
		numbers := bufio.NewScanner(out)
		for n := 0; numbers.Scan(); n++ {
			number, err := strconv.ParseUint(numbers.Text(), 10, 64)
			if err != nil {
				t.Fatal(numbers.Text())
			}
			written = number
			if n == most {
				time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
				_ = c.Process.Kill()
			}
		}
		_ = c.Wait() // it was killed
		w, last := open(t, dir, nil)
		if last < written {
			t.Fatalf("line %d was written, and the last one is %d", written, last)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	books, damaged := read(t, dir)
	if books.First != 1 || books.Missing > 0 || books.Lost > 0 || books.Backward > 0 || damaged > 0 {
		t.Errorf("%+v, %d damaged", books, damaged)
	}
}

// fill makes a file as large as the disk allows.
func fill(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(make([]byte, 1<<20))
	return err
}

// fillDisk writes a history on a disk that is too small for it, and fills that disk further
// until not even the oldest file helps.
func fillDisk(dir string) error {
	if err := unix.Mount("history", dir, "tmpfs", 0, "size=1m,mode=700"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	w, last, err := Open(dir, nil)
	if err != nil {
		return err
	}
	at, dropped, refused := start, uint64(0), 0
	store := func(text []byte, n uint64) error {
		if w.Due(at) {
			if err := w.Begin(at, last+1); err != nil && !full(err) {
				return err
			}
		}
		if err := w.Write(at, text, last+n); err != nil {
			if !errors.Is(err, ErrDropped) {
				return err
			}
			dropped, refused = dropped+n, refused+1
		} else {
			dropped = 0
		}
		last += n
		return nil
	}
	for i := range 3000 {
		if i >= 1000 && i < 1500 { // somebody else takes what room there is
			if err := fill(filepath.Join(dir, "other")); !errors.Is(err, unix.ENOSPC) {
				return fmt.Errorf("the disk is not full: %w", err)
			}
		}
		if i == 2000 {
			if err := os.Remove(filepath.Join(dir, "other")); err != nil {
				return err
			}
		}
		if dropped > 0 { // as the server does: what is missing is said before what follows
			gap := chronicle.Line{Seq: last + 1, Time: at, Kind: chronicle.KindLost, Object: chronicle.Gap{Lines: dropped, Where: "disk"}.Append(nil)}
			if err := store(gap.Append(nil), 1); err != nil {
				return err
			}
		}
		if err := store(lines(last, 40, at), 40); err != nil {
			return err
		}
		at = at.Add(2 * time.Minute)
	}
	if err := w.Close(); err != nil {
		return err
	}
	r, err := NewReader(dir)
	if err != nil {
		return err
	}
	report, err := r.Verify(context.Background())
	if err != nil {
		return err
	}
	b := &report.Books
	if refused == 0 || b.Last != last || b.First == 1 || b.Missing > 0 || b.Lost == 0 && b.First < 40_000 || b.Backward > 0 ||
		len(report.Damaged) > 0 || b.Lines+b.Lost != b.Last-b.First+1 {
		return fmt.Errorf("%d refused, last line %d, %+v, %v", refused, last, b, report.Damaged)
	}
	return nil
}

// TestFullDisk runs in a user and a mount namespace of its own.
func TestFullDisk(t *testing.T) {
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), childVariable+"=fill:"+t.TempDir())
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := c.CombinedOutput()
	if err != nil && (len(out) == 0 || strings.HasPrefix(string(out), "mount:")) {
		labtest.Skip(t, "no user and mount namespace: %v %s", err, out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
