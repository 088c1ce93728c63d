package source

import (
	"context"
	"iter"

	"mptcpctl/counters"
	"mptcpctl/hostnet"
	"mptcpctl/internal/owners"
	"mptcpctl/internal/source/gather"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// View is one network namespace as the commands ask about it: of the running kernel
// (package live), or of a recording (package recording), with the same decoders. Who
// needs less than all takes one of its parts.
type View interface {
	// Netns returns the name that the namespace's objects carry, "" for the
	// reader's own.
	Netns() string
	// Enter returns what mptcpctl's -n takes to mean the namespace, as
	// [doctor.Facts] has it.
	Enter() string

	Sockets
	Settings
	Network
	gather.Site
}

// Sockets tells of the connections of a namespace, and of who holds them.
type Sockets interface {
	// Snapshot returns the connections, their subflows and what belongs to them.
	Snapshot(ctx context.Context) (track.Snapshot, error)
	// Listing returns what Snapshot does of connections and subflows, in less
	// memory: for lists that are only shown. [track.Listing] says what brief leaves
	// out.
	Listing(ctx context.Context, brief bool) (*track.Listing, error)
	// CheckSubflows returns an error where connections without a subflow may have some
	// that the kernel kept back, as [sockdiag.Client.CheckSubflows] does.
	CheckSubflows(ctx context.Context) error
	// Listeners returns the MPTCP listeners.
	Listeners(ctx context.Context) ([]Listener, error)
	// Processes returns which processes hold the sockets with the wanted inodes, those
	// of other network namespaces too: an inode is the host's.
	Processes(ctx context.Context, wanted func(inode uint32) bool) (map[uint32][]mptcp.Process, error)
	// Holders finds the processes that hold the sockets of a set, as
	// [owners.Sockets.Find] does.
	Holders(ctx context.Context, sockets *owners.Sockets) error
}

// Settings are what an administrator sets for MPTCP, and what the kernel counts.
type Settings interface {
	// Endpoints, Endpoint and Limits are those of [pathmanager.Client].
	Endpoints(ctx context.Context) iter.Seq2[mptcp.Endpoint, error]
	Endpoint(ctx context.Context, id mptcp.AddressID) (mptcp.Endpoint, error)
	Limits(ctx context.Context) (mptcp.Limits, error)
	// Sysctls returns the settings of MPTCP.
	Sysctls() (counters.Sysctls, error)
	// MPTCPCounters returns the counters. The error is [mptcp.ErrNotSupported]
	// where the kernel has none.
	MPTCPCounters() (counters.Values, error)
}

// Network tells of the ways out of a namespace.
type Network interface {
	// Paths returns the candidate paths, as [hostnet.Reader.Paths] does.
	Paths(ctx context.Context, key hostnet.LookupRequest) (hostnet.PathReport, error)
	// DeviceName returns the name of a device, "if7" where there is none. It is
	// foreign: escape it before showing.
	DeviceName(index int32) string
}

// Source is a track.Source that also answers the commands, one view for each
// network namespace.
type Source interface {
	track.Source
	// Views returns the namespaces, the reader's own first. They are good until
	// the source is closed.
	Views() []View
	Close() error
}

// Listener is an MPTCP listener.
type Listener = gather.Listener
