package cli

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/present"
	"mptcpctl/internal/probe"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// The states of a join.
const (
	joinUp      = "established"
	joinPending = "pending"
	joinNone    = "none"
)

// joinPatience is how long joins have to come up, at most.
const joinPatience = 3 * time.Second

// joins looks which endpoints join the connection.
func (p *prober) joins(ctx context.Context, first *probe.Conn) error {
	var expected []mptcp.Endpoint
	for e, err := range p.host.Endpoints(ctx) {
		if err != nil {
			return err
		}
		other := e.Address.Unmap() != first.Local.Addr() && e.Address.Unmap().Is4() == first.Local.Addr().Is4()
		if subflowsFrom(e) && e.Flags&mptcp.FlagImplicit == 0 && other {
			expected = append(expected, e)
		}
	}
	switch {
	case len(expected) == 0:
		p.out.Notes = append(p.out.Notes, "no endpoint would join: `mptcpctl paths to "+p.out.Address.Addr().String()+"` says which addresses could")
		return nil
	case p.silent:
		p.out.Notes = append(p.out.Notes, "nothing was sent: joins cannot start")
		return nil
	}
	if err := first.Send([]byte("\r\n")); err != nil {
		return fmt.Errorf("sending a line break: %w", err)
	}
	deadline := time.Now().Add(min(p.patience, joinPatience))
	p.progress("waiting for joins ...")
	for {
		c, err := p.find(ctx, first.Local)
		if err != nil {
			return err
		}
		joins, up := joinsOf(c, expected, p.host)
		if up == len(expected) || c == nil || time.Now().After(deadline) {
			p.out.Joins = joins
			if up < len(expected) && c != nil {
				return p.reasons(ctx, c.Token)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// find returns the connection with that local address, nil where it has ended.
func (p *prober) find(ctx context.Context, local netip.AddrPort) (*mptcp.Connection, error) {
	snapshot, err := p.host.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	connections := track.Join(snapshot)
	for i := range connections {
		if connections[i].Local == local {
			return &connections[i], nil
		}
	}
	return nil, nil
}

// joinsOf tells for each endpoint what became of it.
func joinsOf(c *mptcp.Connection, expected []mptcp.Endpoint, host *source.Host) (joins []present.ProbeJoin, up int) {
	for _, e := range expected {
		j := present.ProbeJoin{Address: e.Address, Device: deviceOf(host, e), State: joinNone}
		for i := 0; c != nil && i < len(c.Subflows); i++ {
			s := &c.Subflows[i]
			if s.Local.Addr() != e.Address.Unmap() {
				continue
			}
			switch {
			case s.State == mptcp.SubflowPending && j.State == joinNone:
				j.State = joinPending
			case s.TCP == mptcp.StateEstablished && s.State != mptcp.SubflowPending:
				j.State = joinUp
			}
		}
		if j.State == joinUp {
			up++
		}
		joins = append(joins, j)
	}
	return joins, up
}

// reasons asks doctor why joins did not come up.
func (p *prober) reasons(ctx context.Context, token mptcp.Token) error {
	facts, err := p.host.Facts(ctx, &source.FactsConfig{
		Alone: true, Focus: "token " + token.String(), Match: func(c *mptcp.Connection) bool { return c.Token == token },
	})
	if err != nil {
		return err
	}
	facts.Probes = p.facts
	report := doctor.Diagnose(facts)
	for i := range p.out.Joins {
		j := &p.out.Joins[i]
		if j.State == joinUp {
			continue
		}
		for _, f := range report.Findings {
			if f.Subject.Endpoint.Unmap() == j.Address.Unmap() {
				j.Rule, j.Reason = f.Rule, f.Title
				break
			}
		}
	}
	return nil
}

// lendEndpoints gives the usable addresses without an endpoint one, and returns what
// takes them away again.
func (a *app) lendEndpoints(ctx context.Context, host *source.Host, to netip.Addr) (remove func(), err error) {
	var lent []netip.Addr
	pm, err := a.pathManager()
	if err != nil {
		return func() {}, err
	}
	remove = func() {
		ctx := context.WithoutCancel(ctx)
		for e, err := range host.Endpoints(ctx) {
			if err != nil {
				break
			}
			for _, addr := range lent {
				if e.Address == addr && e.Flags.Has(mptcp.FlagSubflow) {
					if err := pm.RemoveEndpoint(ctx, e.ID); err != nil {
						a.warn("endpoint %s id %d of the probe stays: %v", addr, e.ID, err)
					}
				}
			}
		}
	}
	report, err := host.Paths(ctx, to)
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
		err := pm.AddEndpoint(ctx, mptcp.Endpoint{Address: path.Address, Flags: mptcp.FlagSubflow, IfIndex: int32(path.IfIndex)})
		if err != nil {
			return remove, fmt.Errorf("endpoint for the probe: %w", err)
		}
		lent = append(lent, path.Address)
	}
	return remove, nil
}
