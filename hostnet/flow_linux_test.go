package hostnet_test

import (
	"net/netip"
	"testing"

	"mptcpctl/hostnet"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/scenario"

	"github.com/vishvananda/netlink"
)

// Devices answers as `ip route get` does: by source, by mark, and with none where no route
// leads; more flows than are asked at once.
func TestDevicesOfFlows(t *testing.T) {
	labtest.MPTCP(t)
	topology, _ := scenario.FindTopology("two-subnets")
	l, err := lab.Build(t.Context(), topology)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	client := l.Host(lab.ClientHost)
	var r *hostnet.Reader
	first, second := 0, 0
	err = client.Do(func() (err error) {
		for name, index := range map[string]*int{"eth0": &first, "eth1": &second} {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			*index = link.Attrs().Index
		}
		marked := netlink.NewRule()
		marked.Mark, marked.Table, marked.Priority, marked.Family = 7, 102, 50, netlink.FAMILY_V4
		if err := netlink.RuleAdd(marked); err != nil {
			return err
		}
		r, err = hostnet.New(nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	at := netip.MustParseAddr
	cases := []struct {
		flow hostnet.Flow
		want int
	}{
		{hostnet.Flow{Source: at("10.0.1.2"), Destination: at("10.0.1.1")}, first},
		{hostnet.Flow{Source: at("10.0.2.2"), Destination: at("10.0.1.1")}, second}, // the rule by source
		{hostnet.Flow{Source: at("10.0.1.2"), Destination: at("10.0.2.1")}, second},
		{hostnet.Flow{Source: at("10.0.1.2"), Destination: at("10.0.1.1"), Mark: 7}, second},
		{hostnet.Flow{Source: at("10.0.1.2"), Destination: at("10.0.1.1"), SourcePort: 1, DestinationPort: 2}, first},
		{hostnet.Flow{Source: at("10.0.1.2"), Destination: at("203.0.113.1")}, 0},
		{hostnet.Flow{Source: at("2001:db8::1"), Destination: at("2001:db8::2")}, 0},
		{hostnet.Flow{Source: at("10.0.1.2"), Destination: at("10.0.1.2")}, 1}, // lo
	}
	var flows []hostnet.Flow
	const rounds = 50
	for range rounds {
		for _, c := range cases {
			flows = append(flows, c.flow)
		}
	}
	devices, err := r.Devices(t.Context(), flows)
	if err != nil {
		t.Fatal(err)
	}
	for i, device := range devices {
		if c := cases[i%len(cases)]; int(device) != c.want {
			t.Fatalf("%+v: device %d, want %d (eth0 %d, eth1 %d)", c.flow, device, c.want, first, second)
		}
	}
}

func BenchmarkDevices(b *testing.B) {
	ns := labtest.Namespace(b)
	var r *hostnet.Reader
	if err := ns.Do(func() (err error) { r, err = hostnet.New(nil); return err }); err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	flows := make([]hostnet.Flow, 1000)
	for i := range flows {
		flows[i] = hostnet.Flow{
			Source:      netip.MustParseAddr("127.0.0.1"),
			Destination: netip.AddrFrom4([4]byte{127, 0, byte(i >> 8), byte(i)}),
		}
	}
	for b.Loop() {
		if _, err := r.Devices(b.Context(), flows); err != nil {
			b.Fatal(err)
		}
	}
}
