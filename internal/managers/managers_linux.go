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

// Find goes over the processes below proc, where procfs is mounted. Processes that end
// meanwhile are no error.
func Find(ctx context.Context, proc string) (Found, error) {
	var found Found
	home, err := os.Readlink(filepath.Join(proc, "thread-self/ns/net"))
	if err != nil {
		return found, err
	}
	err = owners.Each(ctx, proc, func(pid int) error {
		p := mptcp.Process{PID: pid, Name: owners.Name(proc, pid)}
		if !Is(p.Name) {
			return nil
		}
		there, err := os.Readlink(filepath.Join(proc, strconv.Itoa(pid), "ns/net"))
		switch {
		case errors.Is(err, fs.ErrPermission):
			found.Maybe = append(found.Maybe, p)
		case err != nil: // it has ended
		case there == home:
			found.Here = append(found.Here, p)
		default:
			found.Elsewhere = append(found.Elsewhere, Elsewhere{p, there})
		}
		return nil
	})
	return found, err
}
