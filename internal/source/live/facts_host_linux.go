package live

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/internal/kernel"
	"mptcpctl/internal/managers"
	"mptcpctl/internal/source/gather"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// KernelFacts returns what can be known without the path manager: why there is no
// MPTCP here, where Dial says that it is not supported.
func KernelFacts() doctor.Facts {
	h := &Host{counters: counters.New(""), walk: walkProcesses}
	g := &gathering{
		h: h,
		c: &gather.Config{},
		f: doctor.Facts{Time: time.Now(), Kernel: doctor.Kernel{Release: kernel.Release()}},
	}
	g.trySocket()
	if sysctls, err := h.counters.Sysctls(); err == nil {
		g.f.Sysctls = sysctls
	}
	g.gap("endpoints, limits and connections", "the kernel has no path manager")
	return g.f
}

func (g *gathering) kernel() {
	g.f.Kernel.Release = kernel.Release()
	g.f.Kernel.Events = new(g.h.pm.Family().Events != 0)
	g.trySocket()
}

// trySocket opens an MPTCP socket: only that tells whether one may.
func (g *gathering) trySocket() {
	err := g.h.inside(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, uapi.IPPROTO_MPTCP)
		if err == nil {
			unix.Close(fd)
		}
		return err
	})
	if errno, ok := errors.AsType[syscall.Errno](err); ok || err == nil {
		g.f.Kernel.SocketTried, g.f.Kernel.SocketError = true, errno
	}
}

// settings reads net.mptcp, what the devices have set, and who listens to events.
func (g *gathering) settings(ctx context.Context) {
	err := g.h.inside(func() error {
		sysctls, err := g.h.counters.Sysctls()
		if err != nil {
			g.miss("the settings net.mptcp", err)
		} else {
			g.f.Sysctls = sysctls
		}
		g.devices()
		g.subscribers(ctx)
		return nil
	})
	if err != nil {
		g.miss("the settings of the network namespace", err)
	}
}

// devices reads net.ipv4.conf of every device.
func (g *gathering) devices() {
	entries, err := os.ReadDir("/proc/sys/net/ipv4/conf")
	if err != nil {
		g.miss("the settings net.ipv4.conf", err)
		return
	}
	g.f.IPv4 = make(map[string]counters.IPv4Conf, len(entries))
	for _, entry := range entries {
		conf, err := g.h.counters.IPv4Conf(entry.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // the device went
		}
		if err != nil {
			g.miss("the settings net.ipv4.conf", err)
			return
		}
		g.f.IPv4[entry.Name()] = conf
	}
}

// watchers are programs that listen to events and manage no paths.
var watchers = []string{"mptcpctl", "ip", "ip-mptcp"}

// subscribers counts the sockets in the event group, but for this program's, and
// those of programs that only watch.
func (g *gathering) subscribers(ctx context.Context) {
	const protocol = unix.NETLINK_GENERIC
	group := g.h.pm.Family().Events
	if group == 0 || group > 32 { // the kernel shows the first 32 groups
		return
	}
	sockets, err := g.h.counters.NetlinkSockets()
	if err != nil {
		g.miss("who listens to events", err)
		return
	}
	listening := map[uint32]bool{}
	for _, s := range sockets {
		if s.Protocol == protocol && s.PortID != 0 && s.Groups&(1<<(group-1)) != 0 && !g.round.ours(s.Inode) {
			listening[s.Inode] = true
		}
	}
	if len(listening) > 0 {
		// Where it is not known who holds a socket, it may be a daemon.
		holders, _ := g.h.walk(ctx, listening)
		for inode, processes := range holders.Owners {
			if !slices.ContainsFunc(
				processes, func(p mptcp.Process) bool { return !slices.Contains(watchers, p.Name) },
			) {
				delete(listening, inode)
			}
		}
	}
	n := len(listening)
	g.f.Subscribers = &n
}

// managers finds the programs that manage endpoints and run in the namespace, or may.
func (g *gathering) managers(context.Context) {
	const what = "the programs that manage endpoints"
	all, err := g.round.managers()
	var home string
	if err == nil {
		err = g.h.inside(func() (err error) {
			home, err = os.Readlink("/proc/thread-self/ns/net")
			return err
		})
	}
	if err != nil {
		g.miss(what, err)
		return
	}
	found := managers.Sort(all, home)
	g.f.Managers, g.f.MaybeManagers = found.Here, found.Maybe
	for _, p := range found.Elsewhere {
		if p.Name == managers.NetworkManager {
			g.managed = append(g.managed, p.Netns)
		}
	}
	if len(found.Maybe) > 0 {
		g.gap(what, "only root can see whether "+found.Maybe[0].Name+" runs in this network namespace")
	}
}

// outside looks at what is not of the namespace: the ip command.
func (g *gathering) outside(ctx context.Context) {
	if g.c.Alone {
		return
	}
	g.f.IPRoute2 = g.round.ip(ctx)
}

// ipVersion reads what `ip -V` prints: "ip utility, iproute2-6.1.0, libbpf 1.1.2".
func ipVersion(text []byte) string {
	_, rest, ok := bytes.Cut(text, []byte("iproute2-"))
	if !ok {
		return ""
	}
	end := bytes.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end >= 0 {
		rest = rest[:end]
	}
	return string(rest)
}
