package doctor

import (
	"fmt"

	"mptcpctl/ledger"
	"mptcpctl/mptcp"
)

// Existing tells what becomes of an endpoint that the host has already: its id, a line
// for each connection made here, and whether none of them waits for it in vain. The id is
// 0 where the host has no such endpoint, with these flags and this device.
func Existing(f Facts, e mptcp.Endpoint) (id mptcp.AddressID, lines []string, fine bool) {
	v := newView(&f)
	for _, other := range f.Endpoints {
		if plain(other.Address) == plain(e.Address) && other.Port == e.Port && other.Flags == e.Flags &&
			other.IfIndex == e.IfIndex {
			id = other.ID
		}
	}
	fine = true
	if id == 0 {
		return 0, nil, fine
	}
	for _, c := range v.clients {
		entry := v.entry(c, e)
		if entry == nil {
			continue
		}
		fine = fine && !entry.Stuck()
		if len(lines) < mostLines {
			lines = append(lines, fmt.Sprintf("connection %s to %s: %s", c.Token, c.Remote, reached(entry)))
		}
	}
	return id, lines, fine
}

// mostLines bounds how many connections Existing names.
const mostLines = 8

// reached is the stage of an entry in words, or that it is one of several.
func reached(e *ledger.Entry) string {
	if e.Certain() {
		return e.Reached[0].String()
	}
	if e.Stuck() {
		return "its subflow failed, and the kernel will not retry it"
	}
	return "not tried, or failed: this host alone cannot tell"
}
