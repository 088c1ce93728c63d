package hostnet

import (
	"context"
	"net/netip"
	"os"
	"strings"
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
	if r.home != nil { // where it cannot be entered any more, the kernel's default is taken
		_ = r.home.inside(func() error {
			n.HashesPorts4, n.HashesPorts6 = hashesPorts("ipv4"), hashesPorts("ipv6")
			return nil
		})
	}
	return n, nil
}

// hashesPorts reports whether the choice between next hops of equal cost depends on ports in
// the network namespace of the calling thread.
func hashesPorts(family string) bool {
	text, err := os.ReadFile("/proc/sys/net/" + family + "/fib_multipath_hash_policy")
	policy := strings.TrimSpace(string(text))
	return err == nil && (policy == "1" || policy == "3")
}

// Paths returns every address of the namespace as a candidate path to the destination of
// the key, or to what the default routes lead to if that is not valid; see [Candidates]. Of
// the key only destination, mark and user count. The kernel makes further subflows as user 0.
func (r *Reader) Paths(ctx context.Context, key LookupRequest) (PathReport, error) {
	n, err := r.Network(ctx)
	if err != nil {
		return PathReport{}, err
	}
	first := map[netip.Addr]bool{} // sources of initial subflows
	report := Candidates(n, key.Dst, func(q LookupRequest) (Route, error) {
		q.Mark, q.UID, q.HasUID = key.Mark, 0, true
		if !q.Src.IsValid() || first[q.Src] {
			q.UID, q.HasUID = key.UID, key.HasUID
		}
		route, err := r.Lookup(ctx, q)
		if err == nil && !q.Src.IsValid() {
			first[route.Source] = true
		}
		return route, err
	})
	report.Open = n.Unanswered(key)
	return report, ctx.Err()
}
