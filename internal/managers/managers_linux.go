// Package managers finds the programs that add and delete MPTCP endpoints beside the
// administrator: NetworkManager (since 1.40) and mptcpd. systemd-networkd is none of
// them: it has no setting for MPTCP.
package managers

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"mptcpctl/internal/owners"
	"mptcpctl/mptcp"
)

// The programs, by the names that their processes have.
const (
	NetworkManager = "NetworkManager"
	Daemon         = "mptcpd"
)

// Is reports whether a program of that name manages endpoints.
func Is(name string) bool { return name == NetworkManager || name == Daemon }

// Found are the processes that manage endpoints, sorted by the network namespace that
// they are in.
type Found struct {
	Here []mptcp.Process // in the namespace of the calling thread
	// Maybe are those whose namespace the caller may not see, because they belong to
	// another user.
	Maybe []mptcp.Process
	// Elsewhere are those in other namespaces.
	Elsewhere []Elsewhere
}

// Elsewhere is a process in another network namespace.
type Elsewhere struct {
	mptcp.Process
	Netns string // as /proc/PID/ns/net names it: "net:[4026531840]"
}

// Program is a process that manages endpoints, with its network namespace.
type Program struct {
	mptcp.Process
	Netns  string // as /proc/PID/ns/net names it, "" where it is hidden
	Hidden bool   // the caller may not see its namespace
}

// Find goes over the processes below proc, where procfs is mounted. Processes that end
// meanwhile are no error.
func Find(ctx context.Context, proc string) (Found, error) {
	home, err := os.Readlink(filepath.Join(proc, "thread-self/ns/net"))
	if err != nil {
		return Found{}, err
	}
	all, err := All(ctx, proc)
	return Sort(all, home), err
}

// All is Find for several namespaces: [Sort] tells what one of them finds.
func All(ctx context.Context, proc string) ([]Program, error) {
	var all []Program
	err := owners.Each(ctx, proc, func(pid int) error {
		p := Program{Process: mptcp.Process{PID: pid, Name: owners.Name(proc, pid)}}
		if !Is(p.Name) {
			return nil
		}
		there, err := os.Readlink(filepath.Join(proc, strconv.Itoa(pid), "ns/net"))
		p.Netns, p.Hidden = there, errors.Is(err, fs.ErrPermission)
		if err == nil || p.Hidden { // else it has ended
			all = append(all, p)
		}
		return nil
	})
	return all, err
}

// Sort sorts the programs as the namespace home sees them, which is named as
// /proc/PID/ns/net names it.
func Sort(all []Program, home string) (found Found) {
	for _, p := range all {
		switch {
		case p.Hidden:
			found.Maybe = append(found.Maybe, p.Process)
		case p.Netns == home:
			found.Here = append(found.Here, p.Process)
		default:
			found.Elsewhere = append(found.Elsewhere, Elsewhere{p.Process, p.Netns})
		}
	}
	return found
}
