package firewall

import "strings"

// Kind is a kind of packets of MPTCP, with what comes back for them.
type Kind struct {
	What    string // in words
	Subtype byte   // of the MPTCP option (RFC 8684 section 8)
	Answer  string // what comes back
	Flags   byte   // of TCP, of the packet that is sent
}

// Kinds of packets that a connection needs.
var (
	Capable = Kind{"SYN with MP_CAPABLE", 0, "SYN/ACK with MP_CAPABLE", FlagSYN}
	Join    = Kind{"SYN with MP_JOIN", 1, "SYN/ACK with MP_JOIN", FlagSYN}
	Data    = Kind{"data with DSS", 2, "data with DSS", FlagACK}
)

// Exchange is [Firewall.Follow] for a packet of that kind, its answer and what follows them,
// up to the first packet to which surely something happens. Flags and option of the packet
// are those of the kind.
func (f *Firewall) Exchange(k Kind, first Packet) []Hit {
	first.Flags, first.MPTCP = k.Flags, []byte{k.Subtype << 4}
	back, on := first, first
	back.Incoming, back.Source, back.Destination = !first.Incoming, first.Destination, first.Source
	back.Flags, on.Flags = k.Flags|FlagACK, FlagACK
	hits := f.Follow(&first, &back, &on)
	for i := range hits {
		if hits[i].Sure {
			return hits[:i+1]
		}
	}
	return hits
}

// Name returns the words for the packet of an exchange to which the hit happens.
func (k Kind) Name(h *Hit) string {
	switch h.Packet {
	case 0:
		return k.What
	case 1:
		return k.Answer
	}
	return strings.Replace(k.What, "SYN", "ACK", 1)
}
