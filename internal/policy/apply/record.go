package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"mptcpctl/hostnet"
	"mptcpctl/internal/policy"

	"golang.org/x/sys/unix"
)

// Directory is where it is kept which endpoints a policy has made. It is
// emptied when the machine starts, as the kernel's endpoints are.
const Directory = "/run/mptcpctl"

// recordFile is the file of one network namespace.
type recordFile struct {
	directory, path string
	held            *os.File
}

func newRecordFile(directory string) (*recordFile, error) {
	ns, err := hostnet.CurrentNamespace()
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	inode, err := ns.Inode()
	if err != nil {
		return nil, err
	}
	return &recordFile{directory: directory, path: filepath.Join(directory, fmt.Sprintf("policy-%d.json", inode))}, nil
}

// lock sees to it that nobody else applies a policy here, until close.
func (r *recordFile) lock() error {
	if err := os.MkdirAll(r.directory, 0o755); err != nil {
		return fmt.Errorf("%w (--state names another folder)", err)
	}
	file, err := os.OpenFile(r.path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("%w (--state names another folder)", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("another `policy watch` or `policy apply` runs in this network namespace (it holds %s)", r.path+".lock")
		}
		return &fs.PathError{Op: "lock", Path: r.path + ".lock", Err: err}
	}
	r.held = file
	return nil
}

func (r *recordFile) close() {
	if r.held != nil {
		r.held.Close()
	}
}

// load returns what is recorded; nothing where there is no record.
func (r *recordFile) load() (*policy.State, error) {
	s := &policy.State{}
	text, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%s: %w", r.path, err)
	}
	return s, nil
}

// save replaces the record.
func (r *recordFile) save(s *policy.State) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(r.path+".new", r.path)
}
