package mptcp

import (
	"fmt"
	"net/netip"
	"strings"
)

// EndpointFlags say what the path manager may do with an endpoint. The bits are
// the kernel's (MPTCP_PM_ADDR_FLAG_*).
type EndpointFlags uint32

// The flags of an endpoint.
const (
	FlagSignal   EndpointFlags = 1 << 0 // announce the address to the peer (since Linux 5.7)
	FlagSubflow  EndpointFlags = 1 << 1 // create a subflow from the address (5.7)
	FlagBackup   EndpointFlags = 1 << 2 // ask the peer to use it only when nothing else works (5.7)
	FlagFullmesh EndpointFlags = 1 << 3 // with subflow: to every address of the peer (5.15)
	FlagImplicit EndpointFlags = 1 << 4 // made by the kernel for an unlisted address (5.18)
	FlagLaminar  EndpointFlags = 1 << 5 // to an address that the peer announced (6.18)
)

// flagNames holds the names in the kernel's bit order, in which iproute2 prints
// them.
var flagNames = [...]string{"signal", "subflow", "backup", "fullmesh", "implicit", "laminar"}

// KnownEndpointFlags is the set of flags that this package has names for.
const KnownEndpointFlags EndpointFlags = 1<<len(flagNames) - 1

// Has reports whether all flags of g are set.
func (f EndpointFlags) Has(g EndpointFlags) bool { return f&g == g }

// CreatesSubflows reports whether the path manager creates subflows from an endpoint
// with these flags by itself: one to the address that the connection was opened to, and
// with fullmesh one to each address to which the connection has a subflow. Signal,
// backup, a port and a device do not change that. Implicit endpoints never have the
// flag. An endpoint with the address of the initial subflow is in use already.
//
// It mirrors select_local_address, as mptcp_pm_create_subflow_or_signal_addr calls it
// (net/mptcp/pm_kernel.c, Linux 6.18; pm_netlink.c before 6.15).
func (f EndpointFlags) CreatesSubflows() bool { return f.Has(FlagSubflow) }

// JoinsAnnounced reports whether the path manager uses an endpoint with these flags for
// subflows to an address that the peer announces: each fullmesh endpoint; where there is
// none, the first laminar one whose address has no subflow yet. Where there is neither,
// the routes choose the address that the subflow starts from.
//
// It mirrors fill_local_addresses_vec (net/mptcp/pm_kernel.c, Linux 6.18). That function
// also takes endpoints with subflow if the peer forbids subflows to its first address
// and add_addr_accepted is 0.
func (f EndpointFlags) JoinsAnnounced() bool { return f&(FlagFullmesh|FlagLaminar) != 0 }

// Names returns the names of the flags that are set and known, in bit order.
func (f EndpointFlags) Names() []string {
	var names []string
	for bit, name := range flagNames {
		if f&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// Unknown returns the flags that are set and have no name here.
func (f EndpointFlags) Unknown() EndpointFlags { return f &^ KnownEndpointFlags }

// String returns the names separated by blanks; unknown bits stay visible as
// "rawflags 0x40", with iproute2's word.
func (f EndpointFlags) String() string {
	names := f.Names()
	if rest := f.Unknown(); rest != 0 {
		names = append(names, fmt.Sprintf("rawflags %#x", uint32(rest)))
	}
	return strings.Join(names, " ")
}

// ParseEndpointFlag returns the flag of that name. Like iproute2, it takes whole
// words only.
func ParseEndpointFlag(name string) (EndpointFlags, bool) {
	for bit, n := range flagNames {
		if n == name {
			return 1 << bit, true
		}
	}
	return 0, false
}

// Endpoint is an address that the in-kernel path manager may use for additional
// subflows or announce to the peer.
type Endpoint struct {
	ID      AddressID
	Address netip.Addr
	Port    uint16 // port of the in-kernel listener of a signal endpoint; 0: that of the connection
	Flags   EndpointFlags
	IfIndex int32 // device that subflows are bound to; 0: chosen by the routes
}

// Limits bound the path manager of a network namespace. The defaults and the
// maximum depend on the kernel (8 up to Linux 7.1, 64 since): read them, do not
// assume them.
type Limits struct {
	AddAddrAccepted uint32 `json:"add_addr_accepted"` // announced addresses to use per connection
	Subflows        uint32 `json:"subflows"`          // additional subflows per connection
}

// DeviceIndex returns the index of the device of the endpoint's subflows: the one that they
// are bound to, or else the one that holder returns for the endpoint's address; 0 if there
// is none. Only the first is certain: the kernel binds subflows to the index of the endpoint
// (net/mptcp/subflow.c, __mptcp_subflow_connect), and leaves all others to the routes.
func (e *Endpoint) DeviceIndex(holder func(netip.Addr) (index int, ok bool)) int {
	if e.IfIndex != 0 {
		return int(e.IfIndex)
	}
	index, ok := holder(e.Address.Unmap())
	if !ok {
		return 0
	}
	return index
}
