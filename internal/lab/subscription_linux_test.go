package lab_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
)

// Who watches all namespaces of the machine has a socket in each: that is not the
// process that is waited for.
func TestSubscribedIsTheProcessItself(t *testing.T) {
	const ctrlNotify = 16 // the group of the generic netlink controller, on every kernel
	ns := labtest.Namespace(t)
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
		if err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(fd) })
		return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (ctrlNotify - 1)})
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ns.StartProcess(t.Context(), lab.ProcessConfig{Args: []string{"sleep", "100"}})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.Subscribed(time.Hour); ok || err != nil {
		t.Errorf("the socket of another process counts: %v, %v", ok, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if ok, err := p.Subscribed(time.Hour); ok || err != nil {
		t.Errorf("of a process that has ended: %v, %v", ok, err)
	}
}
