package line

import (
	"context"

	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// PathManager is what a face needs to change endpoints and limits.
type PathManager interface {
	AddEndpoint(ctx context.Context, e mptcp.Endpoint) error
	RemoveEndpoint(ctx context.Context, id mptcp.AddressID) error
	SetLimits(ctx context.Context, u pathmanager.LimitsUpdate) error
}
