package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"mptcpctl/internal/owners"
	"mptcpctl/internal/uapi"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// shownGroups is how many groups the kernel's table shows.
const shownGroups = 32

// subscription is a generic netlink socket, as the kernel's table shows it.
type subscription struct {
	groups uint32 // the first shownGroups
	drops  uint64
}

// Subscribed reports whether the process has joined a group of generic netlink: in
// the lab that is the one of the path manager's events. Where the group is beyond
// those that the kernel shows, half a second since the start must do; only there: on
// a busy machine a process may take longer to get so far.
func (p *Process) Subscribed(since time.Duration) (bool, error) {
	list, err := p.subscriptions()
	for _, s := range list {
		if s.groups != 0 || since > 500*time.Millisecond && eventsHidden() {
			return true, err
		}
	}
	return false, err
}

// eventsHidden reports whether the group of the path manager's events is one that the
// kernel's table does not show.
func eventsHidden() bool {
	family, err := netlink.GenlFamilyGet(uapi.PMFamily)
	if err != nil {
		return false // without MPTCP there are no events to wait for
	}
	for _, group := range family.Groups {
		if group.Name == uapi.PMEventGroup {
			return group.ID > shownGroups
		}
	}
	return false
}

// DroppedEvents reports whether a generic netlink socket of the process has lost
// messages.
func (p *Process) DroppedEvents() (bool, error) {
	list, err := p.subscriptions()
	for _, s := range list {
		if s.drops != 0 {
			return true, err
		}
	}
	return false, err
}

// subscriptions returns the generic netlink sockets of the process, none when it has
// ended. Its namespace may have others: who watches all namespaces of the machine
// opens one in each.
func (p *Process) subscriptions() ([]subscription, error) {
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/netlink", p.Pid()))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.EINVAL):
		return nil, nil // it has ended
	case err != nil:
		return nil, err
	}
	held, err := owners.SocketsOf(p.Pid())
	hidden := errors.Is(err, fs.ErrPermission) // a program with file capabilities: all sockets there count
	if err != nil && !hidden {
		return nil, err
	}
	var list []subscription
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line) // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode
		if len(f) < 10 || f[1] != strconv.Itoa(unix.NETLINK_GENERIC) || f[2] == "0" {
			continue
		}
		groups, err1 := strconv.ParseUint(f[3], 16, shownGroups)
		drops, err2 := strconv.ParseUint(f[8], 10, 64)
		inode, err3 := strconv.ParseUint(f[9], 10, 32)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("/proc/net/netlink: %w", err)
		}
		if hidden || held[uint32(inode)] {
			list = append(list, subscription{uint32(groups), drops})
		}
	}
	return list, nil
}
