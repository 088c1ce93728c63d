package ledger

import (
	"slices"

	"mptcpctl/internal/kernel"
	"mptcpctl/mptcp"
)

// Rules are where the path managers of kernels differ. They are named here and nowhere
// else.
type Rules struct {
	// MostEndpoints is how many endpoints there can be (MPTCP_PM_ADDR_MAX: 8, 255
	// since Linux 7.2).
	MostEndpoints int
	// Fullmesh and Laminar say that the kernel knows the flags (5.15, 6.18). Linux 6.16
	// and 6.17 keep the bit of a flag that they do not know, and do nothing with it.
	Fullmesh, Laminar bool
	// InitialCounts says that the endpoint of the initial subflow's address counts
	// as used from the start (5.17; before, the kernel compared addresses).
	InitialCounts bool
	// UsesDenied says that announced addresses are used although none is to be
	// accepted, where the peer forbids joins to its first address
	// (mptcp_pm_add_addr_c_flag_case: 6.18, and the stable kernels that took it; before
	// 5.15 no kernel knows that the peer forbids them).
	UsesDenied bool
	// SignalUsesUp says that an endpoint that is announced may count as used for its
	// own subflow too, without a join and without a count (5.18 until 6.11, and until
	// the stable kernels that took "do not ignore 'subflow' if 'signal' flag is also
	// set" from it).
	SignalUsesUp bool
}

// RulesOf returns the rules of a kernel by its release, as uname gives it. Of an
// unknown release it returns those of the newest kernel.
func RulesOf(release string) Rules {
	r := Rules{MostEndpoints: 255, Fullmesh: true, Laminar: true, InitialCounts: true, UsesDenied: true}
	before := func(major, minor int) bool {
		older, known := kernel.Before(release, major, minor)
		return older && known
	}
	if before(7, 2) {
		r.MostEndpoints = 8
	}
	r.Fullmesh = !before(5, 15)
	r.Laminar = !before(6, 18)
	r.InitialCounts = !before(5, 17)
	r.UsesDenied = !before(5, 15)
	r.SignalUsesUp = before(6, 11) && !before(5, 18)
	return r
}

// heeded returns the endpoints with the flags that the kernel acts on. The list that is
// given is not changed.
func (r Rules) heeded(endpoints []mptcp.Endpoint) []mptcp.Endpoint {
	var ignored mptcp.EndpointFlags
	if !r.Fullmesh {
		ignored |= mptcp.FlagFullmesh
	}
	if !r.Laminar {
		ignored |= mptcp.FlagLaminar
	}
	if !slices.ContainsFunc(endpoints, func(e mptcp.Endpoint) bool { return e.Flags&ignored != 0 }) {
		return endpoints
	}
	endpoints = slices.Clone(endpoints)
	for i := range endpoints {
		endpoints[i].Flags &^= ignored
	}
	return endpoints
}
