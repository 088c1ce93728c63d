package hostnet_test

import (
	"context"
	"fmt"
	"net/netip"

	"mptcpctl/hostnet"
)

// The paths of a host with two links, worked out from what is known of it.
func ExampleCandidates() {
	network := hostnet.Network{
		Links: []hostnet.Link{
			{Index: 2, Name: "enp1s0", Up: true, Carrier: true},
			{Index: 3, Name: "wlp1s0", Up: true, Carrier: true},
		},
		Addresses: []hostnet.Address{
			{
				Addr:    netip.MustParseAddr("192.0.2.2"),
				Prefix:  netip.MustParsePrefix("192.0.2.0/24"),
				IfIndex: 2,
				Scope:   "global",
			},
			{
				Addr:    netip.MustParseAddr("192.0.2.3"),
				Prefix:  netip.MustParsePrefix("192.0.2.0/24"),
				IfIndex: 3,
				Scope:   "global",
			},
		},
		Routes: []hostnet.Route{
			{
				Dst:     netip.MustParsePrefix("192.0.2.0/24"),
				IfIndex: 2,
				Metric:  100,
				Table:   hostnet.TableMain,
				Type:    "unicast",
			},
			{
				Dst:     netip.MustParsePrefix("192.0.2.0/24"),
				IfIndex: 3,
				Metric:  600,
				Table:   hostnet.TableMain,
				Type:    "unicast",
			},
		},
	}
	lookup := func(q hostnet.LookupRequest) (hostnet.Route, error) {
		r, _ := hostnet.BestRoute(network.Routes, hostnet.TableMain, q.OIF, q.Dst)
		r.Source = netip.MustParseAddr("192.0.2.2")
		return r, nil
	}
	report := hostnet.Candidates(network, netip.MustParseAddr("192.0.2.1"), lookup)
	for _, p := range report.Paths {
		fmt.Println(p.Address, p.Device, "metric", p.Metric, "initial", p.Initial, "leaves by", p.LeavesBy)
	}
	// Output:
	// 192.0.2.2 enp1s0 metric 100 initial true leaves by enp1s0
	// 192.0.2.3 wlp1s0 metric 600 initial false leaves by enp1s0
}

// Which links are there.
func ExampleReader_Links() {
	r, err := hostnet.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	links, err := r.Links(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range links {
		if l.Loopback {
			fmt.Println(l.Index, l.Name)
		}
	}
	// Output: 1 lo
}
