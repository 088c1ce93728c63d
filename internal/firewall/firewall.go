package firewall

import (
	"fmt"
	"net/netip"
)

// Firewall is the packet filter of a network namespace: the rules of nf_tables,
// those that iptables makes of it among them.
type Firewall struct {
	Chains []Chain `json:"chains"`
	// Sets are the sets and maps that rules look into.
	Sets []Set `json:"sets,omitempty"`
	// Legacy are the tables of iptables-legacy in use, whose rules are not read.
	Legacy []string `json:"legacy,omitempty"`
}

// Chain is a chain with its rules. Names are chosen by users: escape them
// before showing.
type Chain struct {
	Family string `json:"family"` // "ip", "ip6", "inet" and others, as nft calls them
	Table  string `json:"table"`
	Name   string `json:"name"`
	Type   string `json:"type,omitempty"` // "filter", "nat" or "route"
	Hook   Hook   `json:"hook,omitempty"` // "" for one that others jump to
	// Devices are those whose packets meet a chain in the hooks ingress and egress.
	Devices  []string `json:"devices,omitempty"`
	Priority int32    `json:"priority,omitempty"`
	Drops    bool     `json:"drops,omitempty"` // its policy is to drop
	Rules    []Rule   `json:"rules,omitempty"`
}

// Rule is a rule as the kernel has it: what it does is for [Firewall.Judge]
// to tell.
type Rule struct {
	Handle      uint64       `json:"handle"`
	Expressions []Expression `json:"expressions"`
}

// Expression is one step of a rule, with the kernel's netlink attributes.
type Expression struct {
	Name string `json:"name"`
	Data []byte `json:"data,omitempty"`
}

// Hook is where a packet meets a chain.
type Hook string

// The hooks that packets of this host pass.
const (
	HookPrerouting  Hook = "prerouting"
	HookInput       Hook = "input"
	HookForward     Hook = "forward"
	HookOutput      Hook = "output"
	HookPostrouting Hook = "postrouting"
	HookIngress     Hook = "ingress" // of a device, before prerouting
	HookEgress      Hook = "egress"  // of a device, behind postrouting (Linux 5.16)
)

// Packet is a TCP packet that this host sends, or that comes to it.
type Packet struct {
	Incoming bool
	Device   string // that it leaves or comes by; "" unknown
	Index    int    // of the device; 0 unknown
	// Below are the devices that Device is made of, such as the ports of a bridge: the
	// packet passes one of them.
	Below []string
	// The peer's address may be the zero address, for one that is not known, and a port 0.
	Source, Destination netip.AddrPort
	Flags               byte // of the TCP header
	// MPTCP is its option of kind 30 behind kind and length, subtype first; nil for
	// none.
	MPTCP []byte
	Mark  Known[uint32] // that of the socket, for a packet that this host sends
}

// Known is a value that may not be known.
type Known[T any] struct {
	Value T
	Is    bool
}

// Flags of TCP packets, for Packet.
const (
	FlagSYN byte = 0x02
	FlagACK byte = 0x10
)

// Deed is what a rule does to a packet.
type Deed string

// What rules do.
const (
	Drops   Deed = "drops"
	Rejects Deed = "rejects"
	Strips  Deed = "takes MPTCP out of" // the option of kind 30 becomes padding
)

// Hit is something that the firewall does to a packet.
type Hit struct {
	Deed   Deed
	Family string
	Table  string
	Chain  string
	Hook   Hook   // of the chain where the packet came in
	Handle uint64 // of the rule; 0: the policy of the chain
	// Sure is false where what the rule or one before it looks at is not known, such
	// as the time of day.
	Sure bool
	// Limited: it is not sure for one reason alone, that the rule or one before it has a
	// limit: of packets in a time, of bytes or of connections.
	Limited bool
	Packet  int // which of the packets judged it is done to, from 0
	// MPTCP says that the rule looks at TCP option 30.
	MPTCP bool
}

// String returns, for example, "inet filter output handle 7 (hook output)". The
// names in it are foreign.
func (h *Hit) String() string {
	what := fmt.Sprintf("handle %d", h.Handle)
	if h.Handle == 0 {
		what = "policy"
	}
	return fmt.Sprintf("%s %s %s %s (hook %s)", h.Family, h.Table, h.Chain, what, h.Hook)
}
