// Package command writes the commands that fixes of doctor consist of.
package command

import (
	"fmt"
	"net/netip"
	"strings"

	"mptcpctl/mptcp"
)

// DeleteEndpoint is the command that deletes the endpoint.
func DeleteEndpoint(e mptcp.Endpoint) string {
	return fmt.Sprintf("mptcpctl endpoint delete id %d", e.ID)
}

// AddEndpoint is the command that makes the endpoint, with these words after the address.
func AddEndpoint(e mptcp.Endpoint, words ...string) string {
	return strings.Join(append([]string{"mptcpctl endpoint add", e.Address.String()}, words...), " ")
}

// IP is the command of iproute2 for the family of an address.
func IP(a netip.Addr) string {
	if a.Unmap().Is6() {
		return "ip -6"
	}
	return "ip"
}

// NoBackup is the command that takes backup from the endpoint that the selector names, and
// leaves fullmesh, which a change sets anew as well.
func NoBackup(selector string, flags mptcp.EndpointFlags) string {
	change := "mptcpctl endpoint change " + selector + " nobackup"
	if flags.Has(mptcp.FlagFullmesh) {
		change += " fullmesh"
	}
	return change
}
