package force

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// caller is the thread that waits in socket(2), as /proc shows it.
//
// The thread may be gone, and its number may be another's by now. That does no
// harm: a socket made after a look at the wrong thread is never handed over, since
// the notification is no longer valid then, and the kernel says so.
type caller struct {
	tid  uint32
	path string
}

func newCaller(tid uint32) caller {
	return caller{tid: tid, path: "/proc/" + strconv.FormatUint(uint64(tid), 10)}
}

// namespace is the identity of a network namespace.
type namespace struct{ dev, inode uint64 }

func namespaceAt(path string) (namespace, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return namespace{}, err
	}
	return namespace{dev: uint64(st.Dev), inode: st.Ino}, nil
}

// credentials returns the user and group that the kernel gives the thread's new
// sockets. (The owner of /proc/TID is not it: that is root for a daemon that
// dropped its privileges.)
func (c caller) credentials() (uid, gid int, err error) {
	if info, err := pidfdInfo(c.tid); err == nil {
		return int(info.fsuid), int(info.fsgid), nil
	}
	return c.credentialsFromProc()
}

// credentialsFromProc is for kernels before 6.13, at four times the cost.
func (c caller) credentialsFromProc() (uid, gid int, err error) {
	b, err := c.read("status")
	if err != nil {
		return 0, 0, err
	}
	return parseCredentials(b)
}

// parseCredentials takes the file system user and group out of a status file.
func parseCredentials(status []byte) (uid, gid int, err error) {
	if uid, err = statusNumber(status, "Uid:", 3); err != nil {
		return 0, 0, err
	}
	gid, err = statusNumber(status, "Gid:", 3)
	return uid, gid, err
}

// statusNumber returns the n-th number of a line of a status file.
func statusNumber(status []byte, key string, n int) (int, error) {
	for line := range bytes.Lines(status) {
		rest, found := bytes.CutPrefix(line, []byte(key))
		if !found {
			continue
		}
		if fields := bytes.Fields(rest); n < len(fields) {
			return strconv.Atoi(string(fields[n]))
		}
	}
	return 0, fmt.Errorf("no %s in the status of a process", key)
}

// process returns the process of the thread and its name; the number of the thread
// and no name where it is gone.
func (c caller) process() (pid int, name string) {
	pid = int(c.tid)
	if b, err := c.read("status"); err == nil {
		if tgid, err := statusNumber(b, "Tgid:", 0); err == nil {
			pid = tgid
		}
	}
	b, err := newCaller(uint32(pid)).read("comm")
	if err != nil {
		return pid, ""
	}
	return pid, strings.TrimSuffix(string(b), "\n")
}

// read reads a small file of the thread without the runtime's poller.
func (c caller) read(name string) ([]byte, error) {
	fd, err := unix.Open(c.path+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// enter makes the calling thread enter the caller's network namespace.
func (c caller) enter() error {
	fd, err := unix.Open(c.path+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Setns(fd, unix.CLONE_NEWNET)
}

// errElsewhere: the caller is in a network namespace that cannot be entered.
var errElsewhere = errors.New("in another network namespace, which needs CAP_SYS_ADMIN to enter")

// maker makes the sockets. It belongs to one thread, locked to its goroutine.
type maker struct {
	home    namespace
	homeFd  int
	lost    bool // the way home failed: the thread's namespace is not known
	mayGive bool // the supervisor is root: sockets are given to the caller's user
	own     int  // its own user
}

// newMaker returns a maker at home in the calling thread's network namespace.
func newMaker() (*maker, error) {
	const here = "/proc/thread-self/ns/net"
	home, err := namespaceAt(here)
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	fd, err := unix.Open(here, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	return &maker{home: home, homeFd: fd, own: os.Geteuid(), mayGive: os.Geteuid() == 0}, nil
}

// socket makes the MPTCP socket that the caller should have: in its network
// namespace, of its family, blocking or not as it asked, and its user's.
func (m *maker) socket(c caller, family, kind int) (int, error) {
	theirs, err := namespaceAt(c.path + "/ns/net")
	switch {
	case err != nil || m.lost:
		return -1, errElsewhere
	case theirs == m.home:
		return m.open(c, family, kind)
	}
	if err := c.enter(); err != nil {
		return -1, errElsewhere
	}
	fd, err := m.open(c, family, kind)
	if unix.Setns(m.homeFd, unix.CLONE_NEWNET) != nil {
		m.lost = true
	}
	return fd, err
}

// open makes the socket in the thread's present namespace.
func (m *maker) open(c caller, family, kind int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|kind&unix.SOCK_NONBLOCK, protocolMPTCP)
	if err != nil || !m.mayGive {
		return fd, err
	}
	if uid, gid, err := c.credentials(); err == nil && uid != m.own {
		_ = unix.Fchown(fd, uid, gid) // a user unknown to our user namespace: it stays ours
	}
	return fd, nil
}
