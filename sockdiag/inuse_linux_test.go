package sockdiag

import (
	"net/netip"
	"testing"

	"mptcpctl/internal/lab/labtest"
)

// What the kernel does not count is not taken for absent.
func TestOnlyIPv4(t *testing.T) {
	const head = "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re " +
		"bi br ha uh gp em\n"
	const v4, v6 = "MPTCP     1936      2   17784   no       0   yes  kernel      y  y  y\n",
		"MPTCPv6   2064      0   17784   no       0   yes  kernel      y\n"
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"none of IPv6", head + v6 + v4, true},
		{"in the other order", head + v4 + v6, true},
		{"a kernel without IPv6", head + v4, true},
		{"some of IPv6", head + "MPTCPv6   2064      1   17784\n" + v4, false},
		{"not counted", head + v6 + "MPTCP     1936      0   17784   no       0   yes  kernel      y  y  y\n", false},
		{"not counted, -1", head + v6 + "MPTCP     1936     -1   17784   no       0   yes  kernel      y  y  y\n", false},
		{"a kernel without MPTCP", head + "TCP       2304  18002   17784\n", false},
		{"another form", head + "MPTCPv6 many\n" + v4, false},
		{"no number", head + "MPTCPv6 2064 many 3\n" + v4, false},
		{"nothing", "", false},
	} {
		if got := onlyIPv4(tt.text); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// Among many connections of IPv4 a single one of IPv6 is not passed over.
func TestOneOfIPv6AmongMany(t *testing.T) {
	w := newWorld(t, nil)
	w.crowd(manyConnections/2 + 10)
	c := w.client
	if !c.noIPv6() && !labtest.KernelBefore(t, 6, 2) { // which counts none
		t.Error("there are connections of IPv6, or none are counted")
	}
	count := func() (six int) {
		for _, row := range collect(t, c.Connections(t.Context(), nil)) {
			if row.Local.Addr() == netip.IPv6Loopback() {
				six++
			}
		}
		return six
	}
	if n := count(); n != 0 {
		t.Errorf("%d of IPv6", n)
	}
	l := w.listen("tcp6", "[::1]:0", true)
	client := w.dial("tcp6", l.Addr().String(), true)
	w.accept(l)
	if n := count(); n != 2 {
		t.Errorf("%d ends of IPv6, want 2", n)
	}
	client.Close()
}
