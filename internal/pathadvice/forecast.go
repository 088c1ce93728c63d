package pathadvice

import (
	"net/netip"

	"mptcpctl/hostnet"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
)

// unlimited is more additional subflows than any kernel lets a connection have.
const unlimited = 255

// forecast returns what the path manager does with the endpoints on a connection to the
// destination that begins now, as the ledger foresees it.
func (a *Advice) forecast(
	report *hostnet.PathReport, d *hostnet.Destination, endpoints []mptcp.Endpoint, subflows uint32,
) []ledger.Entry {
	if d.Problem != "" || !d.Source.IsValid() {
		return nil
	}
	f := ledger.Facts{
		Userspace: a.Settings.PathManagerName() == "userspace",
		Limits:    &mptcp.Limits{Subflows: subflows}, Endpoints: endpoints,
		Lookup: func(q hostnet.LookupRequest) (hostnet.Route, string, bool) {
			for i := range report.Paths {
				p := &report.Paths[i]
				if p.Usable && p.Address == q.Src && (q.OIF == 0 || q.OIF == p.IfIndex) {
					return hostnet.Route{}, "", true
				}
			}
			return hostnet.Route{}, "no usable path", true
		},
	}
	return ledger.Foresee(f, netip.AddrPortFrom(d.Source, 1), netip.AddrPortFrom(d.Address, 1))
}

// joins is how many additional subflows a connection gets from the endpoints, to the
// destination that gets most, where no limit is in the way.
func (a *Advice) joins(report *hostnet.PathReport, endpoints []mptcp.Endpoint) uint32 {
	most := uint32(0)
	for i := range report.Destinations {
		n := uint32(0)
		for _, e := range a.forecast(report, &report.Destinations[i], endpoints, unlimited) {
			if e.Is(ledger.SynOut) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// purposeless reports whether the endpoint's flags keep the path manager from making
// subflows to the peer's own address from it, as the ledger foresees it.
func purposeless(e mptcp.Endpoint) bool {
	f := ledger.Facts{Limits: &mptcp.Limits{Subflows: unlimited}, Endpoints: []mptcp.Endpoint{e}}
	for _, entry := range ledger.Foresee(f, netip.AddrPort{}, netip.AddrPortFrom(e.Address, 1)) {
		return entry.May(ledger.WrongFlags)
	}
	return false // an implicit one, of which the path manager makes none
}

// unused returns why the endpoint makes no subflow on connections that begin now, though its
// flags would: "" where it makes one.
func (a *Advice) unused(report *hostnet.PathReport, e mptcp.Endpoint, endpoints []mptcp.Endpoint,
	subflows uint32) string {
	for i := range report.Destinations {
		for _, entry := range a.forecast(report, &report.Destinations[i], endpoints, subflows) {
			limited := entry.May(ledger.NoSubflowsAllowed) || entry.May(ledger.LimitReached)
			if entry.Endpoint.ID == e.ID && limited {
				return entry.Reached[0].Cause.String()
			}
		}
	}
	return ""
}
