package ledger

import (
	"net/netip"
	"slices"
	"testing"

	"mptcpctl/counters"
	"mptcpctl/mptcp"
)

// TestSuspects: a counter of joins that could not begin is about the endpoints that the
// ledger does not exclude.
func TestSuspects(t *testing.T) {
	endpoint := func(id mptcp.AddressID, address string, flags mptcp.EndpointFlags) mptcp.Endpoint {
		return mptcp.Endpoint{ID: id, Address: netip.MustParseAddr(address), Flags: flags}
	}
	for _, c := range []struct {
		name    string
		counter string
		edit    func(*Facts)
		want    []Suspect
	}{
		{"the only one", ConnectErrors, func(*Facts) {}, []Suspect{
			{Endpoint: endpoint(1, "10.91.2.2", mptcp.FlagSubflow), Causes: []Cause{NoRoute, DeviceDown, DeviceMissing}},
		}},
		{"it is up", ConnectErrors, func(f *Facts) {
			f.join("10.91.2.2:1", "10.91.1.1:5201", mptcp.SubflowEstablished)
			f.use(1)
		}, nil},
		{"it was not used", ConnectErrors, func(f *Facts) { f.use(0) }, nil},
		{"its device is down", ConnectErrors, func(f *Facts) { f.Links[1].Up = false }, []Suspect{{
			Endpoint: endpoint(1, "10.91.2.2", mptcp.FlagSubflow),
			Causes:   []Cause{NoRoute, DeviceDown, DeviceMissing}, Obstacle: DeviceDown,
		}}},
		{"bound to none, on a link that is down", ConnectErrors, func(f *Facts) {
			f.Links[1].Up, f.Endpoints[0].IfIndex = false, 0
		}, []Suspect{{
			Endpoint: endpoint(1, "10.91.2.2", mptcp.FlagSubflow), Causes: []Cause{NoRoute}, LinkDown: true,
		}}},
		{"the address is not here", BindErrors, func(f *Facts) { f.Addresses = f.Addresses[:1] }, []Suspect{{
			Endpoint: endpoint(1, "10.91.2.2", mptcp.FlagSubflow), Causes: []Cause{AddressMissing, NoPort},
			Obstacle: AddressMissing,
		}}},
		{"an announced address", ConnectErrors, func(f *Facts) {
			f.Endpoints = nil
			f.Connections[0].Limits.AddAddrAccepted = 1
		}, []Suspect{{Causes: []Cause{NoRoute}}}},
		{"no connection is known", BindErrors, func(f *Facts) {
			f.Connections = nil
			f.Endpoints = append(f.Endpoints, endpoint(2, "10.91.3.2", mptcp.FlagSignal))
		}, []Suspect{{
			Endpoint: endpoint(1, "10.91.2.2", mptcp.FlagSubflow), Causes: []Cause{AddressMissing, NoPort},
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := situation()
			f.Counters = counters.FromMap(map[string]uint64{c.counter: 1})
			f.use(1)
			c.edit(f)
			got := Suspects(*f, c.counter)
			for i := range got {
				got[i].Endpoint.IfIndex = 0
			}
			if !slices.EqualFunc(got, c.want, func(a, b Suspect) bool {
				return a.Endpoint == b.Endpoint && slices.Equal(a.Causes, b.Causes) && a.Obstacle == b.Obstacle &&
					a.LinkDown == b.LinkDown
			}) {
				t.Errorf("%s: %+v, want %+v", c.counter, got, c.want)
			}
		})
	}
}
