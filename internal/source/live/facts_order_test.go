package live

import (
	"net/netip"
	"sync"
	"testing"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/source/recording"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// A connection that ends while its sockets are read is not one whose subflows have all
// gone.
func TestFactsOfAConnectionThatEnds(t *testing.T) {
	ns := labtest.MPTCP(t)
	server, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:7000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := lab.Connect(t.Context(), ns, server.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exchange(100); err != nil {
		t.Fatal(err)
	}
	err = ns.Do(func() error {
		var first sync.Once
		h, err := Dial(&Config{taps: taps{sockets: func(_ uint32, datagram []byte) {
			if len(recording.AppendRows(nil, datagram, func([]byte) bool { return true })) > 0 {
				first.Do(func() { _ = c.Abort() })
			}
		}}})
		if err != nil {
			return err
		}
		defer h.Close()
		f, err := h.Facts(t.Context(), nil)
		for i := range f.Connections {
			if c := &f.Connections[i]; c.State == mptcp.StateEstablished && len(c.Subflows) == 0 {
				t.Errorf("%v is established and has no subflow", c.Token)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestListenersComeWithTheConnections: connections and listeners are read in one dump, and
// each is there once, also where the kernel needs several answers for them.
func TestListenersComeWithTheConnections(t *testing.T) {
	const listeners, connections = 150, 100
	ns := labtest.MPTCP(t)
	var at netip.AddrPort
	for i := range listeners {
		server, err := lab.Serve(t.Context(), ns, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(7000+i)), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		at = server.Addr()
	}
	for range connections {
		c, err := lab.Connect(t.Context(), ns, at, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	err := ns.Do(func() error {
		answers := 0
		h, err := Dial(&Config{taps: taps{sockets: func(protocol uint32, _ []byte) {
			if protocol == uapi.IPPROTO_MPTCP {
				answers++
			}
		}}})
		if err != nil {
			return err
		}
		defer h.Close()
		f, err := h.Facts(t.Context(), nil)
		if err != nil {
			return err
		}
		if answers < 3 {
			t.Errorf("%d answers about MPTCP sockets: too few to test anything", answers)
		}
		ports := map[netip.AddrPort]bool{}
		for _, l := range f.Listeners {
			ports[l.Local] = true
		}
		if len(f.Listeners) != listeners || len(ports) != listeners {
			t.Errorf("%d listeners at %d addresses, want %d", len(f.Listeners), len(ports), listeners)
		}
		tokens := map[mptcp.Token]bool{}
		for i := range f.Connections {
			if c := &f.Connections[i]; c.Side == mptcp.SideClient {
				tokens[c.Token] = true
			}
			if f.Connections[i].State == mptcp.StateListen {
				t.Errorf("a listener among the connections: %+v", f.Connections[i])
			}
		}
		if len(tokens) != connections {
			t.Errorf("%d connections made here, want %d", len(tokens), connections)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
