package source

import (
	"testing"

	"mptcpctl/sockdiag"
)

// Which side sent the SYN, by the marks that Linux 6.18 shows of real subflows.
func TestRequested(t *testing.T) {
	const (
		M = sockdiag.SubflowCapableRemote
		m = sockdiag.SubflowCapableLocal
		J = sockdiag.SubflowJoinRemote
		j = sockdiag.SubflowJoinLocal
		c = sockdiag.SubflowConnected
	)
	for _, test := range []struct {
		name  string
		flags sockdiag.SubflowFlags
		want  bool
	}{
		{"client", M | m | c, true},
		{"server", M | c, false},
		{"client whose server has no MPTCP", m | c, true},
		{"client whose SYN was sent again without MPTCP", c, true},
		{"join made here", J | j | c, true},
		{"join accepted here", J | c, false},
	} {
		sub := sockdiag.Subflow{HasMPTCP: true, MPTCP: sockdiag.SubflowInfo{TokenLocal: 1, Flags: test.flags}}
		if row := SubflowRow(&sub); row.Requested != test.want {
			t.Errorf("%s (%s): Requested is %v", test.name, test.flags, row.Requested)
		}
	}
}
