package mptcp

import "net/netip"

// Unmap returns the address and port with a v4-mapped IPv6 address turned into
// IPv4. The kernel shows one and the same address in both forms, depending on the
// family of the socket: unmap before comparing.
func Unmap(a netip.AddrPort) netip.AddrPort {
	if a.Addr().Is4In6() {
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return a
}

// Family is the address family of a socket, with Linux' number.
type Family uint16

// The families that MPTCP knows.
const (
	FamilyINET  Family = 2  // AF_INET
	FamilyINET6 Family = 10 // AF_INET6
)

// FamilyOf returns the family in which the kernel's endpoints hold the address:
// a v4-mapped address is IPv6.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return FamilyINET
	}
	return FamilyINET6
}

// String returns "inet" or "inet6", as iproute2 does.
func (f Family) String() string {
	switch f {
	case FamilyINET:
		return "inet"
	case FamilyINET6:
		return "inet6"
	}
	return "unspec"
}

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (f Family) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *Family) UnmarshalText(text []byte) error {
	switch string(text) {
	case "inet":
		*f = FamilyINET
	case "inet6":
		*f = FamilyINET6
	default:
		*f = 0
	}
	return nil
}
