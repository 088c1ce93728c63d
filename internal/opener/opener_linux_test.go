package opener

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if IsStub(os.Args) {
		os.Exit(Stub(os.Args))
	}
	os.Exit(m.Run())
}

func TestProcesses(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	o, err := Start(nil, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	inode := uint32(stat.Ino)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.Processes(gone, map[uint32]bool{inode: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who has gone: %v", err)
	}
	for range 3 { // each gets its own answer, also after that
		walk, err := o.Processes(t.Context(), map[uint32]bool{inode: true, 1: true})
		if err != nil {
			t.Fatal(err)
		}
		if list := walk.Owners[inode]; len(walk.Owners) != 1 || len(list) != 1 || list[0].PID != os.Getpid() {
			t.Errorf("the processes are %v, want this one", walk.Owners)
		}
	}
	pid := o.process.Process.Pid
	if err := o.Close(); err != nil {
		t.Errorf("it did not end well: %v", err)
	}
	if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("it lives on: %v", err)
	}
	if _, err := o.Processes(t.Context(), map[uint32]bool{inode: true}); err == nil {
		t.Error("an opener that has ended answers")
	}
}

// TestCloseEndsAnOpenerThatDoesNotListen stops the opener, as a walk over very many processes
// would keep it from seeing that the server has ended.
func TestCloseEndsAnOpenerThatDoesNotListen(t *testing.T) {
	o, err := Start(nil, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Processes(t.Context(), map[uint32]bool{1: true}); err != nil {
		t.Fatal(err)
	}
	pid := o.process.Process.Pid
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Errorf("an opener that was ended by force: %v", err)
	}
	if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("it lives on: %v", err)
	}
}

// FuzzFrames: what is read of arbitrary bytes is what these bytes were written from, and
// never more than they hold.
func FuzzFrames(f *testing.F) {
	f.Add(appendQuestion(nil, map[uint32]bool{1: true, 1 << 31: true}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if inodes, err := readQuestion(bytes.NewReader(b)); err == nil {
			again, err := readQuestion(bytes.NewReader(appendQuestion(nil, inodes)))
			if err != nil || !maps.Equal(inodes, again) || 4*len(inodes) > len(b) {
				t.Errorf("%x: %v, then %v, %v", b, inodes, again, err)
			}
		}
		text, err := readAnswer(bytes.NewReader(b))
		if err != nil {
			return
		}
		var w bytes.Buffer
		if err := writeAnswer(&w, text); err != nil || !bytes.HasPrefix(b, w.Bytes()) {
			t.Errorf("%x: the answer %x is %x again, %v", b, text, w.Bytes(), err)
		}
	})
}
