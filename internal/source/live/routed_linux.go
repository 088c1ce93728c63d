package live

import (
	"context"
	"net/netip"
	"os"
	"strings"

	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// routed are the flows of subflows that are bound to no device, each once: the routes
// decide by which one their packets leave.
type routed struct {
	seen    map[hostnet.Flow]struct{}
	last    hostnet.Flow // rows of one connection come together
	byPorts bool         // the choice among routes of equal cost depends on the ports
}

// routedFlows returns an empty set.
func (h *Host) routedFlows() *routed {
	f := &routed{seen: map[hostnet.Flow]struct{}{}}
	_ = h.inside(func() error { // a setting that cannot be read is at its default
		for _, family := range []string{"ipv4", "ipv6"} {
			policy, err := os.ReadFile("/proc/sys/net/" + family + "/fib_multipath_hash_policy")
			if err == nil && strings.TrimSpace(string(policy)) != "0" {
				f.byPorts = true
			}
		}
		return nil
	})
	return f
}

// note adds the flow of a subflow.
func (f *routed) note(s *sockdiag.Subflow) {
	if s.IfIndex != 0 || !s.HasMPTCP {
		return
	}
	flow := hostnet.Flow{Source: s.Local.Addr(), Destination: s.Remote.Addr(), Mark: s.Mark}
	if f.byPorts {
		flow.SourcePort, flow.DestinationPort = s.Local.Port(), s.Remote.Port()
	}
	if flow == f.last || !flow.Destination.IsValid() || flow.Destination.IsUnspecified() {
		return
	}
	f.last = flow
	f.seen[flow] = struct{}{}
}

// readRoutes looks up by which device the flows leave. On a host with one link there is
// no question.
func (h *Host) readRoutes(ctx context.Context, s *track.Snapshot, f *routed) error {
	if len(f.seen) == 0 || !severalLinks(s.Addresses) {
		return nil
	}
	asked := make([]hostnet.Flow, 0, len(f.seen))
	for flow := range f.seen {
		asked = append(asked, flow)
	}
	devices, err := h.network.Devices(ctx, asked)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil: // as where somebody fills the socket: no device is better than a wrong one
		s.Routes = []track.RouteFact{}
		return nil
	}
	s.Routes = routeFacts(asked, devices)
	return nil
}

// severalLinks reports whether addresses other than loopback's are on more than one link.
func severalLinks(addresses []track.AddressFact) bool {
	first := uint32(0)
	for _, a := range addresses {
		switch {
		case a.Addr.IsLoopback():
		case first == 0:
			first = a.IfIndex
		case first != a.IfIndex:
			return true
		}
	}
	return false
}

// routeFacts returns the answers by addresses: none where flows between the same
// addresses leave by different devices.
func routeFacts(asked []hostnet.Flow, devices []uint32) []track.RouteFact {
	facts := make([]track.RouteFact, 0, len(asked))
	at := make(map[[2]netip.Addr]int, len(asked))
	for i, flow := range asked {
		pair := [2]netip.Addr{flow.Source, flow.Destination}
		j, twice := at[pair]
		switch {
		case !twice:
			at[pair] = len(facts)
			facts = append(
				facts, track.RouteFact{Source: flow.Source, Destination: flow.Destination, IfIndex: devices[i]},
			)
		case facts[j].IfIndex != devices[i]:
			facts[j].IfIndex = 0
		}
	}
	return facts
}

// unboundFlows returns the flows of rows of subflows that are bound to no device.
func unboundFlows(rows []track.SubflowRow, marks map[mptcp.Token]uint32) *routed {
	f := &routed{seen: map[hostnet.Flow]struct{}{}}
	for i := range rows {
		if r := &rows[i]; r.IfIndex == 0 && r.HasToken && r.Remote.Addr().IsValid() {
			flow := hostnet.Flow{Source: r.Local.Addr(), Destination: r.Remote.Addr(), Mark: marks[r.Token]}
			f.seen[flow] = struct{}{}
		}
	}
	return f
}
