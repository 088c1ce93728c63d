package live

import (
	"context"

	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

// mostPairLookups is how many connections of one dump are asked for their pair once more.
const mostPairLookups = 1024

// pairing fills in the pairs of the connections of one dump.
type pairing struct {
	host    *Host
	lookups int
}

// fill fills in the connection's pair, unless it is in doubt: then the kernel is asked again,
// and two answers that agree are right. A connection that is left without has it in one of
// the next dumps.
func (p *pairing) fill(ctx context.Context, row *mptcp.Connection, c *sockdiag.Connection) {
	if source.FillPair(row, c) {
		return
	}
	once := row.Pair
	row.Pair = mptcp.Pair{}
	if p.lookups++; p.lookups > mostPairLookups {
		return
	}
	again, err := p.host.diag.Connection(ctx, c.Info.Token)
	if err != nil {
		return // it has gone
	}
	if twice, _ := again.Info.Pair(again.State); twice == once {
		row.Pair = twice
	}
}
