package owners

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Each calls f with the id of each process below root, where procfs is mounted, and
// stops at the first error of f or of ctx, which it returns.
func Each(ctx context.Context, root string, f func(pid int) error) error {
	dir, err := openDirectory(unix.AT_FDCWD, root)
	if err != nil {
		return &fs.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	return eachProcess(ctx, dir, f)
}

// eachProcess is Each over an open directory.
func eachProcess(ctx context.Context, dir int, f func(pid int) error) error {
	return eachName(dir, make([]byte, 32<<10), func(name []byte) error {
		pid, ok := parseNumber(name)
		if !ok {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return f(int(pid))
	})
}

// Name returns what the process calls itself, or "" if it has ended. It is foreign
// text: escape it before showing.
func Name(root string, pid int) string {
	return readName(unix.AT_FDCWD, filepath.Join(root, strconv.Itoa(pid), "comm"))
}

// Container returns a hint at the container that the process runs in, such as
// "docker 0123456789ab", or "" where there is no sign of one, where the process has
// ended, and where its control group cannot be read. Control groups are named by
// convention only: it is a hint to show, and foreign text.
func Container(root string, pid int) string {
	cgroup, err := os.ReadFile(filepath.Join(root, strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return ""
	}
	return containerHint(string(cgroup))
}
