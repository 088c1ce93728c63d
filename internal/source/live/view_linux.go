package live

import (
	"context"
	"iter"

	"mptcpctl/counters"
	"mptcpctl/hostnet"
	"mptcpctl/internal/owners"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
)

var _ source.View = (*Host)(nil)

// Netns returns Config.Netns.
func (h *Host) Netns() string { return h.netns }

// Enter returns Config.Enter.
func (h *Host) Enter() string { return h.enter }

// Views returns the host itself.
func (h *Host) Views() []source.View { return []source.View{h} }

// Processes walks /proc once. Processes of other users are found by root only.
func (h *Host) Processes(ctx context.Context, wanted func(inode uint32) bool) (map[uint32][]mptcp.Process, error) {
	return owners.Processes(ctx, wanted)
}

// Holders finds the processes that hold the sockets.
func (h *Host) Holders(ctx context.Context, sockets *owners.Sockets) error { return sockets.Find(ctx) }

// MPTCPCounters returns the namespace's counters.
func (h *Host) MPTCPCounters() (values counters.Values, err error) {
	err = h.inside(func() error {
		values, err = h.counters.MPTCP()
		return err
	})
	return values, err
}

// Sysctls returns the settings of MPTCP.
func (h *Host) Sysctls() (settings counters.Sysctls, err error) {
	err = h.inside(func() error {
		settings, err = h.counters.Sysctls()
		return err
	})
	return settings, err
}

// Endpoints lists the endpoints.
func (h *Host) Endpoints(ctx context.Context) iter.Seq2[mptcp.Endpoint, error] {
	return h.pm.Endpoints(ctx)
}

// Endpoint returns the endpoint with the id; the error is [io/fs.ErrNotExist] where
// there is none.
func (h *Host) Endpoint(ctx context.Context, id mptcp.AddressID) (mptcp.Endpoint, error) {
	return h.pm.Endpoint(ctx, id)
}

// Limits returns the path manager's limits.
func (h *Host) Limits(ctx context.Context) (mptcp.Limits, error) { return h.pm.Limits(ctx) }

// Paths returns the candidate paths.
func (h *Host) Paths(ctx context.Context, key hostnet.LookupRequest) (hostnet.PathReport, error) {
	return h.network.Paths(ctx, key)
}

// DeviceName asks the kernel for a device once, and remembers it when it is gone.
func (h *Host) DeviceName(index int32) string { return h.names.Name(int(index)) }

// inside runs f where /proc/thread-self is that of the host's namespace.
func (h *Host) inside(f func() error) error {
	if h.home == nil {
		return f()
	}
	return h.home.Do(f)
}
