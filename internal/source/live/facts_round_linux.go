package live

import (
	"context"
	"os/exec"
	"sync"
	"time"

	"mptcpctl/internal/managers"
	"mptcpctl/internal/owners"
)

// round is what several gatherings at the same time have in common: what is the same in
// all network namespaces is read once, and not once for each.
type round struct {
	together bool // the other namespaces are gathered too: nobody looks into them from here
	many     bool // so many that not each can listen to events

	managers func() ([]managers.Program, error)

	mu      sync.Mutex
	sockets map[uint32]bool // of this process, as of the last look
	foreign map[uint32]bool // sockets that are not this process's, as a look showed
	version *string         // of the ip command
}

func newRound(ctx context.Context) *round {
	find := func() ([]managers.Program, error) { return managers.All(ctx, "/proc") }
	return &round{managers: sync.OnceValues(find), foreign: map[uint32]bool{}}
}

// ours reports whether the socket is this process's. Where /proc is hidden none is.
func (r *round) ours(inode uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.sockets[inode] && !r.foreign[inode] {
		r.sockets, _ = owners.SocketsOf(0) // it may have been opened since the last look
		r.foreign[inode] = !r.sockets[inode]
	}
	return r.sockets[inode]
}

// ip returns the version of the ip command, "" where there is none.
func (r *round) ip(ctx context.Context) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.version == nil {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		text, err := exec.CommandContext(ctx, "ip", "-V").Output()
		if err != nil {
			text = nil // none, or none that says its version
		}
		r.version = new(ipVersion(text))
	}
	return *r.version
}
