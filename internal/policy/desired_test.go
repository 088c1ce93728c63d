package policy

import (
	"net/netip"
	"testing"

	"mptcpctl/mptcp"

	"github.com/google/go-cmp/cmp"
)

// TestDesired follows a host whose links come and go.
func TestDesired(t *testing.T) {
	p, err := Parse([]byte(endpoint(`address = "10.0.2.2"`, "subflow", "backup") +
		endpoint(`link = "eth*"`, "subflow") +
		endpoint("address = \"10.0.9.9\"\ndev = \"wwan0\"", "subflow") +
		endpoint("address = \"10.0.1.2\"\nport = 99", "signal")))
	if err != nil {
		t.Fatal(err)
	}
	address := func(text, link string, index int32, lasting bool) Address {
		return Address{Addr: netip.MustParseAddr(text), Link: link, IfIndex: index, Lasting: lasting, Present: true}
	}
	host := &Host{
		Links: map[string]int32{"eth0": 2, "eth1": 3, "lo": 1},
		Addresses: []Address{
			address("127.0.0.1", "lo", 1, false), address("10.0.1.2", "eth0", 2, true),
			address("10.0.2.2", "eth1", 3, true), address("2001:db8::2", "eth1", 3, false),
		},
	}
	desired, missing := p.Desired(host)
	want := []mptcp.Endpoint{
		{Address: netip.MustParseAddr("10.0.2.2"), Flags: mptcp.FlagSubflow | mptcp.FlagBackup}, // the first rule wins
		{Address: netip.MustParseAddr("10.0.1.2"), Flags: mptcp.FlagSubflow, IfIndex: 2},
		{Address: netip.MustParseAddr("10.0.1.2"), Flags: mptcp.FlagSignal, Port: 99},
	}
	same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, desired, same); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Missing{{3, `there is no link "wwan0" now`}}, missing); diff != "" {
		t.Error(diff)
	}
	host.Addresses, host.Links["wwan0"] = nil, 9
	desired, missing = p.Desired(host)
	if len(desired) != 2 || desired[1].IfIndex != 9 || len(missing) != 2 {
		t.Errorf("%v, %v", desired, missing)
	}
}
