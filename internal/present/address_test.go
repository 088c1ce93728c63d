package present_test

import (
	"net/netip"
	"testing"

	"mptcpctl/internal/present"
)

// The texts are those of inet_ntop in glibc 2.36, as iproute2 prints them.
func TestAppendAddress(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1":        "192.0.2.1",
		"::ffff:192.0.2.1": "::ffff:192.0.2.1",
		"::a01:203":        "::10.1.2.3",
		"::1:0":            "::0.1.0.0",
		"::":               "::",
		"::1":              "::1",
		"::ffff":           "::ffff",
		"::1:2:3":          "::1:2:3",
		"fe80::1%eth0":     "fe80::1",
		"64:ff9b::a01:203": "64:ff9b::a01:203",
	} {
		if got := string(present.AppendAddress(nil, netip.MustParseAddr(addr))); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}
