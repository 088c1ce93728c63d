package track

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mptcpctl/counters"
	"mptcpctl/hostnet"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
)

// skipped is an endpoint from which a join could not begin.
type skipped struct {
	endpoint *mptcp.Endpoint // nil: one of several, or none
	why      string
	sure     Confidence
}

// skippedEndpoints derives ENDPOINT_SKIPPED where the path manager counted a join
// that it could not begin: of which endpoint, the ledger of paths says.
func (t *Tracker) skippedEndpoints(ctx context.Context, netns string) {
	for _, counter := range []string{counterBindErr, counterConnectErr} {
		by := t.deriver.risen(netns, []string{counter})[counter]
		if by == 0 {
			continue
		}
		t.refresh(ctx, netns) // the endpoint may be newer than the last dump
		connections := t.joining(ctx, netns)
		t.mu.Lock()
		most := t.deriver.unsure(netns, counter, Certain)
		t.deriver.account(netns, counter, by)
		if n := findNamespace(t.namespaces, netns); n != nil {
			for _, s := range n.skipped(counter, connections) {
				s.sure = min(s.sure, most)
				t.tellSkipped(netns, s, fmt.Sprintf("counter %s rose by %d", counter, by))
			}
		}
		t.mu.Unlock()
	}
}

func (t *Tracker) tellSkipped(netns string, s skipped, evidence string) {
	r := record{Connection: mptcp.Connection{Netns: netns}}
	d := Delta{
		Kind: KindEndpointSkipped, Name: KindEndpointSkipped.String(), Key: mptcp.Key{Netns: netns},
		Event: t.eventOf(&r, nil), Evidence: []string{evidence, s.why}, Confidence: s.sure,
	}
	if s.endpoint != nil {
		d.Event = t.eventOf(&r, endpointSubflow(s.endpoint))
	}
	d.Event.Fields &^= mptcp.FieldToken | mptcp.FieldRemoteID | mptcp.FieldDport | mptcp.FieldDaddr4 | mptcp.FieldDaddr6
	if d.Event.Sport == 0 {
		d.Event.Fields &^= mptcp.FieldSport
	}
	t.delivery.report(&d)
}

// skipped returns the endpoints that the counter is about. Where one alone cannot be used
// now, it is that one; else one of those that the ledger does not exclude. Where it excludes
// all, what failed went to an announced address; without endpoints and connections of the
// kernel's path manager it was a userspace one, which got the error.
func (n *namespace) skipped(counter string, connections []mptcp.Connection) []skipped {
	suspects := ledger.Suspects(n.pathFacts(connections), counter)
	for _, sure := range []Confidence{Certain, Likely} {
		var found []skipped
		for i := range suspects {
			s := &suspects[i]
			switch {
			case sure == Certain && s.Obstacle != ledger.NoCause:
				found = append(found, skipped{&s.Endpoint, because(s, s.Obstacle.String()), sure})
			case sure == Likely && s.LinkDown:
				found = append(found, skipped{&s.Endpoint, because(s, "the link that has its address is down"), sure})
			}
		}
		if len(found) > 1 {
			for i := range found {
				found[i].sure = Likely
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	switch {
	case len(suspects) == 1 && suspects[0].Endpoint.Address.IsValid():
		s := &suspects[0]
		return []skipped{{&s.Endpoint, because(s, causesOf(suspects)), Likely}}
	case len(suspects) > 1:
		return []skipped{{nil, fmt.Sprintf("one of %d endpoints: %s", len(suspects), causesOf(suspects)), Possible}}
	case len(suspects) == 1, managedHere(connections):
		why := "no endpoint is left that could be it: what failed is a join to an address that the peer announced"
		return []skipped{{nil, why, Likely}}
	}
	return nil
}

func because(s *ledger.Suspect, why string) string {
	return fmt.Sprintf("endpoint %d: %s", s.Endpoint.ID, why)
}

// causesOf are what the ledger leaves of causes, as a text.
func causesOf(suspects []ledger.Suspect) string {
	var causes []string
	for i := range suspects {
		for _, c := range suspects[i].Causes {
			if text := c.String(); !slices.Contains(causes, text) {
				causes = append(causes, text)
			}
		}
	}
	return strings.Join(causes, ", or ")
}

// managedHere reports whether the kernel's path manager works for all of the connections,
// of which there are some.
func managedHere(connections []mptcp.Connection) bool {
	return len(connections) > 0 && !slices.ContainsFunc(connections, func(c mptcp.Connection) bool {
		return c.PathManager == "userspace"
	})
}

// pathFacts are the facts as the ledger takes them.
func (n *namespace) pathFacts(connections []mptcp.Connection) ledger.Facts {
	f := ledger.Facts{
		Release: n.snapshot.Kernel, Userspace: n.snapshot.PathManager == "userspace", Limits: &n.snapshot.Limits,
		Endpoints: n.snapshot.Endpoints, Connections: connections, Counters: counters.FromMap(n.counters),
	}
	for _, a := range n.snapshot.Addresses {
		f.Addresses = append(f.Addresses, hostnet.Address{Addr: a.Addr, IfIndex: int(a.IfIndex)})
	}
	for _, l := range n.snapshot.Links {
		f.Links = append(f.Links, hostnet.Link{Index: int(l.Index), Name: l.Name, Up: l.Up, Carrier: l.Carrier})
	}
	return f
}

// lookedAt bounds how many connections are looked at while events wait: with more, none is
// taken, and each endpoint may be missing somewhere.
const lookedAt = 1 << 10

// joining returns the connections of the namespace that joins may have been tried for, with
// the kernel's figures of this moment: how many endpoints each has used is in no event.
func (t *Tracker) joining(ctx context.Context, netns string) []mptcp.Connection {
	var list []mptcp.Connection
	var tokens []mptcp.Token
	r := &t.rec
	for slot := range t.table.all() {
		if t.table.locals.At(t.table.core.At(slot).local).netns != netns {
			continue
		}
		t.table.load(slot, r)
		if r.Fallback || r.State != mptcp.StateEstablished {
			continue
		}
		if len(list) == lookedAt {
			return nil
		}
		c := r.Connection
		c.Subflows = slices.Clone(r.Subflows)
		// What is not known now leaves all open: it was established, as it joined.
		c.Limits.LocalAddrMax, c.BytesReceived = 0, max(c.BytesReceived, 1)
		list, tokens = append(list, c), append(tokens, c.Token)
	}
	fresh, err := t.source.Lookup(ctx, netns, tokens[:min(len(tokens), sampledAtATime)])
	if err != nil {
		return list
	}
	for i := range fresh {
		if at := slices.Index(tokens, fresh[i].Token); at >= 0 {
			list[at].Limits = fresh[i].Limits
		}
	}
	return list
}

// endpointSubflow returns the local half of a subflow from the endpoint.
func endpointSubflow(e *mptcp.Endpoint) *mptcp.Subflow {
	return &mptcp.Subflow{
		LocalID: e.ID, Local: netip.AddrPortFrom(e.Address.Unmap(), e.Port), IfIndex: uint32(max(e.IfIndex, 0)),
	}
}
