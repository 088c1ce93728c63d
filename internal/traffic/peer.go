package traffic

import (
	"cmp"
	"net/netip"
	"strings"

	"mptcpctl/track"
)

// By says what the peers of a map are.
type By string

// What peers may be.
const (
	ByAddress By = "address"
	ByPrefix  By = "prefix"  // networks: 24 bits of an IPv4 address, 48 of an IPv6 address
	ByProcess By = "process" // the programs of this host that hold the sockets
)

// ParseBy returns what peers are, ByAddress for "".
func ParseBy(text string) (By, bool) {
	switch by := By(text); by {
	case "":
		return ByAddress, true
	case ByAddress, ByPrefix, ByProcess:
		return by, true
	}
	return "", false
}

// peerKey names a peer: it has an address, a network, or the name of a program.
type peerKey struct {
	netns   string
	network netip.Prefix
	program string
}

// key returns the peer that a socket with the inode has in a subflow to the address.
func (b By) key(s *track.State, netns string, inode uint32, remote netip.Addr) peerKey {
	remote = remote.Unmap().WithZone("")
	bits := remote.BitLen()
	switch b {
	case ByProcess:
		k := peerKey{netns: netns, program: "unknown process"}
		if holders := s.Processes(inode); len(holders) > 0 {
			k.program = holders[0].Name
		}
		return k
	case ByPrefix:
		bits = 24
		if remote.Is6() {
			bits = 48
		}
	}
	network, err := remote.Prefix(bits)
	if err != nil {
		return peerKey{netns: netns} // no address is known
	}
	return peerKey{netns: netns, network: network}
}

func (k peerKey) name() string {
	switch {
	case k.program != "":
		return k.program
	case k.network.IsSingleIP():
		return k.network.Addr().String()
	}
	return k.network.String()
}

func (k peerKey) compare(o peerKey) int {
	return cmp.Or(k.network.Addr().Compare(o.network.Addr()), cmp.Compare(k.network.Bits(), o.network.Bits()),
		strings.Compare(k.program, o.program))
}
