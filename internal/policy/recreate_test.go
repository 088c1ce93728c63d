package policy

import (
	"net/netip"
	"testing"
	"time"

	"mptcpctl/mptcp"
)

// TestRecreator checks when an endpoint is tried again: after the time of grace,
// with growing pauses, and not at the cost of more subflows than it may bring.
func TestRecreator(t *testing.T) {
	from := netip.MustParseAddr("10.0.2.2")
	endpoints := []mptcp.Endpoint{
		{ID: 1, Address: from, Flags: mptcp.FlagSubflow},
		{ID: 2, Address: netip.MustParseAddr("10.0.3.2"), Flags: mptcp.FlagSignal},
	}
	connection := func(token mptcp.Token, locals ...string) mptcp.Connection {
		c := mptcp.Connection{
			Token: token, State: mptcp.StateEstablished, Side: mptcp.SideClient,
			Remote: netip.MustParseAddrPort("10.0.1.1:443"), Limits: mptcp.ConnectionLimits{SubflowsMax: 2},
		}
		for _, l := range locals {
			c.Subflows = append(
				c.Subflows,
				mptcp.Subflow{Local: netip.MustParseAddrPort(l), State: mptcp.SubflowEstablished},
			)
		}
		return c
	}
	lacking, having := connection(1, "10.0.1.2:5"), connection(2, "10.0.1.2:6", "10.0.2.2:7")
	full, fallback, server, v6 := lacking, lacking, lacking, lacking
	full.Limits.Subflows, fallback.Fallback, server.Side = 2, true, mptcp.SideServer
	v6.Remote = netip.MustParseAddrPort("[2001:db8::1]:443")
	anywhere := func(netip.Addr) bool { return true }
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	attempts := func(connections []mptcp.Connection, usable func(netip.Addr) bool) (at []time.Duration) {
		var r Recreator
		for after := time.Duration(0); after <= 2*time.Minute; after += time.Second {
			for _, e := range r.Due(start.Add(after), endpoints, connections, usable) {
				if e.ID != 1 {
					t.Errorf("endpoint %v is tried again", e)
				}
				at = append(at, after/time.Second)
			}
		}
		return at
	}
	for _, test := range []struct {
		name        string
		connections []mptcp.Connection
		want        []time.Duration
	}{
		{"one lacks it", []mptcp.Connection{lacking}, []time.Duration{3, 13, 33, 73}},
		{"as many have it", []mptcp.Connection{lacking, having}, []time.Duration{3, 13, 33, 73}},
		{"more have it", []mptcp.Connection{lacking, having, having}, nil},
		{"all have it", []mptcp.Connection{having}, nil},
		{"no room, TCP, a server, another family", []mptcp.Connection{full, fallback, server, v6}, nil},
	} {
		got := attempts(test.connections, anywhere)
		if len(got) != len(test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s: %v, want %v", test.name, got, test.want)
				break
			}
		}
	}
	if got := attempts([]mptcp.Connection{lacking}, func(netip.Addr) bool { return false }); got != nil {
		t.Errorf("tried from an address that cannot be used: %v", got)
	}
	// Help that came resets the pause.
	var r Recreator
	if len(r.Due(start, endpoints, []mptcp.Connection{lacking}, anywhere)) != 0 ||
		len(r.Due(start.Add(Grace), endpoints, []mptcp.Connection{lacking}, anywhere)) != 1 {
		t.Fatal("not tried")
	}
	r.Due(start.Add(4*time.Second), endpoints, []mptcp.Connection{having}, anywhere)
	r.Due(start.Add(5*time.Second), endpoints, []mptcp.Connection{lacking}, anywhere)
	if len(r.Due(start.Add(8*time.Second), endpoints, []mptcp.Connection{lacking}, anywhere)) != 1 {
		t.Error("the pause outlives the help")
	}
}
