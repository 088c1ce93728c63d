package line

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"mptcpctl/internal/grammar"
)

// Resolve returns the address that is meant by an argument, of the family that -4 or
// -6 asks for: an address, in brackets or not, or the first of a name.
func Resolve(ctx context.Context, inv *grammar.Invocation, host string) (netip.Addr, error) {
	o := &inv.Options
	bare := host
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		bare = host[1 : len(host)-1]
	}
	if addr, err := netip.ParseAddr(bare); err == nil {
		return addr.Unmap(), checkFamily(inv, addr.Unmap())
	}
	network := "ip"
	switch {
	case o.IPv4 && !o.IPv6:
		network = "ip4"
	case o.IPv6 && !o.IPv4:
		network = "ip6"
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%s: %w", inv.Path, err)
	}
	return addrs[0].Unmap(), nil
}

// checkFamily refuses an address that -4 or -6 leaves out.
func checkFamily(inv *grammar.Invocation, addr netip.Addr) error {
	if inv.Options.Wants(addr) {
		return nil
	}
	if inv.Options.IPv6 {
		return inv.Usage(fmt.Sprintf("%v is not IPv6", addr))
	}
	return inv.Usage(fmt.Sprintf("%v is not IPv4", addr))
}
