package track_test

import (
	"fmt"
	"net/netip"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// A snapshot's connections and subflows become a tree.
func ExampleJoin() {
	at := netip.MustParseAddrPort
	subflow := func(local, remote string, join bool) track.SubflowRow {
		return track.SubflowRow{
			Subflow: mptcp.Subflow{Local: at(local), Remote: at(remote), TCP: mptcp.StateEstablished, BytesSent: 1000},
			Token:   0x38a251e2, HasToken: true, Join: join, Requested: true,
		}
	}
	connections := track.Join(track.Snapshot{
		Connections: []mptcp.Connection{{Token: 0x38a251e2, Local: at("10.0.1.1:4000"), Remote: at("10.0.1.2:80")}},
		Subflows: []track.SubflowRow{
			subflow("10.0.2.1:5000", "10.0.1.2:80", true),
			subflow("10.0.1.1:4000", "10.0.1.2:80", false),
		},
		Links: []track.LinkFact{
			{Index: 2, Name: "eth0", Up: true, Carrier: true},
			{Index: 3, Name: "wlan0", Up: true, Carrier: true},
		},
		Addresses: []track.AddressFact{
			{Addr: netip.MustParseAddr("10.0.1.1"), IfIndex: 2},
			{Addr: netip.MustParseAddr("10.0.2.1"), IfIndex: 3},
		},
	})
	for _, c := range connections {
		fmt.Println(c.Token, c.Side)
		for _, s := range c.Subflows {
			fmt.Printf("  %v %v dev %s, %.0f%%\n", s.State, s.Local, s.Device, 100*s.Share)
		}
	}
	// Output:
	// 38a251e2 client
	//   established 10.0.1.1:4000 dev eth0, 50%
	//   established 10.0.2.1:5000 dev wlan0, 50%
}

// A state can be made of one dump, for a face that shows no more than that.
func ExampleNewState() {
	state := track.NewState(time.Now(), []mptcp.Connection{
		{Token: 1, State: mptcp.StateEstablished},
		{Token: 2, State: mptcp.StateEstablished, Fallback: true},
	})
	found, _ := state.Find("", 2)
	fmt.Println(state.Len(), state.Counts().Fallbacks, found.Key)
	// Output: 2 1 00000002
}
