package netcat

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHint: a port for privileged programs is not blamed on a firewall, nor a
// firewall on such a port.
func TestHint(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{errors.Join(&bindError{80, unix.EACCES}, nil), "ip_unprivileged_port_start"},
		{&bindError{1023, unix.EACCES}, "ip_unprivileged_port_start"},
		{&bindError{1024, unix.EACCES}, "a firewall"},
		{unix.EACCES, "a firewall"},
		{unix.EPERM, "a firewall"},
	} {
		if got := hint(test.err); !strings.Contains(got, test.want) {
			t.Errorf("%#v: %q, want %q", test.err, got, test.want)
		}
	}
	if got := hint(&bindError{80, unix.EADDRINUSE}); got != "" {
		t.Errorf("a port in use: %q", got)
	}
}
