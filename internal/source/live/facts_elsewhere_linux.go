package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/sockdiag"
)

const (
	othersSeen  = "other network namespaces" // what a gap is about
	mostOthers  = 64                         // namespaces that are looked into
	mostCounted = 10000                      // connections of one that are counted
)

// elsewhere looks into the other network namespaces, where the rules need it.
func (g *gathering) elsewhere(ctx context.Context) {
	if g.c.Alone || g.round.together || !g.f.ElsewhereWanted() {
		return
	}
	var list hostnet.NamespaceList
	err := g.h.inside(func() (err error) {
		list, err = hostnet.NamespaceSearch{}.List(ctx)
		return err
	})
	if err != nil {
		g.gap(othersSeen, err.Error())
		return
	}
	if list.Unreadable > 0 {
		g.gap(othersSeen, unreadable(list.Unreadable, os.Geteuid() == 0).Error())
	}
	looked, refused := 0, 0
	for i := range list.Namespaces {
		n := &list.Namespaces[i]
		if n.Current {
			continue
		}
		if looked++; looked > mostOthers {
			g.gap(othersSeen, fmt.Sprintf("only %d of %d are looked into", mostOthers, len(list.Namespaces)-1))
			break
		}
		other, err := g.other(ctx, n)
		switch {
		case errors.Is(err, fs.ErrPermission):
			refused++
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, mptcp.ErrNotSupported):
			// It has gone, or has no MPTCP.
		case err != nil:
			g.gap(othersSeen, n.String()+": "+err.Error())
		case other.Endpoints+other.Connections+other.Listeners > 0:
			g.f.Elsewhere = append(g.f.Elsewhere, other)
		}
	}
	if refused > 0 {
		g.gap(othersSeen, fmt.Sprintf("entering %d of them needs CAP_SYS_ADMIN", refused))
	}
}

// other tells what a namespace holds.
func (g *gathering) other(ctx context.Context, n *hostnet.NamedNamespace) (doctor.Namespace, error) {
	other := doctor.Namespace{
		Name:    n.Name,
		Hint:    n.Process,
		Managed: slices.Contains(g.managed, fmt.Sprintf("net:[%d]", n.Inode)),
	}
	if n.Name == "" {
		other.Name = strconv.Itoa(n.PID)
	}
	if n.Container != "" {
		other.Hint = n.Container
	}
	ns, err := hostnet.OpenNamespace(n.Path)
	if err != nil {
		return other, err
	}
	defer ns.Close()
	return other, ns.Do(func() error {
		if err := countManaged(ctx, &other); err != nil {
			return err
		}
		if err := countSockets(ctx, &other); err != nil {
			return err
		}
		if other.Endpoints+other.Connections == 0 {
			return nil // the rest matters to nobody
		}
		return g.relate(ctx, &other)
	})
}

func countManaged(ctx context.Context, other *doctor.Namespace) error {
	pm, err := pathmanager.Dial(nil)
	if err != nil {
		return err
	}
	defer pm.Close()
	var endpoints []mptcp.Endpoint
	for e, err := range pm.Endpoints(ctx) {
		if err != nil {
			return err
		}
		endpoints = append(endpoints, e)
	}
	other.CountEndpoints(endpoints)
	return nil
}

// countSockets counts connections and listeners. One with a single subflow counts
// where it was made there, to another host.
func countSockets(ctx context.Context, other *doctor.Namespace) error {
	diag, err := sockdiag.Dial(nil)
	if err != nil {
		return err
	}
	defer diag.Close()
	served := map[uint16]bool{}
	for l, err := range diag.Listeners(ctx) {
		if err != nil {
			return err
		}
		other.Listeners++
		served[l.Local.Port()] = true
	}
	for c, err := range diag.Connections(ctx, nil) {
		if err != nil {
			return err
		}
		if other.Connections++; other.Connections == mostCounted {
			break
		}
		made := c.State == mptcp.StateEstablished && !served[c.Local.Port()] && !c.Remote.Addr().IsLoopback() &&
			c.Remote.Addr() != c.Local.Addr()
		if made && !c.Info.Fallback() && c.Info.Limits().Subflows == 0 {
			other.Single++
		}
	}
	return nil
}

// relate finds out how the namespace lies to the judged one, and whether MPTCP was in
// use there before.
func (g *gathering) relate(ctx context.Context, other *doctor.Namespace) error {
	values, err := counters.New("").MPTCP()
	if err != nil {
		return err
	}
	for _, name := range [...]string{"MPCapableSYNTX", "MPCapableSYNRX"} {
		n, _ := values.Get(name)
		other.Used = other.Used || n > 0
	}
	reader, err := hostnet.New(nil)
	if err != nil {
		return err
	}
	defer reader.Close()
	network, err := reader.Network(ctx)
	if err != nil {
		return err
	}
	other.Behind = leadsTo(&network, &g.f.Network)
	other.Ahead = leadsTo(&g.f.Network, &network)
	return nil
}

// leadsTo reports whether a default route of one network has its gateway in the
// other one.
func leadsTo(from, to *hostnet.Network) bool {
	held := map[netip.Addr]bool{}
	for _, a := range to.Addresses {
		held[a.Addr.Unmap().WithZone("")] = true
	}
	for _, r := range from.Routes {
		if !r.IsDefault() || !r.Forwards() {
			continue
		}
		for _, hop := range r.Hops() {
			if held[hop.Gateway.Unmap().WithZone("")] {
				return true
			}
		}
	}
	return false
}
