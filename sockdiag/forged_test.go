package sockdiag

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Root of a container can write to netlink sockets that are opened in its namespace, but
// not to those of a client: they are connected to the kernel. So it cannot fill their
// receive buffers, and the kernel's answers find room.
func TestNobodyElseReachesAClient(t *testing.T) {
	w := newWorld(t, nil)
	socket, ok := w.client.idle[0].transport.(*netlinkSocket)
	if !ok {
		t.Fatalf("%T", w.client.idle[0].transport)
	}
	self, err := unix.Getsockname(socket.fd)
	if err != nil {
		t.Fatal(err)
	}
	w.do(func() error {
		forger, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
		if err != nil {
			return err
		}
		defer unix.Close(forger)
		for range 100 {
			if err := unix.Sendto(forger, make([]byte, 9000), unix.MSG_DONTWAIT, self); err != unix.ECONNREFUSED {
				t.Fatalf("a forged message is sent: %v", err)
			}
		}
		return nil
	})
	for _, err := range w.client.Connections(t.Context(), nil) {
		t.Error(err)
	}
}
