package owners_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/owners"
	"mptcpctl/internal/thread"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// socket opens a socket and returns its descriptor and inode.
func socket(t testing.TB) (fd int, inode uint32) {
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

func TestProcessesOfASocket(t *testing.T) {
	fd, inode := socket(t)
	copied, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(copied)
	_, other := socket(t)

	// A child holds the socket as well.
	file := os.NewFile(uintptr(mustDup(t, fd)), "socket")
	defer file.Close()
	child := labtest.Hold(t, (*exec.Cmd).Start, file)

	walk, err := owners.WalkProcesses(t.Context(), "", func(i uint32) bool { return i == inode })
	if err != nil {
		t.Fatal(err)
	}
	pids := []int{}
	for _, p := range walk.Owners[inode] {
		pids = append(pids, p.PID)
	}
	want := []int{os.Getpid(), child}
	slices.Sort(want)
	if !slices.Equal(pids, want) {
		t.Errorf("owners %v, want %v", pids, want)
	}
	if _, ok := walk.Owners[other]; ok || len(walk.Owners) != 1 {
		t.Errorf("sockets that were not wanted: %v", walk.Owners)
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	own := mptcp.Process{PID: os.Getpid(), Name: strings.TrimSuffix(string(comm), "\n")}
	if !slices.Contains(walk.Owners[inode], own) {
		t.Errorf("owners %v, want %v among them", walk.Owners[inode], own)
	}
	owners, err := owners.Processes(t.Context(), func(i uint32) bool { return i == other })
	if err != nil || len(owners[other]) != 1 || owners[other][0].PID != os.Getpid() {
		t.Errorf("%v, %v", owners, err)
	}
}

func TestSocketsOf(t *testing.T) {
	fd, inode := socket(t)
	_, other := socket(t)
	file := os.NewFile(uintptr(mustDup(t, fd)), "socket")
	defer file.Close()
	child := labtest.Hold(t, (*exec.Cmd).Start, file)
	for pid, want := range map[int][]bool{0: {true, true}, os.Getpid(): {true, true}, child: {true, false}} {
		held, err := owners.SocketsOf(pid)
		if err != nil || held[inode] != want[0] || held[other] != want[1] {
			t.Errorf("process %d: %v, %v; want of %d and %d: %v", pid, held, err, inode, other, want)
		}
	}
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	if held, err := owners.SocketsOf(ended.Process.Pid); err != nil || len(held) != 0 {
		t.Errorf("a process that has ended: %v, %v", held, err)
	}
}

func mustDup(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tree makes a proc file system of processes with descriptors.
func tree(t *testing.T, processes map[int][]string) string {
	t.Helper()
	root := t.TempDir()
	for pid, links := range processes {
		dir := filepath.Join(root, strconv.Itoa(pid))
		if err := os.MkdirAll(filepath.Join(dir, "fd"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "comm"), fmt.Appendf(nil, "p%d\n", pid), 0o644); err != nil {
			t.Fatal(err)
		}
		for fd, link := range links {
			if err := os.Symlink(link, filepath.Join(dir, "fd", strconv.Itoa(fd))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

func TestWalkProcessesOfATree(t *testing.T) {
	root := tree(t, map[int][]string{
		7:  {"/dev/null", "socket:[11]", "socket:[12]", "socket:[11]", "pipe:[11]", "anon_inode:[eventpoll]"},
		42: {"socket:[12]", "socket:[99999999999]", "socket:[]", "socket:[1x]", "socket:[13"},
		99: nil,
	})
	for _, name := range []string{"sys", "self", "8x"} { // no processes
		if err := os.MkdirAll(filepath.Join(root, name, "fd"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	walk, err := owners.WalkProcesses(t.Context(), root, func(uint32) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	for _, owners := range walk.Owners { // a directory on disk has no order of its own
		slices.SortFunc(owners, func(a, b mptcp.Process) int { return a.PID - b.PID })
	}
	want := map[uint32][]mptcp.Process{
		11: {{PID: 7, Name: "p7"}},
		12: {{PID: 7, Name: "p7"}, {PID: 42, Name: "p42"}},
	}
	if !maps.EqualFunc(walk.Owners, want, slices.Equal[[]mptcp.Process]) {
		t.Errorf("got %v, want %v", walk.Owners, want)
	}
	if walk.Processes != 3 || walk.Files != 11 || walk.Unreadable != 0 {
		t.Errorf("%d processes, %d files, %d unreadable", walk.Processes, walk.Files, walk.Unreadable)
	}
}

func TestWalkProcessesErrors(t *testing.T) {
	if _, err := owners.WalkProcesses(t.Context(), "/no/such/directory", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no root: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := owners.WalkProcesses(ctx, "", func(uint32) bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// What belongs to others is counted, not reported as an error.
func TestWalkProcessesOfOthers(t *testing.T) {
	root := tree(t, map[int][]string{7: {"socket:[11]"}, 8: {"socket:[12]"}})
	if err := os.Chmod(filepath.Join(root, "8", "fd"), 0); err != nil {
		t.Fatal(err)
	}
	check := func() error {
		walk, err := owners.WalkProcesses(context.Background(), root, func(uint32) bool { return true })
		if err != nil {
			return err
		}
		if walk.Unreadable != 1 || len(walk.Owners) != 1 {
			return fmt.Errorf("%d unreadable, owners %v", walk.Unreadable, walk.Owners)
		}
		return nil
	}
	// Root may read everything: give that right up on a thread of its own.
	err := thread.Run(func() error {
		if err := dropOverride(); err != nil {
			return err
		}
		return check()
	})
	if err != nil {
		t.Error(err)
	}
}

// dropOverride takes from the calling thread the capabilities that override file
// permissions.
func dropOverride() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capset(&header, &data[0])
}
