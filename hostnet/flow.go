package hostnet

import "net/netip"

// Flow is what the kernel's choice of a route for the packets of a socket depends on, as
// far as it is known.
type Flow struct {
	Source, Destination netip.Addr // unmapped, without zone
	Mark                uint32     // SO_MARK
	// The ports, of TCP, count where a rule or the choice between next hops of equal cost
	// depends on them. 0: left open.
	SourcePort, DestinationPort uint16
}
