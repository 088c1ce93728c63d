package policy

import (
	"fmt"
	"net/netip"
	"path"

	"mptcpctl/mptcp"
)

// Address is an address of the host.
type Address struct {
	Addr    netip.Addr
	Link    string
	IfIndex int32
	// Lasting: it can be used, and is there to stay: of global scope, not tentative,
	// deprecated, temporary nor another host's, on a link that is up and connected.
	Lasting bool
	Present bool // the host has it, whatever its link does
}

// Host is what a policy needs to know of the host.
type Host struct {
	Addresses []Address
	Links     map[string]int32 // indices by name
}

// Missing is a rule that makes no endpoint on this host now.
type Missing struct {
	Rule   int // counted from 1, as in the file
	Reason string
}

// String returns the number and the reason.
func (m Missing) String() string { return fmt.Sprintf("endpoint %d: %s", m.Rule, m.Reason) }

// Desired returns the endpoints that the policy asks for on the host as it is now,
// in the file's order, and the rules that ask for none. An address that several
// rules want is given by the first.
func (p *Policy) Desired(h *Host) ([]mptcp.Endpoint, []Missing) {
	var desired []mptcp.Endpoint
	var missing []Missing
	taken := map[identity]bool{}
	for i := range p.Rules {
		endpoints, reason := p.Rules[i].endpoints(h)
		if reason != "" {
			missing = append(missing, Missing{i + 1, reason})
		}
		for _, e := range endpoints {
			if key := identityOf(e); !taken[key] {
				taken[key] = true
				desired = append(desired, e)
			}
		}
	}
	return desired, missing
}

// endpoints returns what the rule makes of the host's addresses, or why nothing.
func (r *Rule) endpoints(h *Host) ([]mptcp.Endpoint, string) {
	if r.Address.IsValid() {
		return r.fixed(h)
	}
	var all []mptcp.Endpoint
	for _, a := range h.Addresses {
		if a.Lasting && r.follows(a) {
			e := mptcp.Endpoint{Address: a.Addr, Port: r.Port, Flags: r.Flags}
			if r.Bind {
				e.IfIndex = a.IfIndex
			}
			all = append(all, e)
		}
	}
	if len(all) == 0 {
		return nil, "no usable address of the host fits it now"
	}
	return all, ""
}

// fixed returns the endpoint of the rule's own address. It is there whatever the
// links do, unless the kernel could not make it.
func (r *Rule) fixed(h *Host) ([]mptcp.Endpoint, string) {
	e := mptcp.Endpoint{ID: r.ID, Address: r.Address, Port: r.Port, Flags: r.Flags}
	if r.Device != "" {
		index, ok := h.Links[r.Device]
		if !ok {
			return nil, fmt.Sprintf("there is no link %q now", r.Device)
		}
		e.IfIndex = index
	}
	if r.Port != 0 && !h.has(r.Address) {
		return nil, fmt.Sprintf("the host does not have %v now, and a port needs a listener at it", r.Address)
	}
	return []mptcp.Endpoint{e}, ""
}

// follows reports whether the rule is about the address.
func (r *Rule) follows(a Address) bool {
	if r.Link != "" {
		if match, _ := path.Match(r.Link, a.Link); !match {
			return false
		}
	}
	switch {
	case r.Family != 0 && mptcp.FamilyOf(a.Addr) != r.Family:
		return false
	case r.Within.IsValid():
		return r.Within.Contains(a.Addr)
	}
	return true
}

func (h *Host) has(addr netip.Addr) bool {
	for _, a := range h.Addresses {
		if a.Present && a.Addr == addr.Unmap() {
			return true
		}
	}
	return false
}

// identity is what the kernel tells endpoints apart by.
type identity struct {
	addr netip.Addr
	port uint16
}

func identityOf(e mptcp.Endpoint) identity { return identity{e.Address.Unmap(), e.Port} }
