package ledger

import (
	"net/netip"
	"testing"

	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

// threeLinks is a host with a link of each kind: up, without carrier, and down.
func threeLinks() *Ground {
	held := func(a string, link int) hostnet.Address {
		return hostnet.Address{Addr: netip.MustParseAddr(a), IfIndex: link}
	}
	failed := held("fd00::5", 1)
	failed.DADFailed = true
	return NewGround(
		[]hostnet.Address{held("10.0.1.1", 1), held("10.0.2.1", 2), held("10.0.3.1", 3), held("10.0.4.1", 3),
			held("10.0.4.1", 1), failed},
		[]hostnet.Link{{Index: 1, Name: "up", Up: true, Carrier: true}, {Index: 2, Name: "pulled", Up: true},
			{Index: 3, Name: "down"}},
		[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	)
}

func TestGround(t *testing.T) {
	g, nothing := threeLinks(), NewGround(nil, nil, nil)
	for _, c := range []struct {
		address string
		device  int32
		want    [2]Cause // trouble of the address, and of the device
	}{
		{"10.0.1.1", 0, [2]Cause{}},
		{"::ffff:10.0.1.1", 1, [2]Cause{}},
		{"10.0.2.1", 0, [2]Cause{NoCause, NoCarrier}},
		{"10.0.3.1", 0, [2]Cause{NoCause, DeviceDown}},
		{"10.0.4.1", 0, [2]Cause{}}, // one of its links works
		{"10.0.4.1", 3, [2]Cause{NoCause, DeviceDown}},
		{"10.0.1.1", 9, [2]Cause{NoCause, DeviceMissing}},
		{"10.0.9.1", 1, [2]Cause{AddressMissing, NoCause}},
		{"fd00::5", 1, [2]Cause{AddressTentative, NoCause}},
		{"192.0.2.7", 1, [2]Cause{}}, // a route of type local makes it the host's
		{"127.0.0.1", 0, [2]Cause{}},
	} {
		e := mptcp.Endpoint{Address: netip.MustParseAddr(c.address), IfIndex: c.device}
		if got := [2]Cause{g.AddressTrouble(e.Address), g.DeviceTrouble(e)}; got != c.want {
			t.Errorf("%s on device %d: %q, want %q", c.address, c.device, got, c.want)
		}
		if got := [2]Cause{nothing.AddressTrouble(e.Address), nothing.DeviceTrouble(e)}; got != [2]Cause{} {
			t.Errorf("%s on device %d: %q of a host of which nothing is known", c.address, c.device, got)
		}
	}
}

// TestFrom: what an endpoint is used for is told whichever address of the peer its subflow
// goes to, and whether it would only add to a link that is in use.
func TestFrom(t *testing.T) {
	at := netip.MustParseAddrPort
	f := Facts{
		Limits: &mptcp.Limits{Subflows: 4, AddAddrAccepted: 4},
		Endpoints: []mptcp.Endpoint{
			{ID: 1, Address: at("10.0.2.1:0").Addr(), Flags: mptcp.FlagSubflow | mptcp.FlagFullmesh},
			{ID: 2, Address: at("10.0.1.2:0").Addr(), Flags: mptcp.FlagSubflow},
			{ID: 3, Address: at("10.0.3.1:0").Addr(), Flags: mptcp.FlagSubflow},
		},
		Addresses: []hostnet.Address{
			{Addr: at("10.0.1.1:0").Addr(), IfIndex: 1}, {Addr: at("10.0.1.2:0").Addr(), IfIndex: 1},
			{Addr: at("10.0.2.1:0").Addr(), IfIndex: 2}, {Addr: at("10.0.3.1:0").Addr(), IfIndex: 3},
		},
		Links: []hostnet.Link{
			{Index: 1, Up: true, Carrier: true}, {Index: 2, Up: true, Carrier: true}, {Index: 3, Up: true, Carrier: true},
		},
		Connections: []mptcp.Connection{{
			Token: 5, Family: mptcp.FamilyINET, Side: mptcp.SideClient, State: mptcp.StateEstablished,
			PathManager: "kernel", Local: at("10.0.1.1:7"), Remote: at("10.0.1.9:8"), BytesReceived: 1,
			Limits: mptcp.ConnectionLimits{SubflowsMax: 4, Subflows: 1, AddAddrAccepted: 1, AddAddrAcceptedMax: 4},
			Subflows: []mptcp.Subflow{
				{Local: at("10.0.1.1:7"), Remote: at("10.0.1.9:8"), Initial: true, State: mptcp.SubflowEstablished},
				{Local: at("10.0.2.1:9"), Remote: at("10.0.2.9:8"), LocalID: 1, RemoteID: 2, TokenRemote: 6,
					State: mptcp.SubflowEstablished, FullyEstablished: true},
			},
		}},
	}
	l := Of(f)
	for address, want := range map[string]struct{ used, shares bool }{
		"10.0.2.1": {used: true}, "10.0.1.2": {shares: true}, "10.0.3.1": {},
	} {
		e := l.From(5, netip.MustParseAddr(address))
		if e == nil {
			t.Fatalf("%s: no entry", address)
		}
		if used := e.Subflow != nil; used != want.used || e.SharesLink != want.shares {
			t.Errorf("%s: used %v, its link %v; want %v", address, used, e.SharesLink, want)
		}
	}
	if e := l.From(5, netip.MustParseAddr("10.0.7.1")); e != nil {
		t.Errorf("%v of an address without an endpoint", e)
	}
}
