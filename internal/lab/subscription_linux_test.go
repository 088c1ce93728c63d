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

// On a busy machine a program may have asked the path manager something long before it
// listens to events. Who takes that for listening stops it too early, and it never
// loses any.
func TestSubscribedIsMoreThanASocket(t *testing.T) {
	labtest.MPTCP(t)
	ns := labtest.Namespace(t)
	socket := -1
	err := ns.Do(func() (err error) {
		// Not closed by exec: the process inherits it.
		if socket, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_GENERIC); err != nil {
			return err
		}
		return unix.Bind(socket, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	p, err := ns.StartProcess(t.Context(), lab.ProcessConfig{Args: []string{"sleep", "100"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if ok, err := p.Subscribed(time.Minute); ok || err != nil {
		t.Errorf("a socket that is in no group counts: %v, %v", ok, err)
	}
}
