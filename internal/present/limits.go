package present

import (
	"strconv"

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

// AppendLimitsJSON appends the limits as an array of one object, in the layout of
// iproute2, which has no JSON of them itself.
func AppendLimitsJSON(b []byte, l mptcp.Limits, pretty bool) []byte {
	a := objects{b: b, pretty: pretty}
	a.open()
	a.number("add_addr_accepted", uint64(l.AddAddrAccepted))
	a.number("subflows", uint64(l.Subflows))
	a.close()
	return a.end()
}
