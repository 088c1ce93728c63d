package owners

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// unixSocket opens a socket and returns its descriptor and inode.
func unixSocket(t testing.TB) (fd int, inode uint32) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		t.Fatal(err)
	}
	return fd, uint32(stat.Ino)
}

// ways returns the ways to find the holders that this process may use.
func ways(t *testing.T) map[string]func(*Sockets, context.Context) error {
	list := map[string]func(*Sockets, context.Context) error{"walk": (*Sockets).walk, "find": (*Sockets).Find}
	iterator, err := openSocketIterator()
	switch {
	case err == nil:
		iterator.Close()
		list["iterator"] = (*Sockets).iterate
	case errors.Is(err, fs.ErrPermission),
		errors.Is(err, fs.ErrNotExist),
		errors.Is(err, mptcp.ErrNotSupported),
		errors.Is(err, errOtherNamespace),
		errors.Is(err, unix.EINVAL),
		errors.Is(err, unix.ENOSYS):
		t.Logf("without the iterator: %v", err)
	default:
		t.Errorf("the iterator: %v", err)
	}
	return list
}

// All ways find the same: a socket of one process, copies of it, one that a child
// shares, one that nobody wants.
func TestSocketsFind(t *testing.T) {
	fd, shared := unixSocket(t)
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(copied), "socket")
	defer file.Close()
	_, own := unixSocket(t)
	_, unwanted := unixSocket(t)
	child := exec.Command("/proc/self/exe")
	child.Env = append(os.Environ(), "MPTCPCTL_TEST_HOLD=1") // as labtest.Hold does, which imports this package
	child.ExtraFiles = []*os.File{file}
	stdin, err1 := child.StdinPipe()
	stdout, err2 := child.StdoutPipe()
	if err := errors.Join(err1, err2, child.Start()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close() // the child ends when its standard input does
		child.Wait()
	}()
	if _, err := stdout.Read(make([]byte, 1)); err != nil { // it is ready, and has its name
		t.Fatal(err)
	}
	comm := func(pid int) string {
		return readName(unix.AT_FDCWD, "/proc/"+string(appendNumber(nil, uint64(pid)))+"/comm")
	}
	both := []mptcp.Process{
		{PID: os.Getpid(), Name: comm(os.Getpid())},
		{PID: child.Process.Pid, Name: comm(child.Process.Pid)},
	}
	slices.SortFunc(both, func(a, b mptcp.Process) int { return a.PID - b.PID })
	for way, find := range ways(t) {
		s := NewSockets(3)
		for _, inode := range []uint32{shared, own, 0, own} {
			s.Add(inode)
		}
		for range 2 { // what was found is forgotten
			if err := find(s, t.Context()); err != nil {
				t.Fatalf("%s: %v", way, err)
			}
		}
		if got := s.Holders(shared); !slices.Equal(got, both) {
			t.Errorf("%s: %v, want %v", way, got, both)
		}
		if got := s.Holders(own); len(got) != 1 || got[0].PID != os.Getpid() {
			t.Errorf("%s: %v", way, got)
		}
		if got := s.Holders(unwanted); got != nil || s.Has(unwanted) || s.Len() != 2 {
			t.Errorf("%s: %v", way, got)
		}
	}
}

// Many sockets take the iterator's buffer several times.
func TestSocketsFindMany(t *testing.T) {
	const many = 3 * manySockets
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := int(min(many, limit.Cur-200))
	var inodes []uint32
	for range n {
		_, inode := unixSocket(t)
		inodes = append(inodes, inode)
	}
	for way, find := range ways(t) {
		s := NewSockets(0)
		for _, inode := range inodes {
			s.Add(inode)
		}
		if err := find(s, t.Context()); err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		for _, inode := range inodes {
			if got := s.Holders(inode); len(got) != 1 || got[0].PID != os.Getpid() {
				t.Fatalf("%s: inode %d: %v", way, inode, got)
			}
		}
		if s.Len() != n || len(s.processes) != 1 {
			t.Errorf("%s: %d sockets, %d processes", way, s.Len(), len(s.processes))
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := find(s, gone); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", way, err)
		}
	}
}

// The name of a socket in a file system, opened by its path, is no socket.
func TestSocketsFindNoNames(t *testing.T) {
	dir := t.TempDir()
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	if err := unix.Bind(l, &unix.SockaddrUnix{Name: dir + "/s"}); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir+"/s", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		t.Fatal(err)
	}
	if stat.Ino >= 1<<32 || stat.Ino == 0 {
		t.Skipf("inode %d is no inode of a socket", stat.Ino)
	}
	var own unix.Stat_t
	if err := unix.Fstat(l, &own); err != nil {
		t.Fatal(err)
	}
	for way, find := range ways(t) {
		s := NewSockets(1)
		s.Add(uint32(own.Ino))
		if err := find(s, t.Context()); err != nil || len(s.Holders(uint32(own.Ino))) != 1 {
			t.Errorf("%s: the socket itself: %v, %v", way, s.Holders(uint32(own.Ino)), err)
		}
		s = NewSockets(1)
		s.Add(uint32(stat.Ino))
		if err := find(s, t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Holders(uint32(stat.Ino)) {
			if p.PID == os.Getpid() && uint32(own.Ino) != uint32(stat.Ino) {
				t.Errorf("%s: the name is taken for a socket", way)
			}
		}
	}
}

// The set does what a map of slices does.
func TestSocketsIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		inodes := rapid.SliceOfN(rapid.Uint32Range(0, 300), 0, 200).Draw(t, "inodes")
		s := NewSockets(rapid.IntRange(0, 10).Draw(t, "room"))
		want := map[uint32][]mptcp.Process{}
		for _, inode := range inodes {
			s.Add(inode)
			if inode != 0 {
				want[inode] = nil
			}
		}
		name := func(pid int) string { return string(appendNumber(nil, uint64(pid))) }
		for pid := range rapid.IntRange(0, 6).Draw(t, "processes") {
			for _, inode := range rapid.SliceOf(rapid.Uint32Range(0, 300)).Draw(t, "held") {
				s.hold(pid+1, inode, name)
				list, wanted := want[inode]
				p := mptcp.Process{PID: pid + 1, Name: name(pid + 1)}
				if wanted && !slices.Contains(list, p) {
					want[inode] = append(list, p)
				}
			}
		}
		if s.Len() != len(want) {
			t.Fatalf("%d sockets, want %d", s.Len(), len(want))
		}
		for inode := range uint32(400) {
			list, wanted := want[inode]
			if s.Has(inode) != wanted || !slices.Equal(s.Holders(inode), list) {
				t.Fatalf("inode %d: %v, %v, want %v", inode, s.Has(inode), s.Holders(inode), list)
			}
		}
	})
	var none *Sockets
	if none.Holders(7) != nil {
		t.Error("no set has no holders")
	}
}

// The map and the set of holders are of one walk.
func TestProcessesIsFind(t *testing.T) {
	_, inode := unixSocket(t)
	owners, err := Processes(t.Context(), func(i uint32) bool { return i == inode })
	if err != nil {
		t.Fatal(err)
	}
	s := NewSockets(1)
	s.Add(inode)
	if err := s.walk(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(owners, map[uint32][]mptcp.Process{inode: s.Holders(inode)}, slices.Equal[[]mptcp.Process]) {
		t.Errorf("%v, %v", owners, s.Holders(inode))
	}
}

func BenchmarkSocketIterator(b *testing.B) {
	if _, err := openSocketIterator(); err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		iterator, err := openSocketIterator()
		if err != nil {
			b.Fatal(err)
		}
		iterator.Close()
	}
}
