package hostnet

import (
	"context"
	"net/netip"
)

// Network returns the links, addresses, routes and rules of the namespace. They
// are read one after the other: what changes in between may show.
func (r *Reader) Network(ctx context.Context) (n Network, err error) {
	if n.Links, err = r.Links(ctx); err != nil {
		return Network{}, err
	}
	if n.Addresses, err = r.Addresses(ctx); err != nil {
		return Network{}, err
	}
	if n.Routes, err = r.Routes(ctx); err != nil {
		return Network{}, err
	}
	if n.Rules, err = r.Rules(ctx); err != nil {
		return Network{}, err
	}
	return n, nil
}

// Paths returns every address of the namespace as a candidate path to dst, or to
// what the default routes lead to if dst is not valid; see [Candidates].
func (r *Reader) Paths(ctx context.Context, dst netip.Addr) (PathReport, error) {
	n, err := r.Network(ctx)
	if err != nil {
		return PathReport{}, err
	}
	report := Candidates(n, dst, func(q LookupRequest) (Route, error) { return r.Lookup(ctx, q) })
	return report, ctx.Err()
}
