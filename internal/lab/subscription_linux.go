package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"mptcpctl/hostnet"

	"golang.org/x/sys/unix"
)

// subscription is a generic netlink socket, as the kernel's table shows it.
type subscription struct {
	groups uint32 // the first 32
	drops  uint64
}

// Subscribed reports whether the process has joined a group of generic netlink: in
// the lab that is the one of the path manager's events. Where the group is beyond
// those that the kernel shows, half a second since the start must do.
func (p *Process) Subscribed(since time.Duration) (bool, error) {
	list, err := p.subscriptions()
	for _, s := range list {
		if s.groups != 0 || since > 500*time.Millisecond {
			return true, err
		}
	}
	return false, err
}

// droppedEvents reports whether a generic netlink socket of the process has lost
// messages.
func (p *Process) droppedEvents() (bool, error) {
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
	held, err := hostnet.SocketsOf(p.Pid())
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
		groups, err1 := strconv.ParseUint(f[3], 16, 32)
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
