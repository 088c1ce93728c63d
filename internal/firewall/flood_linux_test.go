package firewall_test

import (
	"os"
	"sync"
	"testing"

	"mptcpctl/internal/firewall"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"

	"golang.org/x/sys/unix"
)

// flood writes to the port that the process's first socket of its kind gets, from within
// the namespace, until the function that it returns is called.
func flood(t *testing.T, ns *lab.Namespace) (end func()) {
	t.Helper()
	var senders sync.WaitGroup
	quit, began := make(chan struct{}), make(chan error)
	send := func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		if err == nil {
			defer unix.Close(fd)
			err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: 1 << 30})
		}
		if began <- err; err != nil {
			return err
		}
		message := make([]byte, 64)
		message[0] = 64
		target := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: uint32(os.Getpid())}
		for {
			select {
			case <-quit:
				return nil
			default: // it is refused while nobody has the port
				_ = unix.Sendto(fd, message, unix.MSG_DONTWAIT, target)
			}
		}
	}
	senders.Go(func() { _ = ns.Do(send) }) // the error was sent
	if err := <-began; err != nil {
		close(quit)
		t.Fatal(err)
	}
	return func() { close(quit); senders.Wait() }
}

// TestReadUnderAFlood: root of a container writes to each socket that is opened in its
// namespace. That does not keep the rules from anybody.
func TestReadUnderAFlood(t *testing.T) {
	ns := labtest.Namespace(t)
	if err := ns.SetFirewall(lab.FirewallRule{Hook: lab.HookOutput, DestinationPort: 443, Verdict: lab.Drop}); err != nil {
		t.Fatal(err)
	}
	defer flood(t, ns)()
	for range 200 {
		err := ns.Do(func() error {
			f, err := firewall.Read(t.Context())
			if err == nil && (len(f.Chains) != 1 || len(f.Chains[0].Rules) != 1) {
				t.Errorf("%+v", f)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
