package track

import (
	"context"
	"fmt"
	"net/netip"

	"mptcpctl/mptcp"
)

// skipped is an endpoint from which a join could not begin.
type skipped struct {
	endpoint *mptcp.Endpoint // nil: one of several
	why      string
	sure     Confidence
}

// skippedEndpoints derives ENDPOINT_SKIPPED where the path manager counted a join
// that it could not begin.
func (t *Tracker) skippedEndpoints(ctx context.Context, netns string) {
	for _, counter := range []string{counterBindErr, counterConnectErr} {
		by := t.deriver.risen(netns, []string{counter})[counter]
		if by == 0 {
			continue
		}
		t.refresh(ctx, netns) // the endpoint may be newer than the last dump
		t.mu.Lock()
		most := t.deriver.unsure(netns, counter, Certain)
		t.deriver.account(netns, counter, by)
		if n := findNamespace(t.namespaces, netns); n != nil {
			for _, s := range n.skipped(counter, t.lacking(netns)) {
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

// skipped returns the endpoints that the counter is about: those whose address or
// device is missing. Where there is none, it is the only one that there is, or one
// of several; without endpoints it was the userspace path manager, which got the error.
//
// lacks reports whether a connection has no subflow from an address. An endpoint that
// none lacks is at work, and was not skipped: what failed went to an announced address.
func (n *namespace) skipped(counter string, lacks func(netip.Addr) bool) []skipped {
	var found []skipped
	var usable []*mptcp.Endpoint
	atWork := 0
	for i := range n.snapshot.Endpoints {
		e := &n.snapshot.Endpoints[i]
		if !e.Flags.CreatesSubflows() && !e.Flags.JoinsAnnounced() {
			continue
		}
		if !lacks(e.Address) {
			atWork++
			continue
		}
		usable = append(usable, e)
		if why := n.facts.Unusable(e, counter); why != "" {
			found = append(found, skipped{e, why, Likely})
		}
	}
	switch {
	case len(found) == 1:
		found[0].sure = Certain
	case len(found) == 0 && len(usable) == 0 && atWork > 0:
		why := "every endpoint has a subflow: what failed is a join to an address that the peer announced"
		found = append(found, skipped{nil, why, Likely})
	case len(found) > 0 || len(usable) == 0:
	case len(usable) == 1:
		found = append(
			found, skipped{usable[0], fmt.Sprintf("endpoint %d: %s", usable[0].ID, failedCall(counter)), Likely},
		)
	default:
		found = append(
			found, skipped{nil, fmt.Sprintf("one of %d endpoints: %s", len(usable), failedCall(counter)), Possible},
		)
	}
	return found
}

// lookedAt bounds how many connections are looked at while events wait: with more, an
// endpoint is taken to be missing somewhere.
const lookedAt = 1 << 10

// lacking returns whether some connection of the namespace that was made here has no
// subflow from an address, pending ones included. The caller holds mu while it is used.
func (t *Tracker) lacking(netns string) func(netip.Addr) bool {
	return func(addr netip.Addr) bool {
		made := 0
		r := &t.rec
		for slot := range t.table.all() {
			if t.table.locals.At(t.table.core.At(slot).local).netns != netns {
				continue
			}
			t.table.load(slot, r)
			c := &r.Connection
			if c.Side == mptcp.SideServer || c.Fallback || c.State != mptcp.StateEstablished {
				continue
			}
			made++
			if made > lookedAt || c.SubflowFrom(addr) == nil {
				return true
			}
		}
		return made == 0
	}
}

// failedCall says what fails where the address and its device are there.
func failedCall(counter string) string {
	if counter == counterBindErr {
		return "its address or port is taken, or was not there at that moment"
	}
	return "no route from it to the peer's address, or none through its device"
}

// endpointSubflow returns the local half of a subflow from the endpoint.
func endpointSubflow(e *mptcp.Endpoint) *mptcp.Subflow {
	return &mptcp.Subflow{
		LocalID: e.ID, Local: netip.AddrPortFrom(e.Address.Unmap(), e.Port), IfIndex: uint32(max(e.IfIndex, 0)),
	}
}
