package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Create creates a file that only its owner may read, for writing. One that exists is
// refused with [fs.ErrExist], and taken over with overwrite: emptied, and then the
// owner's alone too. What is no file of ours is never taken over: the error of a link,
// or of somebody else's file, is [ErrForeign]. A pipe or a device is opened as it is.
func Create(path string, overwrite bool) (*os.File, error) {
	f, err := openAt(unix.AT_FDCWD, path, path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if !overwrite || !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if f, err = openAt(unix.AT_FDCWD, path, path, unix.O_WRONLY, 0); err != nil {
		return nil, err
	}
	if err := takeOver(f, path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// takeOver empties a file of ours and keeps others from it.
func takeOver(f *os.File, path string) error {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	switch {
	case s.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil
	case int(s.Uid) != os.Geteuid():
		return foreign(path, fmt.Sprintf("it belongs to user %d", s.Uid))
	case s.Nlink > 1:
		return foreign(path, "it has another name besides")
	}
	return errors.Join(f.Chmod(0o600), f.Truncate(0))
}
