package probe

import (
	"context"
	"fmt"
	"net/netip"

	"mptcpctl/hostnet"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
)

// PathManager adds and removes endpoints: CAP_NET_ADMIN.
type PathManager interface {
	AddEndpoint(ctx context.Context, e mptcp.Endpoint) error
	RemoveEndpoint(ctx context.Context, id mptcp.AddressID) error
}

// LendEndpoints gives the usable addresses without an endpoint one, and returns what
// takes them away again. It warns of endpoints that it could not remove.
func LendEndpoints(
	ctx context.Context, pm PathManager, host *live.Host, to netip.Addr, warn func(format string, args ...any),
) (remove func(), err error) {
	var lent []netip.Addr
	remove = func() {
		ctx := context.WithoutCancel(ctx)
		for e, err := range host.Endpoints(ctx) {
			if err != nil {
				break
			}
			for _, addr := range lent {
				if e.Address == addr && e.Flags.CreatesSubflows() {
					if err := pm.RemoveEndpoint(ctx, e.ID); err != nil {
						warn("endpoint %s id %d of the probe stays: %v", addr, e.ID, err)
					}
				}
			}
		}
	}
	report, err := host.Paths(ctx, hostnet.LookupRequest{Dst: to})
	if err != nil {
		return remove, err
	}
	has := map[netip.Addr]bool{}
	for e, err := range host.Endpoints(ctx) {
		if err != nil {
			return remove, err
		}
		has[e.Address] = true
	}
	for _, path := range report.Paths {
		if !path.Usable || path.Initial || path.SharesDevice || has[path.Address] || len(lent) == mostPaths {
			continue
		}
		err := pm.AddEndpoint(
			ctx, mptcp.Endpoint{Address: path.Address, Flags: mptcp.FlagSubflow, IfIndex: int32(path.IfIndex)},
		)
		if err != nil {
			return remove, fmt.Errorf("endpoint for the probe: %w", err)
		}
		lent = append(lent, path.Address)
	}
	return remove, nil
}
