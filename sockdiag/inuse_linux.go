package sockdiag

import (
	"os"
	"strconv"
	"strings"
)

// manyConnections is the number of connections from which on it pays to find out whether
// there are any of IPv6, because the kernel walks over all connections for each family.
const manyConnections = 500

// noIPv6 reports whether it is known that the client's namespace has no MPTCP sockets of
// IPv6.
func (c *Client) noIPv6() bool {
	var text []byte
	err := c.home.do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/protocols")
		return err
	})
	return err == nil && onlyIPv4(string(text))
}

// onlyIPv4 reports whether the text of /proc/net/protocols counts MPTCP sockets, and
// none of IPv6. Up to Linux 6.1 the kernel counted none at all.
func onlyIPv4(text string) bool {
	counts := false
	for line := range strings.Lines(text) { // protocol size sockets …
		f := append(strings.Fields(line), "", "", "")
		if f[0] != "MPTCP" && f[0] != "MPTCPv6" {
			continue
		}
		n, err := strconv.Atoi(f[2])
		switch {
		case err != nil, f[0] == "MPTCPv6" && n != 0:
			return false
		case f[0] == "MPTCP":
			counts = n > 0
		}
	}
	return counts
}
