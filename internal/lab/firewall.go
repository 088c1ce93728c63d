package lab

import "net/netip"

// FirewallRule is one rule of a host's packet filter: what a packet must be, and
// what becomes of it. Zero fields match everything.
type FirewallRule struct {
	Hook        Hook
	In, Out     string // devices; Out not in prerouting and input, In not in output
	Source      netip.Prefix
	Destination netip.Prefix

	// The fields below match TCP alone.
	SourcePort, DestinationPort uint16
	Flags, FlagsMask            TCPFlags // the flags of Mask must be exactly Flags
	Option                      *TCPOption

	OneIn   uint32 // 0: every packet that matches; N: each Nth of them
	Verdict Verdict
}

// Hook is where in a packet's way through the host a rule stands.
type Hook uint32

// The hooks, with the kernel's numbers (NF_INET_*).
const (
	HookPrerouting  Hook = 0
	HookInput       Hook = 1
	HookForward     Hook = 2
	HookOutput      Hook = 3
	HookPostrouting Hook = 4
)

// TCPFlags are the flags of a TCP header.
type TCPFlags uint8

// The TCP flags.
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// TCPOption matches packets that carry a TCP option.
type TCPOption struct {
	Kind    uint8 // 30 for MPTCP
	Subtype int   // of an MPTCP option (RFC 8684 section 8); AnySubtype for any option
}

// AnySubtype matches an option whatever its subtype.
const AnySubtype = -1

// Kind and subtypes of MPTCP options (RFC 8684).
const (
	OptionMPTCP        = 30
	SubtypeMPCapable   = 0
	SubtypeMPJoin      = 1
	SubtypeDSS         = 2
	SubtypeAddAddr     = 3
	SubtypeRemoveAddr  = 4
	SubtypeMPPrio      = 5
	SubtypeMPFail      = 6
	SubtypeMPFastclose = 7
	SubtypeMPTCPReset  = 8
)

// MPTCPOption returns a match of an MPTCP option of that subtype, or AnySubtype.
func MPTCPOption(subtype int) *TCPOption {
	return &TCPOption{Kind: OptionMPTCP, Subtype: subtype}
}

// OnSYN makes the rule match SYN packets that carry an MPTCP option of the
// subtype: what opens a connection, or a subflow.
func (r FirewallRule) OnSYN(subtype int) FirewallRule {
	r.Flags, r.FlagsMask, r.Option = SYN, SYN|ACK, MPTCPOption(subtype)
	return r
}

// rewriteAt is where [Rewrite] writes, counted from the TCP header: behind it, the
// longest header has 60 bytes.
const rewriteAt = 200

// Verdict is what becomes of a packet that a rule matches.
type Verdict int

// The verdicts.
const (
	Accept      Verdict = iota
	Drop                // silently
	RejectReset         // with a TCP reset
	RejectAdmin         // with ICMP "administratively prohibited"
	Masquerade          // rewrite the source address to that of the device; postrouting only
	StripOption         // overwrite the option with no-operations; needs Option
	Rewrite             // overwrite bytes of the payload of TCP packets that have more than rewriteAt
)
