package counters_test

import (
	"context"
	"net"
	"testing"

	"mptcpctl/counters"
	"mptcpctl/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// A connection over loopback moves the counters of its own namespace only.
func TestCountersBelongToTheNamespace(t *testing.T) {
	ns, other := labtest.MPTCP(t), labtest.MPTCP(t)
	r := counters.New("")
	err := ns.Do(func() error {
		before, err := r.MPTCP()
		if err != nil {
			return err
		}
		connect(t)
		after, err := r.MPTCP()
		if err != nil {
			return err
		}
		delta := after.Since(before)
		for _, name := range []string{"MPCapableSYNRX", "MPCapableSYNTX", "MPCapableSYNACKRX", "MPCapableACKRX"} {
			if n, ok := delta.Get(name); !ok || n != 1 {
				t.Errorf("%s moved by %d (%v), want 1", name, n, ok)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = other.Do(func() error {
		v, err := r.MPTCP()
		if moved := v.Moved(); moved.Len() > 0 {
			t.Errorf("counters moved in a namespace without connections: %v", moved.Names())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// connect makes one MPTCP connection and closes it.
func connect(t *testing.T) {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(true)
	l, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var d net.Dialer
	d.SetMultipathTCP(true)
	c, err := d.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if ok, err := c.(*net.TCPConn).MultipathTCP(); err != nil || !ok {
		t.Fatalf("no MPTCP on loopback: %v", err)
	}
}

func TestSysctlsFollowTheNamespace(t *testing.T) {
	ns := labtest.MPTCP(t)
	err := ns.Do(func() error {
		r := counters.New("")
		s, err := r.Sysctls()
		if err != nil {
			return err
		}
		if s.Enabled == nil || !*s.Enabled {
			t.Error("net.mptcp.enabled is not 1 where MPTCP sockets can be opened")
		}
		c, err := r.IPv4Conf("lo")
		if err != nil {
			return err
		}
		t.Logf("lo: %+v", c)
		if _, err := r.NetlinkSockets(); err != nil {
			return err
		}
		_, err = r.Protocols()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
