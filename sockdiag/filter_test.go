package sockdiag

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// The kernel filters by state, port and address; each filter is compared with the
// whole list.
func TestFilters(t *testing.T) {
	w := newWorld(t, nil)
	a := w.listen("tcp4", "127.0.0.1:0", true)
	b := w.listen("tcp6", "[::1]:0", true)
	c := w.listen("tcp4", "127.0.1.1:0", true)
	for _, l := range []*net.TCPListener{a, b, c} {
		w.pair(l, "tcp", l.Addr().String(), true)
	}
	portA := addrPort(a.Addr()).Port()
	for name, test := range map[string]struct {
		request Request
		want    func(s *Socket) bool
	}{
		"family":      {Request{Family: mptcp.FamilyINET6}, func(s *Socket) bool { return s.Family == mptcp.FamilyINET6 }},
		"local port":  {Request{LocalPort: portA}, func(s *Socket) bool { return s.Local.Port() == portA }},
		"remote port": {Request{RemotePort: portA}, func(s *Socket) bool { return s.Remote.Port() == portA }},
		"no state":    {Request{States: StatesOf(mptcp.StateSynSent)}, func(*Socket) bool { return false }},
		"prefix": {Request{Match: []Match{{Local: netip.MustParsePrefix("127.0.1.0/24")}}},
			func(s *Socket) bool { return netip.MustParsePrefix("127.0.1.0/24").Contains(s.Local.Addr()) }},
		"either": {Request{Match: []Match{{Remote: netip.MustParsePrefix("::1/128")}, {LocalPorts: Port(portA)}}},
			func(s *Socket) bool {
				return s.Remote.Addr() == netip.MustParseAddr("::1") || s.Local.Port() == portA
			}},
		"port ranges": {Request{Match: []Match{{LocalPorts: PortRange{First: portA}, RemotePorts: PortRange{Last: portA}}}},
			func(s *Socket) bool { return s.Local.Port() >= portA && s.Remote.Port() <= portA }},
		"device": {Request{Match: []Match{{IfIndex: 1}}}, func(s *Socket) bool { return s.IfIndex == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			var want, got []uint64
			for _, row := range collect(t, w.client.Connections(t.Context(), nil)) {
				if test.want(&row.Socket) {
					want = append(want, row.Cookie)
				}
			}
			for _, row := range collect(t, w.client.Connections(t.Context(), &test.request)) {
				got = append(got, row.Cookie)
			}
			if !slices.Equal(got, want) {
				t.Errorf("cookies %x, want %x", got, want)
			}
			want, got = nil, nil
			for _, row := range collect(t, w.client.Subflows(t.Context(), nil)) {
				if test.want(&row.Socket) {
					want = append(want, row.Cookie)
				}
			}
			for _, row := range collect(t, w.client.Subflows(t.Context(), &test.request)) {
				got = append(got, row.Cookie)
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("subflows: cookies %x, want %x", got, want)
			}
		})
	}
	for _, row := range collect(t, w.client.Connections(t.Context(), &Request{NoInfo: true})) {
		if row.Info != (Info{}) || row.Cookie == 0 {
			t.Errorf("without info: %+v", row)
		}
	}
}

// The kernel takes long filters, and too long ones are refused before it.
func TestManyMatches(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	client, _ := w.pair(l, "tcp4", l.Addr().String(), true)
	var matches []Match
	for i := range 1000 {
		matches = append(
			matches,
			Match{Local: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)},
		)
	}
	request := &Request{Match: matches}
	if rows := collect(t, w.client.Connections(t.Context(), request)); len(rows) != 0 {
		t.Errorf("rows %+v", rows)
	}
	request.Match = append(request.Match, Match{LocalPorts: Port(addrPort(client.LocalAddr()).Port())})
	if rows := collect(t, w.client.Connections(t.Context(), request)); len(rows) != 1 ||
		rows[0].Local != addrPort(client.LocalAddr()) {
		t.Errorf("rows %+v", rows)
	}
	for range 3 {
		request.Match = append(request.Match, matches...)
	}
	for row, err := range w.client.Connections(t.Context(), request) {
		if !errors.Is(err, unix.E2BIG) {
			t.Errorf("%+v, %v, want E2BIG", row, err)
		}
	}
}
