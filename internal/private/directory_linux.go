package private

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// ErrForeign says that a file or folder is not ours alone: somebody else owns it or may
// write to it, or it is a link.
var ErrForeign = errors.New("not ours alone")

// mostText is the size of the largest file that is read.
const mostText = 16 << 20

// Directory is a folder for files of ours.
type Directory struct {
	path string
	file *os.File
}

// OpenDirectory opens a folder for reading. The error is [fs.ErrNotExist] where there is
// none.
func OpenDirectory(path string) (*Directory, error) {
	f, err := os.OpenFile(path, unix.O_DIRECTORY|os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return &Directory{path, f}, nil
}

// MakeDirectory opens a folder for writing, and makes it where there is none. The error
// is [ErrForeign] where others own it or may write to it.
func MakeDirectory(path string) (*Directory, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, err
	}
	d, err := OpenDirectory(path)
	if err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Close closes the folder.
func (d *Directory) Close() error { return d.file.Close() }

// check returns an error where the folder is not ours alone.
func (d *Directory) check() error { return check(d.file, d.path, unix.S_IFDIR) }

// Read returns the text of a file. The error is [fs.ErrNotExist] where there is none,
// and [ErrForeign] where it, or the folder, is not ours alone.
func (d *Directory) Read(name string) ([]byte, error) {
	f, err := d.open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := errors.Join(d.check(), check(f, f.Name(), unix.S_IFREG)); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, mostText+1))
	if err == nil && len(text) > mostText {
		err = &fs.PathError{Op: "read", Path: f.Name(), Err: fmt.Errorf("larger than %d MiB", mostText>>20)}
	}
	return text, err
}

// Replace gives the file that content, in one step. The folder was opened by
// [MakeDirectory]; two may not replace one file at the same time.
func (d *Directory) Replace(name string, content []byte, mode fs.FileMode) (err error) {
	next := name + ".new"
	if err := d.Remove(next); err != nil {
		return err
	}
	f, err := d.open(next, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, uint32(mode.Perm()))
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := unix.Renameat(d.fd(), next, d.fd(), name); err != nil {
		return &fs.PathError{Op: "rename", Path: filepath.Join(d.path, next), Err: err}
	}
	return nil
}

// Remove removes a file; that there is none is no error.
func (d *Directory) Remove(name string) error {
	if err := unix.Unlinkat(d.fd(), name, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return &fs.PathError{Op: "remove", Path: filepath.Join(d.path, name), Err: err}
	}
	return nil
}

// Lock takes the lock of that name until the file is closed. The error is
// [unix.EWOULDBLOCK] where somebody else has it.
func (d *Directory) Lock(name string) (*os.File, error) {
	f, err := d.open(name, unix.O_RDWR|unix.O_CREAT|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lock locks a file of ours, after it has seen to it that nobody else can: whoever may
// open a file may lock it.
func lock(f *os.File) error {
	err := check(f, f.Name(), unix.S_IFREG)
	if err == nil {
		err = f.Chmod(0o600)
	}
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}

func (d *Directory) fd() int { return int(d.file.Fd()) }

// open opens a file of the folder, and no link.
func (d *Directory) open(name string, flags int, mode uint32) (*os.File, error) {
	return openAt(d.fd(), name, filepath.Join(d.path, name), flags, mode)
}

func openAt(at int, name, path string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Openat(at, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, foreign(path, "it is a symbolic link")
	case err != nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// check returns an error where the file is of another type, or not ours alone.
func check(f *os.File, path string, typ uint32) error {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	switch {
	case s.Mode&unix.S_IFMT != typ:
		return foreign(path, "it is of another type than it should be")
	case !slices.Contains([]int{0, os.Geteuid()}, int(s.Uid)):
		return foreign(path, fmt.Sprintf("it belongs to user %d", s.Uid))
	case s.Mode&0o022 != 0:
		return foreign(path, fmt.Sprintf("others may write to it (mode %04o)", s.Mode&0o7777))
	case typ == unix.S_IFREG && s.Nlink > 1:
		return foreign(path, "it has another name besides")
	}
	return nil
}

func foreign(path, why string) error {
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%w: %s", ErrForeign, why)}
}
