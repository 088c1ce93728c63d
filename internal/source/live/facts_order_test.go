package live

import (
	"net/netip"
	"sync"
	"testing"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/source/recording"
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
