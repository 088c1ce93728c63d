package dump

import (
	"net/netip"
	"time"

	"mptcpctl/mptcp"
)

// Snapshot is what the kernel's dumps of one network namespace said at about one
// moment. Dumps are not atomic: a socket that came or went meanwhile may be in one
// of them and not in the other. [Join] makes connections with subflows of it.
type Snapshot struct {
	Time  time.Time // when the dumps were begun
	Netns string    // name of the namespace, "" for the reader's own

	Kernel string // the kernel's release, "" where it is not known

	// PathManager is the path manager that the namespace gives to sockets made
	// now, "kernel" or "userspace"; "" where it is not known.
	PathManager string

	Connections []mptcp.Connection // MPTCP sockets that have a token, without subflows, deduplicated
	Subflows    []SubflowRow       // TCP sockets with the mptcp ULP
	Listeners   []netip.AddrPort   // MPTCP listeners; a wildcard is the unspecified address

	// Routes tell by which device the routes send the packets of subflows that are bound
	// to none. Nil: nobody asked, and the device that has the local address is taken.
	Routes    []RouteFact
	Links     []LinkFact       // nil: not known
	Addresses []AddressFact    // nil: not known
	Endpoints []mptcp.Endpoint // of the in-kernel path manager
	Limits    mptcp.Limits     // of the in-kernel path manager
}

// EndpointDevice returns the name of the device of the endpoint's subflows, "" if it is not
// known: see [mptcp.Endpoint.DeviceIndex].
func (s *Snapshot) EndpointDevice(e *mptcp.Endpoint) string {
	index := e.DeviceIndex(func(a netip.Addr) (int, bool) {
		for i := range s.Addresses {
			if s.Addresses[i].Addr == a {
				return int(s.Addresses[i].IfIndex), true
			}
		}
		return 0, false
	})
	for i := range s.Links {
		if index != 0 && s.Links[i].Index == uint32(index) {
			return s.Links[i].Name
		}
	}
	return ""
}

// RouteFact is the kernel's answer to a route lookup between two addresses, unmapped and
// without zone.
type RouteFact struct {
	Source, Destination netip.Addr
	IfIndex             uint32 // 0: no route, or one that depends on more than the addresses
}

// SubflowRow is a TCP socket as the kernel's dump shows it: a subflow, with what
// ties it to its connection.
type SubflowRow struct {
	mptcp.Subflow

	Token    mptcp.Token // of the connection on this host; may be of one that is gone
	HasToken bool        // false: a request socket, or one in TIME-WAIT; belongs to nothing that we know
	// Join says that the subflow was made by MP_JOIN, in either direction
	// (MPTCP_SUBFLOW_FLAG_JOIN_REM or JOIN_LOC).
	Join bool
	// Requested says that this host sent the SYN (MPTCP_SUBFLOW_FLAG_MCAP_LOC on
	// the initial subflow, JOIN_LOC on the others).
	Requested bool
}

// LinkFact is a network device.
type LinkFact struct {
	Index   uint32
	Name    string // foreign: escape it before showing
	Up      bool   // switched on by the administrator
	Carrier bool   // the lower layer is up
}

// AddressFact is an address of this host.
type AddressFact struct {
	Addr    netip.Addr // unmapped
	IfIndex uint32     // device that holds it
}

// Counters holds the MPTCP counters of a network namespace by the names that
// /proc/net/netstat gives them, such as "MPCapableFallbackSYNACK". A counter that
// the kernel does not have is absent.
type Counters map[string]uint64
