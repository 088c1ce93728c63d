package netcat

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestRefusedInfoIsNotYetAFallback: the kernel's EOPNOTSUPP means a fallback only
// where it can give the information at all.
func TestRefusedInfoIsNotYetAFallback(t *testing.T) {
	for _, test := range []struct {
		name  string
		plain bool
		err   error
		known bool
		want  Protocol
	}{
		{"MPTCP", false, nil, true, MPTCP},
		{"fallback", false, unix.EOPNOTSUPP, true, FallenBack},
		{"MPTCP before 5.16", false, unix.EOPNOTSUPP, false, UnknownProtocol},
		{"accepted from a plain client", true, unix.ENOPROTOOPT, true, FallenBack},
		{"accepted from a plain client before 5.16", true, unix.ENOPROTOOPT, false, FallenBack},
		{"closed", false, unix.EBADF, true, UnknownProtocol},
	} {
		if got := protocolByInfo(test.plain, test.err, func() bool { return test.known }); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
