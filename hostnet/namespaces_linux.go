package hostnet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"mptcpctl/internal/owners"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NamedNamespace is a network namespace that is in use on the host.
type NamedNamespace struct {
	Name      string `json:"name,omitempty"`      // in /run/netns, as `ip netns` knows it
	Path      string `json:"path"`                // for OpenNamespace
	PID       int    `json:"pid,omitempty"`       // the least process id in it, 0 if it has none
	Process   string `json:"process,omitempty"`   // what that process calls itself: foreign, escape it before showing
	Container string `json:"container,omitempty"` // a hint from its control group
	Inode     uint64 `json:"inode"`               // identifies the namespace while it lives
	Current   bool   `json:"current,omitempty"`   // the calling thread's
}

// String returns the name, or "pid N" where it has none.
func (n NamedNamespace) String() string {
	switch {
	case n.Name != "":
		return n.Name
	case n.PID != 0:
		return "pid " + strconv.Itoa(n.PID)
	}
	return fmt.Sprintf("net:[%d]", n.Inode)
}

// NamespaceList is what a search for network namespaces found.
type NamespaceList struct {
	Namespaces []NamedNamespace `json:"namespaces"` // the current one first, then named ones
	Unreadable int              `json:"unreadable"` // processes of others, whose namespaces may be missing
}

// NamespaceSearch tells where to look for network namespaces. The zero value is
// the live host.
type NamespaceSearch struct {
	Proc  string   // where procfs is mounted, "/proc" if empty
	Named []string // directories of named namespaces, /run/netns and /var/run/netns if nil
}

// Namespaces returns every network namespace that has a name or a process which
// the caller may look into (root sees all).
func Namespaces(ctx context.Context) ([]NamedNamespace, error) {
	list, err := NamespaceSearch{}.List(ctx)
	return list.Namespaces, err
}

// namespaceID identifies a namespace: the device and inode of its nsfs file.
type namespaceID struct{ device, inode uint64 }

// List searches. Names come before processes: a namespace that has both is listed
// by its name, with the process.
func (s NamespaceSearch) List(ctx context.Context) (NamespaceList, error) {
	proc := cmp.Or(s.Proc, "/proc")
	found := namespaceFinder{proc: proc, index: map[namespaceID]int{}}
	current := filepath.Join(proc, "thread-self", "ns", "net")
	id, err := identify(current)
	if err != nil {
		return NamespaceList{}, &Error{Op: "open", Object: current, Err: err}
	}
	found.add(id, NamedNamespace{Path: current, Current: true})
	dirs := s.Named
	if dirs == nil {
		dirs = []string{"/run/netns", "/var/run/netns"}
	}
	for _, dir := range dirs {
		if err := found.named(dir); err != nil {
			return NamespaceList{}, err
		}
	}
	if err := found.processes(ctx); err != nil {
		return NamespaceList{}, err
	}
	slices.SortStableFunc(found.list.Namespaces, func(a, b NamedNamespace) int {
		return cmp.Or(compareBool(b.Current, a.Current), compareBool(b.Name != "", a.Name != ""),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.PID, b.PID))
	})
	return found.list, nil
}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// namespaceFinder is a search under way.
type namespaceFinder struct {
	proc  string
	list  NamespaceList
	index map[namespaceID]int // into the list
}

// add lists a namespace, or completes the entry that it has.
func (f *namespaceFinder) add(id namespaceID, n NamedNamespace) {
	i, ok := f.index[id]
	if !ok {
		n.Inode = id.inode
		f.index[id] = len(f.list.Namespaces)
		f.list.Namespaces = append(f.list.Namespaces, n)
		return
	}
	entry := &f.list.Namespaces[i]
	if entry.Name == "" && n.Name != "" {
		entry.Name, entry.Path = n.Name, n.Path
	}
	if entry.PID == 0 && n.PID != 0 {
		entry.PID, entry.Process, entry.Container = n.PID, n.Process, n.Container
		if entry.Name == "" {
			entry.Path = n.Path // good on every thread, unlike that of the current one
		}
	}
}

// named lists the namespaces that have a name in the directory, which need not
// exist. Files there that are no namespace are left over from one that is gone.
func (f *namespaceFinder) named(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return &Error{Op: "read", Object: dir, Err: err}
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if id, err := identify(path); err == nil {
			f.add(id, NamedNamespace{Name: e.Name(), Path: path})
		}
	}
	return nil
}

// processes lists the namespaces of the processes.
func (f *namespaceFinder) processes(ctx context.Context) error {
	err := owners.Each(ctx, f.proc, func(pid int) error {
		path := filepath.Join(f.proc, strconv.Itoa(pid), "ns", "net")
		id, err := identify(path)
		switch {
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
			f.list.Unreadable++
			return nil
		case err != nil:
			return nil // it has ended
		}
		if i, ok := f.index[id]; ok && f.list.Namespaces[i].PID != 0 {
			return nil // known with a process already: most processes end here
		}
		f.add(id, NamedNamespace{
			PID: pid, Path: path, Process: owners.Name(f.proc, pid), Container: owners.Container(f.proc, pid),
		})
		return nil
	})
	if refused, ok := errors.AsType[*fs.PathError](err); ok {
		return &Error{Op: refused.Op, Object: refused.Path, Err: refused.Err}
	}
	return err
}

// identify returns which namespace the file is. The error is [unix.EINVAL] where
// it is none.
func identify(path string) (namespaceID, error) {
	var fsinfo unix.Statfs_t
	if err := unix.Statfs(path, &fsinfo); err != nil {
		return namespaceID{}, err
	}
	if int64(fsinfo.Type) != unix.NSFS_MAGIC {
		return namespaceID{}, unix.EINVAL
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return namespaceID{}, err
	}
	return namespaceID{device: uint64(stat.Dev), inode: stat.Ino}, nil
}

// Inode returns the inode of the namespace, which identifies it while it lives.
func (n *Namespace) Inode() (uint64, error) {
	var stat unix.Stat_t
	if err := n.use(func(fd int) error { return unix.Fstat(fd, &stat) }); err != nil {
		return 0, &Error{Op: "stat", Object: n.file.Name(), Err: err}
	}
	return stat.Ino, nil
}

// NSID returns the id by which the reader's namespace knows the other one, and
// whether it has given it any: without one, no events of it are heard.
func (r *Reader) NSID(n *Namespace) (id int32, ok bool, err error) {
	return r.nsid("the network namespace "+n.file.Name(), func(h *netlink.Handle) (id int, err error) {
		err = n.use(func(fd int) (err error) {
			id, err = h.GetNetNsIdByFd(fd)
			return err
		})
		return id, err
	})
}

// NSIDOfProcess returns the id by which the reader's namespace knows that of a
// process, and whether it has given it any. The error is [io/fs.ErrNotExist] or
// [syscall.ESRCH] where there is no such process.
func (r *Reader) NSIDOfProcess(pid int) (id int32, ok bool, err error) {
	return r.nsid("process "+strconv.Itoa(pid), func(h *netlink.Handle) (int, error) { return h.GetNetNsIdByPid(pid) })
}

// nsid asks for the id of a namespace; -1 is the kernel's word for none.
func (r *Reader) nsid(object string, ask func(*netlink.Handle) (int, error)) (int32, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usable(); err != nil {
		return 0, false, &Error{Op: "namespace id of", Object: object, Err: err}
	}
	id := 0
	err := r.ask(func(h *netlink.Handle) (err error) {
		id, err = ask(h)
		return err
	})
	if err != nil {
		return 0, false, &Error{Op: "namespace id of", Object: object, Err: err}
	}
	return int32(id), id >= 0, nil
}
