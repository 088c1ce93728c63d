package live_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mptcpctl/hostnet"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/source/live"
)

// containerHost is a procfs of a few processes, as far as a search for namespaces
// reads it.
type containerHost struct {
	proc string
	own  *lab.Namespace
}

func newContainerHost(t *testing.T) *containerHost {
	t.Helper()
	c := &containerHost{t.TempDir(), host(t)}
	if err := os.Symlink("/proc/thread-self", filepath.Join(c.proc, "thread-self")); err != nil {
		t.Fatal(err)
	}
	return c
}

// process adds one in a namespace of its own. It returns the namespace's inode and
// its number.
func (c *containerHost) process(t *testing.T, cgroup string) (inode uint64, pid int) {
	t.Helper()
	ns := host(t)
	inode, err := ns.Inode()
	if err != nil {
		t.Fatal(err)
	}
	_, p := inhabit(t, ns)
	dir := filepath.Join(c.proc, strconv.Itoa(p.Pid()))
	err = errors.Join(
		os.Mkdir(dir, 0o755),
		os.Symlink(fmt.Sprintf("/proc/%d/ns", p.Pid()), filepath.Join(dir, "ns")),
		os.WriteFile(filepath.Join(dir, "cgroup"), []byte(cgroup), 0o644),
		os.WriteFile(filepath.Join(dir, "comm"), []byte("sleep\n"), 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
	return inode, p.Pid()
}

// self is the name of the own namespace, of which the procfs shows no process.
func (c *containerHost) self(t *testing.T) string {
	t.Helper()
	inode, err := c.own.Inode()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("net:[%d]", inode)
}

// dial opens all namespaces, and returns their names and what is left out.
func (c *containerHost) dial(t *testing.T, capabilities uint32) (names, told []string) {
	t.Helper()
	err := c.own.Do(func() error {
		return without(capabilities, func() error {
			hosts, err := live.DialAll(t.Context(), &live.HostsConfig{
				Search: hostnet.NamespaceSearch{Proc: c.proc, Named: []string{t.TempDir()}},
				Warn:   func(err error) { told = append(told, err.Error()) },
			})
			if err == nil {
				names = netnsNames(hosts.Views())
				hosts.Close()
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names, told
}

// without runs f on a thread that lacks these capabilities meanwhile.
func without(capabilities uint32, f func() error) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before [2]unix.CapUserData
	if err := unix.Capget(&header, &before[0]); err != nil {
		return err
	}
	less := before
	less[0].Effective &^= capabilities
	if err := unix.Capset(&header, &less[0]); err != nil {
		return err
	}
	return errors.Join(f(), unix.Capset(&header, &before[0]))
}

// TestNamespacesOfContainers: a namespace without a name is known by the container
// that is in it, and two of one container are told apart.
func TestNamespacesOfContainers(t *testing.T) {
	c := newContainerHost(t)
	id := strings.Repeat("3f2a1b0c", 8)
	var inodes []uint64
	for range 2 {
		inode, _ := c.process(t, "0::/system.slice/docker-"+id+".scope\n")
		inodes = append(inodes, inode)
	}
	c.process(t, "0::/lxc.payload.web/init.scope\n")
	_, pid := c.process(t, "0::/user.slice/session-2.scope\n")
	names, told := c.dial(t, 0)
	want := []string{"docker 3f2a1b0c3f2a", "lxc web", c.self(t), fmt.Sprintf("pid %d", pid)}
	either := func(inode uint64) []string {
		return slices.Insert(slices.Clone(want), 1, fmt.Sprintf("docker 3f2a1b0c3f2a net:[%d]", inode))
	}
	if !slices.Equal(names, either(inodes[0])) && !slices.Equal(names, either(inodes[1])) {
		t.Errorf("namespaces %q, want %q and another of docker", names, want)
	}
	if len(told) != 0 {
		t.Errorf("left out: %q", told)
	}
}

// TestNamespacesOfOthers: who may not look into a process is told so, once, and sees
// the others.
func TestNamespacesOfOthers(t *testing.T) {
	c := newContainerHost(t)
	c.process(t, "0::/lxc.payload.web/init.scope\n")
	for _, pid := range []string{"77", "78"} {
		hidden := filepath.Join(c.proc, pid)
		if err := errors.Join(os.Mkdir(hidden, 0o755), os.Mkdir(filepath.Join(hidden, "ns"), 0)); err != nil {
			t.Fatal(err)
		}
	}
	names, told := c.dial(t, 1<<unix.CAP_DAC_OVERRIDE|1<<unix.CAP_DAC_READ_SEARCH)
	if want := []string{"lxc web", c.self(t)}; !slices.Equal(names, want) {
		t.Errorf("namespaces %q, want %q", names, want)
	}
	if len(told) != 1 || !strings.Contains(told[0], "2 processes") || !strings.Contains(told[0], "left out") {
		t.Errorf("told %q", told)
	}
}
