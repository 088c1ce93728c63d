package hostnet

import "net/netip"

// Address is an address of a link.
type Address struct {
	Addr netip.Addr `json:"local"`
	// reached without a gateway; of a point-to-point link the peer's
	Prefix     netip.Prefix `json:"prefix"`
	Peer       netip.Addr   `json:"peer,omitzero"`       // of a point-to-point link
	IfIndex    int          `json:"ifindex"`             // of the link
	Scope      string       `json:"scope"`               // "global", "link", "host", "site"
	Label      string       `json:"label,omitempty"`     // IPv4 only
	Secondary  bool         `json:"secondary,omitempty"` // IPv4: another address of the link has the same prefix
	Temporary  bool         `json:"temporary,omitempty"` // IPv6: made for privacy, replaced after a day
	Tentative  bool         `json:"tentative,omitempty"` // IPv6: not usable yet, or its duplicate was found
	DADFailed  bool         `json:"dadfailed,omitempty"` // IPv6: another host has it
	Deprecated bool         `json:"deprecated,omitempty"`
}
