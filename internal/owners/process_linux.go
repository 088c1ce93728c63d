package owners

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// Processes returns the processes that hold sockets, by the inodes of the
// sockets, of which wanted tells which are of interest. The processes of other
// users are passed over in silence unless the caller may trace them (root,
// CAP_SYS_PTRACE): [WalkProcesses] counts them.
func Processes(ctx context.Context, wanted func(inode uint32) bool) (map[uint32][]mptcp.Process, error) {
	w, err := WalkProcesses(ctx, "", wanted)
	return w.Owners, err
}

// ProcessWalk is what one walk over all processes found.
type ProcessWalk struct {
	Owners     map[uint32][]mptcp.Process // by the inode of the socket, in the order of process ids
	Processes  int                        // whose descriptors were read
	Unreadable int                        // that belong to others: their sockets are not in Owners
	Files      int                        // descriptors that were looked at
}

// WalkProcesses goes once over the descriptors of all processes below root, which
// is "/proc" if empty. Processes that end meanwhile are no error.
func WalkProcesses(ctx context.Context, root string, wanted func(inode uint32) bool) (ProcessWalk, error) {
	w := walker{wanted: wanted}
	owners := map[uint32][]mptcp.Process{}
	var process mptcp.Process // the last one that was named
	w.found = func(inode uint32, pid int) {
		list := owners[inode]
		if n := len(list); n > 0 && list[n-1].PID == pid {
			return // descriptors that are copies of one another count once
		}
		if process.PID != pid {
			process = mptcp.Process{PID: pid, Name: w.name(pid)}
		}
		owners[inode] = append(list, process)
	}
	err := w.walk(ctx, cmp.Or(root, "/proc"))
	if w.proc == 0 {
		owners = nil // it did not begin
	}
	w.Owners = owners
	return w.ProcessWalk, err
}

// SocketsOf returns the inodes of the sockets that a process holds, none where it has
// ended; pid 0 is the calling process. It is [io/fs.ErrPermission] for a process that
// the caller may not trace.
func SocketsOf(pid int) (map[uint32]bool, error) {
	const root = "/proc"
	if pid == 0 { // by the number that it has there
		self, err := os.Readlink(root + "/self")
		if err != nil {
			return nil, err
		}
		if pid, err = strconv.Atoi(self); err != nil {
			return nil, err
		}
	}
	proc, err := openDirectory(unix.AT_FDCWD, root)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(proc)
	held := map[uint32]bool{}
	w := walker{proc: proc, buffer: make([]byte, 4<<10), found: func(inode uint32, _ int) { held[inode] = true }}
	if err = w.process(pid); err == nil && w.Unreadable > 0 {
		err = unix.EACCES
	}
	if err != nil {
		return nil, fmt.Errorf("read the descriptors of process %d: %w", pid, err)
	}
	return held, nil
}

// walker is a walk under way.
type walker struct {
	ProcessWalk
	wanted func(inode uint32) bool // nil: all are of interest
	found  func(inode uint32, pid int)
	proc   int // descriptor of the root
	buffer []byte
	path   [32]byte
	link   [64]byte // no link to a socket is longer
}

// walk goes over the processes below root.
func (w *walker) walk(ctx context.Context, root string) error {
	proc, err := openDirectory(unix.AT_FDCWD, root)
	if err != nil {
		return &fs.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(proc)
	w.proc, w.buffer = proc, make([]byte, 32<<10)
	err = eachProcess(ctx, proc, w.process) // with a buffer of its own: the walk over descriptors happens inside
	if err != nil && ctx.Err() == nil {
		err = &fs.PathError{Op: "read", Path: root, Err: err}
	}
	return err
}

// process looks at the descriptors of one process.
func (w *walker) process(pid int) error {
	name := appendNumber(w.path[:0], uint64(pid))
	dir, err := openDirectory(w.proc, string(append(name, "/fd"...)))
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		w.Unreadable++
		return nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOTDIR):
		return nil // it has ended
	case err != nil:
		return err
	}
	defer unix.Close(dir)
	err = eachName(dir, w.buffer, func(name []byte) error {
		if name[0] == '.' {
			return nil
		}
		w.Files++
		if inode, ok := parseSocketLink(w.readLink(dir, name)); ok && (w.wanted == nil || w.wanted(inode)) {
			w.found(inode, pid)
		}
		return nil
	})
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		w.Unreadable++
		return nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH):
		return nil
	}
	w.Processes++
	return err
}

// name returns what the process calls itself, or "" if it has ended.
func (w *walker) name(pid int) string {
	path := appendNumber(w.path[:0], uint64(pid))
	return readName(w.proc, string(append(path, "/comm"...)))
}

// readName returns the text of a short file of one line, or "".
func readName(dir int, path string) string {
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var text [64]byte
	n, err := unix.Read(fd, text[:])
	if err != nil || n <= 0 {
		return ""
	}
	return strings.TrimSuffix(string(text[:n]), "\n")
}

// readLink returns the target of a link, cut off at the length of w.link. The name
// lies in a directory buffer and is followed by a zero byte. One call for each
// descriptor on the host: neither a string nor a path is built.
func (w *walker) readLink(dir int, name []byte) []byte {
	n, _, errno := unix.Syscall6(unix.SYS_READLINKAT, uintptr(dir),
		uintptr(unsafe.Pointer(unsafe.SliceData(name))),
		uintptr(unsafe.Pointer(&w.link[0])), uintptr(len(w.link)), 0, 0)
	if errno != 0 || n > uintptr(len(w.link)) {
		return nil
	}
	return w.link[:n]
}

// openDirectory opens a directory for eachName.
func openDirectory(dir int, path string) (int, error) {
	for {
		fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// eachName calls f with the names in an open directory, each followed by a zero
// byte in the buffer and valid until f returns.
func eachName(dir int, buffer []byte, f func(name []byte) error) error {
	for {
		n, err := unix.Getdents(dir, buffer)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		for entries := buffer[:n]; ; {
			name, rest, ok := nextEntry(entries)
			if !ok {
				break
			}
			if err := f(name); err != nil {
				return err
			}
			entries = rest
		}
	}
}

// parseSocketLink reads the inode out of "socket:[4711]".
func parseSocketLink(link []byte) (uint32, bool) {
	const prefix = "socket:["
	if len(link) <= len(prefix) || string(link[:len(prefix)]) != prefix || link[len(link)-1] != ']' {
		return 0, false
	}
	n, ok := parseNumber(link[len(prefix) : len(link)-1])
	return uint32(n), ok && n <= math.MaxUint32
}
