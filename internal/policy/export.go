package policy

import (
	"fmt"
	"strconv"
	"strings"

	"mptcpctl/mptcp"
)

// Export returns the file that asks for what is present. device names a link by its
// index. Implicit endpoints, which are the kernel's own, are left out.
func Export(present Present, device func(index int32) string) []byte {
	var b strings.Builder
	fmt.Fprintf(
		&b, "[limits]\nsubflows = %d\nadd_addr_accepted = %d\n", present.Limits.Subflows,
		present.Limits.AddAddrAccepted,
	)
	for _, e := range present.Endpoints {
		known := e.Flags & mptcp.KnownEndpointFlags
		if e.Flags.Has(mptcp.FlagImplicit) {
			continue
		}
		b.WriteString("\n[[endpoint]]\n")
		fmt.Fprintf(&b, "address = %q\n", e.Address)
		fmt.Fprintf(&b, "id = %d\n", e.ID)
		if e.Port != 0 {
			fmt.Fprintf(&b, "port = %d\n", e.Port)
		}
		if e.IfIndex != 0 {
			fmt.Fprintf(&b, "dev = %s\n", quoted(device(e.IfIndex)))
		}
		names := known.Names()
		for i := range names {
			names[i] = strconv.Quote(names[i])
		}
		fmt.Fprintf(&b, "flags = [%s]\n", strings.Join(names, ", "))
	}
	return []byte(b.String())
}

// quoted returns a TOML string.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}
