package live

import (
	"context"

	"mptcpctl/doctor"
	"mptcpctl/internal/managers"
	"mptcpctl/internal/source/gather"
	"mptcpctl/mptcp"
)

var _ gather.Together = (*Host)(nil)

// FactsOf gathers the facts of network namespaces step by step: all are asked before
// anybody waits, so that the window passes once, and not once for each. The sites are of
// this package.
func (h *Host) FactsOf(ctx context.Context, sites []gather.Site, c *gather.Config) ([]doctor.Facts, error) {
	r := newRound(ctx)
	r.together, r.many = true, len(sites) > mostWatched
	all := make([]*gathering, len(sites))
	for i, site := range sites {
		host, ok := site.(*Host)
		if !ok {
			panic("live: a site that is no namespace of the running kernel") // a mistake of the caller
		}
		all[i] = host.gathering(c, r)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // of listeners too, where ctx ended before they were read
	gather.Pool(ctx, len(all), func(i int) { all[i].begin(ctx) })
	gather.Pool(ctx, len(all), func(i int) { all[i].look(ctx) })
	settle(ctx, all)
	var again []*gathering
	for _, g := range all {
		if g.undecided() {
			again = append(again, g)
		}
	}
	gather.Pool(ctx, len(again), func(i int) { again[i].lookAgain(ctx) })
	settle(ctx, again)
	gather.Pool(ctx, len(all), func(i int) { all[i].finish(ctx) })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	relate(all)
	facts := make([]doctor.Facts, len(all))
	for i, g := range all {
		facts[i] = g.f
	}
	return facts, nil
}

// settle notes in all of them who holds the sockets that were found.
func settle(ctx context.Context, all []*gathering) {
	if ctx.Err() != nil || len(all) == 0 {
		return
	}
	walk, err := findProcesses(ctx, all)
	for _, g := range all {
		g.settle(walk, err)
	}
}

// seenAs is how a network namespace appears to others: the name that `mptcpctl -n` takes,
// and what runs there. Both are foreign.
type seenAs struct{ name, hint string }

// summarize notes what the namespace is for others, before a filter narrows it.
func (g *gathering) summarize() {
	s := doctor.Namespace{Name: g.h.others.name, Hint: g.h.others.hint, Listeners: len(g.found.Listeners)}
	s.CountEndpoints(g.f.Endpoints)
	served := map[uint16]bool{}
	for i := range g.found.Listeners {
		served[g.found.Listeners[i].Local.Port()] = true
	}
	s.Connections = min(len(g.found.Connections), mostCounted)
	for i := range s.Connections {
		if single(&g.found.Connections[i], served) {
			s.Single++
		}
	}
	for _, m := range g.f.Managers {
		s.Managed = s.Managed || m.Name == managers.NetworkManager
	}
	for _, name := range [...]string{"MPCapableSYNTX", "MPCapableSYNRX"} {
		n, _ := g.f.MPTCP.Now.Get(name)
		s.Used = s.Used || n > 0
	}
	g.summary = s
}

// single reports whether the connection was made here to another host, and has one
// subflow.
func single(c *mptcp.Connection, served map[uint16]bool) bool {
	made := c.State == mptcp.StateEstablished && !served[c.Local.Port()] && !c.Remote.Addr().IsLoopback() &&
		c.Remote.Addr() != c.Local.Addr()
	return made && !c.Fallback && c.Limits.Subflows == 0
}

// relate tells those that want to know it what the others hold: the same as a look into
// them would, up to as many.
func relate(all []*gathering) {
	var telling []*gathering
	for _, g := range all {
		if g.summary.Endpoints+g.summary.Connections+g.summary.Listeners > 0 {
			telling = append(telling, g)
		}
	}
	for _, g := range all {
		if g.c.Alone || !g.f.ElsewhereWanted() {
			continue
		}
		for _, other := range telling {
			if other == g {
				continue
			}
			if len(g.f.Elsewhere) == mostOthers {
				break
			}
			s := other.summary
			if s.Endpoints+s.Connections > 0 {
				s.Behind = leadsTo(&other.f.Network, &g.f.Network)
				s.Ahead = leadsTo(&g.f.Network, &other.f.Network)
			}
			g.f.Elsewhere = append(g.f.Elsewhere, s)
		}
	}
}
