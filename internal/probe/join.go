package probe

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source/gather"
	"mptcpctl/internal/source/live"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// The states of a join.
const (
	JoinUp      = "established"
	JoinPending = "pending"
	JoinNone    = "none"
)

// joinPatience is how long joins have to come up, at most.
const joinPatience = 3 * time.Second

// joins looks which endpoints join the connection.
func (p *Prober) joins(ctx context.Context, first *Conn) error {
	snapshot, err := p.Host.Snapshot(ctx)
	if err != nil {
		return err
	}
	expected := expectedJoins(&snapshot, first.Local, p.Out.Address)
	to := p.Out.Address.Addr().Unmap()
	switch {
	case to.IsLoopback(), to == first.Local.Addr().Unmap():
		p.Out.Notes = append(
			p.Out.Notes, "the server is on this host: no second path leads there, and no join is expected",
		)
		return nil
	case len(expected) == 0:
		p.Out.Notes = append(
			p.Out.Notes,
			"no endpoint could join: `mptcpctl paths to "+p.Out.Address.Addr().String()+"` shows which addresses could",
		)
		return nil
	case p.Silent:
		p.Out.Notes = append(p.Out.Notes, "no data was sent: no subflow can join")
		return nil
	}
	if err := first.Send([]byte("\r\n")); err != nil {
		return fmt.Errorf("sending a line break: %w", err)
	}
	deadline := time.Now().Add(min(p.Patience, joinPatience))
	p.Progress("waiting for joins ...")
	for {
		c, err := p.find(ctx, first.Local)
		if err != nil {
			return err
		}
		joins, up := joinsOf(c, expected, p.Host)
		if up == len(expected) || c == nil || time.Now().After(deadline) {
			p.Out.Joins = joins
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

// expectedJoins returns the endpoints that the path manager joins the connection from, as the
// ledger foresees it: also those that limits or their addresses keep from it, of which the
// reason is told.
func expectedJoins(s *track.Snapshot, local, remote netip.AddrPort) []mptcp.Endpoint {
	var expected []mptcp.Endpoint
	f := ledger.Facts{Release: s.Kernel, Endpoints: s.Endpoints, Limits: &s.Limits}
	for _, entry := range ledger.Foresee(f, local, remote) {
		if !entry.Never() {
			expected = append(expected, entry.Endpoint)
		}
	}
	return expected
}

// find returns the connection with that local address, nil where it has ended.
func (p *Prober) find(ctx context.Context, local netip.AddrPort) (*mptcp.Connection, error) {
	snapshot, err := p.Host.Snapshot(ctx)
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
func joinsOf(c *mptcp.Connection, expected []mptcp.Endpoint, host *live.Host) (joins []present.ProbeJoin, up int) {
	var paths ledger.Ledger
	if c != nil {
		paths = ledger.Of(ledger.Facts{Endpoints: expected, Connections: []mptcp.Connection{*c}})
	}
	for _, e := range expected {
		j := present.ProbeJoin{Address: e.Address, State: JoinNone}
		if e.IfIndex != 0 {
			j.Device = host.DeviceName(e.IfIndex)
		}
		if c != nil {
			j.State = stateOf(paths.Join(c.Token, e.Address))
		}
		if j.State == JoinUp {
			up++
		}
		joins = append(joins, j)
	}
	return joins, up
}

// stateOf is the state of a join by its stage: one that the peer has not confirmed is pending.
func stateOf(e *ledger.Entry) string {
	switch {
	case e == nil || e.Subflow == nil:
		return JoinNone
	case e.Is(ledger.SynOut), e.Is(ledger.OneSided):
		return JoinPending
	}
	return JoinUp
}

// reasons asks doctor why joins did not come up.
func (p *Prober) reasons(ctx context.Context, token mptcp.Token) error {
	facts, err := p.Host.Facts(ctx, &gather.Config{
		Alone: true,
		Focus: "token " + token.String(),
		Match: func(c *mptcp.Connection) bool { return c.Token == token },
	})
	if err != nil {
		return err
	}
	facts.Probes = p.facts
	report := doctor.Diagnose(facts)
	for i := range p.Out.Joins {
		j := &p.Out.Joins[i]
		if j.State == JoinUp {
			continue
		}
		for _, f := range report.Findings {
			if f.Subject.Endpoint.Unmap() == j.Address.Unmap() {
				j.Rule, j.Reason = f.Rule, f.Title
				break
			}
		}
		if j.Reason == "" {
			unusedReason(&report, j)
		}
	}
	return nil
}

// unusedReason takes the reason from doctor's account of the connection, where no finding
// is about the endpoint.
func unusedReason(report *doctor.Report, j *present.ProbeJoin) {
	for i := range report.Connections {
		for _, path := range report.Connections[i].Unused {
			if path.Address.Unmap() == j.Address.Unmap() {
				j.Rule, j.Reason = path.Rule, path.Reason
				return
			}
		}
	}
}
