package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mptcpctl/hostnet"
	"mptcpctl/internal/policy"
	"mptcpctl/internal/private"

	"golang.org/x/sys/unix"
)

// Directory is where it is kept which endpoints a policy has made. It is
// emptied when the machine starts, as the kernel's endpoints are.
const Directory = "/run/mptcpctl"

// recordFile is the file of one network namespace. It is named after the namespace's
// cookie, which the kernel never gives to another one while it runs, as it does with
// inodes; which boot it belongs to stands in it.
type recordFile struct {
	directory, name string
	inode           string // the file's name before Linux 5.14, and in earlier releases
	boot            string
	folder          *private.Directory // nil until the record is locked
	held            *os.File
}

// recorded is what stands in the file.
type recorded struct {
	policy.State
	Boot string `json:"boot,omitempty"` // the kernel's boot_id; releases before this one left it out
}

const bootID = "/proc/sys/kernel/random/boot_id"

func newRecordFile(directory string) (*recordFile, error) {
	boot, err := os.ReadFile(bootID)
	if err != nil {
		return nil, err
	}
	r := &recordFile{directory: directory, boot: strings.TrimSpace(string(boot))}
	ns, err := hostnet.CurrentNamespace()
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	inode, err := ns.Inode()
	if err != nil {
		return nil, err
	}
	r.inode = fmt.Sprintf("policy-%d.json", inode)
	cookie, err := namespaceCookie()
	switch {
	case errors.Is(err, unix.ENOPROTOOPT): // before Linux 5.14
		r.name = r.inode
	case err != nil:
		return nil, err
	default:
		r.name = fmt.Sprintf("policy-netns-%d.json", cookie)
	}
	return r, nil
}

// namespaceCookie returns the cookie of the calling thread's network namespace
// (SO_NETNS_COOKIE, sk_getsockopt, Linux 5.14).
func namespaceCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return cookie, os.NewSyscallError("getsockopt SO_NETNS_COOKIE", err)
}

// lock sees to it that nobody else applies a policy here, until close.
func (r *recordFile) lock() error {
	folder, err := private.MakeDirectory(r.directory)
	if err != nil {
		return fmt.Errorf("%w (--state names another folder)", err)
	}
	held, err := folder.Lock(r.name + ".lock")
	if err != nil {
		folder.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf(
				"another `policy watch` or `policy apply` is running in this network namespace (it holds %s)",
				filepath.Join(r.directory, r.name+".lock"),
			)
		}
		return fmt.Errorf("%w (--state names another folder)", err)
	}
	r.folder, r.held = folder, held
	return nil
}

func (r *recordFile) close() {
	if r.held != nil {
		r.held.Close()
		r.folder.Close()
	}
}

// load returns what is recorded; nothing where there is no record, or one of an earlier
// boot: the endpoints went with it.
func (r *recordFile) load() (*policy.State, error) {
	folder := r.folder
	if folder == nil {
		var err error
		folder, err = private.OpenDirectory(r.directory)
		if errors.Is(err, fs.ErrNotExist) {
			return &policy.State{}, nil
		}
		if err != nil {
			return nil, err
		}
		defer folder.Close()
	}
	s, err := r.read(folder, r.name)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	if inodeHolds() {
		s, err = r.read(folder, r.inode)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &policy.State{}, nil
	}
	return s, err
}

// read reads the file of that name.
func (r *recordFile) read(folder *private.Directory, name string) (*policy.State, error) {
	text, err := folder.Read(name)
	if err != nil {
		return nil, err
	}
	var s recorded
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(r.directory, name), err)
	}
	if s.Boot != "" && s.Boot != r.boot || s.Boot == "" && !r.sinceBoot(name) {
		return &policy.State{}, nil
	}
	return &s.State, nil
}

// inodeHolds reports whether a file that is named after the inode is about this network
// namespace, as earlier releases named it: that of the first network namespace is given
// to no other one. Only there the settings of all devices can be seen (net_core_table,
// registered for init_net alone).
func inodeHolds() bool {
	_, err := os.Stat("/proc/sys/net/core/netdev_budget")
	return err == nil
}

// sinceBoot reports whether the file was written since the machine started.
func (r *recordFile) sinceBoot(name string) bool {
	info, err := os.Stat(filepath.Join(r.directory, name))
	if err != nil {
		return false
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return false
	}
	return time.Since(info.ModTime()) < time.Duration(up.Nano())
}

// save replaces the record, and takes away what an earlier release wrote.
func (r *recordFile) save(s *policy.State) error {
	text, err := json.Marshal(recorded{State: *s, Boot: r.boot})
	if err != nil {
		return err
	}
	if err := r.folder.Replace(r.name, append(text, '\n'), 0o644); err != nil {
		return err
	}
	if r.name == r.inode {
		return nil
	}
	return r.folder.Remove(r.inode)
}
