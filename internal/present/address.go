package present

import "net/netip"

// AppendAddress appends the address as inet_ntop(3) of the C library does, and with it
// iproute2: without a zone, and with a dotted quad at the end of an IPv4-compatible
// IPv6 address (::192.0.2.1).
func AppendAddress(b []byte, a netip.Addr) []byte {
	if a.Is6() {
		a = a.WithZone("")
		if bytes := a.As16(); compatible(&bytes) {
			b = append(b, "::"...)
			a = netip.AddrFrom4([4]byte(bytes[12:]))
		}
	}
	return a.AppendTo(b)
}

// compatible reports whether the address is shown with a dotted quad: its first six
// groups are zero, and the seventh is not.
func compatible(a *[16]byte) bool {
	return [12]byte(a[:12]) == [12]byte{} && a[12]|a[13] != 0
}
