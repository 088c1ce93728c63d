package ledger

import "mptcpctl/internal/kernel"

// Rules are where the path managers of kernels differ.
type Rules struct {
	// MostEndpoints is how many endpoints there can be (MPTCP_PM_ADDR_MAX: 8, 255
	// since Linux 7.2).
	MostEndpoints int
	// Fullmesh and Laminar say that the kernel knows the flags (5.15, 6.18).
	Fullmesh, Laminar bool
	// InitialCounts says that the endpoint of the initial subflow's address counts
	// as used from the start (5.17; before, the kernel compared addresses).
	InitialCounts bool
	// UsesDenied says that announced addresses are used although none is to be
	// accepted, where the peer forbids joins to its first address
	// (mptcp_pm_add_addr_c_flag_case: 6.18, and stable kernels since).
	UsesDenied bool
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
	return r
}
