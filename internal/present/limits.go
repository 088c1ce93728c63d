package present

import (
	"strconv"
	"strings"

	"mptcpctl/mptcp"
)

// AppendLimits appends the limits as `ip mptcp limits show` prints them; end is a
// line break, or what stands for one.
func AppendLimits(b []byte, l mptcp.Limits, end string) []byte {
	b = append(b, "add_addr_accepted "...)
	b = strconv.AppendUint(b, uint64(l.AddAddrAccepted), 10)
	b = append(b, " subflows "...)
	b = strconv.AppendUint(b, uint64(l.Subflows), 10)
	b = append(b, ' ')
	return append(b, end...)
}

// LimitsOf is the limits of one network namespace.
type LimitsOf struct {
	Netns  string // "" for the reader's own, and then no key
	Limits mptcp.Limits
}

// AppendLimitsJSON appends an array with an object for each namespace, in the
// layout of iproute2, which has no JSON of limits itself.
func AppendLimitsJSON(b []byte, limits []LimitsOf, pretty bool) []byte {
	a := objects{b: b, pretty: pretty}
	for _, l := range limits {
		a.open()
		a.number("add_addr_accepted", uint64(l.Limits.AddAddrAccepted))
		a.number("subflows", uint64(l.Limits.Subflows))
		if l.Netns != "" {
			a.text("netns", l.Netns)
		}
		a.close()
	}
	return a.end()
}

// NetnsEnd returns what ends a record that names its network namespace.
func NetnsEnd(netns, end string) string {
	return strings.TrimLeft(string(appendNetns(nil, netns)), " ") + end
}
