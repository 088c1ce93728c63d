package traffic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

var start = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)

// host is the namespace of the tests: two devices, the second with an endpoint.
func host() track.Snapshot {
	return track.Snapshot{
		Links: []track.LinkFact{
			{Index: 1, Name: "lo", Up: true, Carrier: true}, {Index: 2, Name: "eth0", Up: true, Carrier: true},
			{Index: 3, Name: "wlan0", Up: true},
		},
		Addresses: []track.AddressFact{
			{Addr: netip.MustParseAddr("127.0.0.1"), IfIndex: 1}, {Addr: netip.MustParseAddr("10.0.0.1"), IfIndex: 2},
			{Addr: netip.MustParseAddr("10.0.1.1"), IfIndex: 3}, {Addr: netip.MustParseAddr("fe80::1"), IfIndex: 3},
		},
		Endpoints: []mptcp.Endpoint{{ID: 4, Address: netip.MustParseAddr("10.0.1.1"), Flags: mptcp.FlagSubflow}},
		Limits:    mptcp.Limits{Subflows: 2, AddAddrAccepted: 1},
	}
}

// connection returns one with a subflow on each device, which carried that many bytes and
// twice as many.
func connection(i int, remote string, carried uint64) mptcp.Connection {
	to := netip.AddrPortFrom(netip.MustParseAddr(remote), 443)
	c := mptcp.Connection{
		Token: mptcp.Token(i + 1), State: mptcp.StateEstablished, Inode: uint32(100 + i), Remote: to,
		Local:  netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(1000+i)),
		Limits: mptcp.ConnectionLimits{Subflows: 1, SubflowsMax: 1},
	}
	for k, device := range []string{"eth0", "wlan0"} {
		c.Subflows = append(c.Subflows, mptcp.Subflow{
			Local:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(k), 1}), uint16(1000+i)),
			Remote: to, State: mptcp.SubflowEstablished, Device: device, RTTMicros: uint32(1000 * (i + 1)),
			BytesSent: carried * uint64(k+1), BytesReceived: carried,
		})
	}
	return c
}

// meter returns one that saw the connections of make at two times, ten seconds apart.
func meter(t *testing.T, make func(carried uint64) []mptcp.Connection) *Meter {
	t.Helper()
	m := New()
	for i := range 2 {
		at := start.Add(time.Duration(i) * 10 * time.Second)
		if !m.Add(at, at, track.NewState(at, make(uint64(1000+i*50_000)), host())) {
			t.Fatalf("state %d was left out", i)
		}
	}
	return m
}

func TestRatesOfDevicesAndPeers(t *testing.T) {
	m := meter(t, func(carried uint64) []mptcp.Connection {
		return []mptcp.Connection{connection(0, "192.0.2.1", carried), connection(1, "198.51.100.7", 2*carried)}
	})
	v := m.Map(ByAddress)
	if v.Window != 10 || len(v.Devices) != 2 || len(v.Peers) != 2 || len(v.Ribbons) != 4 {
		t.Fatalf("%+v", v)
	}
	if d := v.Devices[0]; d.Name != "eth0" || d.Sent != 15_000 || d.Received != 15_000 || d.Subflows != 2 ||
		d.RTTMedian != 2000 || !d.Up || !d.Carrier || d.Color != 0 {
		t.Errorf("%+v", d)
	}
	if d := v.Devices[1]; d.Sent != 30_000 || d.Carrier || len(d.Addresses) != 1 || d.Addresses[0].Endpoint != 4 {
		t.Errorf("%+v", d)
	}
	if p := v.Peers[0]; p.Name != "198.51.100.7" || p.Sent != 30_000 || p.Received != 20_000 || p.Connections != 1 {
		t.Errorf("%+v", p)
	}
	if l := v.Limits[0]; l.Subflows != 2 || l.Most != 1 || l.Reached != 2 || l.Connections != 2 {
		t.Errorf("%+v", l)
	}
	s := m.Series(start.UnixMilli())
	if len(s.Points) != 1 || len(s.Points[0].Devices) != 2 || s.Points[0].Devices[1].Sent != 30_000 {
		t.Errorf("%+v", s)
	}
}

// TestNoRateBeforeTheSecondState: what a subflow carried before it was first seen is no rate.
func TestNoRateBeforeTheSecondState(t *testing.T) {
	m := New()
	m.Add(start, start, track.NewState(start, []mptcp.Connection{connection(0, "192.0.2.1", 1e9)}, host()))
	if v := m.Map(ByAddress); v.Window != 0 || v.Peers[0].Sent != 0 || v.Devices[0].Sent != 0 {
		t.Errorf("%+v", v)
	}
	both := []mptcp.Connection{connection(0, "192.0.2.1", 1e9), connection(1, "192.0.2.2", 1e9)}
	m.Add(start.Add(5*time.Second), start.Add(5*time.Second), track.NewState(start, both, host()))
	if v := m.Map(ByAddress); v.Window != 5 || v.Peers[0].Sent != 0 || v.Peers[1].Sent != 0 {
		t.Errorf("%+v", v)
	}
}

func TestLooksOfRibbons(t *testing.T) {
	m := meter(t, func(carried uint64) []mptcp.Connection {
		c := connection(0, "192.0.2.1", carried)
		c.Subflows[0].State, c.Subflows[1].BackupRemote = mptcp.SubflowStale, true
		p := connection(1, "192.0.2.2", carried)
		p.Subflows[0].State, p.Subflows[1].State = mptcp.SubflowPending, mptcp.SubflowClosed
		f := connection(2, "192.0.2.3", carried)
		f.Fallback, f.FallbackCause, f.Subflows, f.BytesSent = true, "MPCapableFallbackSYNACK", nil, carried
		return []mptcp.Connection{c, p, f}
	})
	failure := &track.Delta{Kind: track.KindSubflowFailed, Evidence: []string{"certain", "connection refused"}}
	failure.Event = mptcp.Event{
		Fields: mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldFamily | mptcp.FieldSport | mptcp.FieldDport,
		Family: mptcp.FamilyINET, Source: netip.MustParseAddr("10.0.1.1"),
		Destination: netip.MustParseAddr("192.0.2.2"), Sport: 1, Dport: 443, Time: start.Add(11 * time.Second),
	}
	m.Note(failure)
	at := start.Add(12 * time.Second)
	m.Add(at, at, m.steps[1].state)
	v := m.Map(ByAddress)
	var got []string
	for _, r := range v.Ribbons {
		got = append(got, fmt.Sprint(v.Devices[r.Device].Name, v.Peers[r.Peer].Name, r.State, r.Reason))
	}
	want := []string{
		"eth0192.0.2.1silent", "eth0192.0.2.3fallback", "eth0192.0.2.2pending", "wlan0192.0.2.1backup",
		"wlan0192.0.2.2failedconnection refused",
	}
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("%q", got)
	}
	i := slices.IndexFunc(v.Peers, func(p Peer) bool { return p.Fallbacks == 1 })
	if i < 0 || v.Peers[i].Cause != "MPCapableFallbackSYNACK" {
		t.Errorf("%+v", v.Peers)
	}
	m.Add(at.Add(2*failedKept), at.Add(2*failedKept), m.steps[1].state)
	for _, r := range m.Map(ByAddress).Ribbons {
		if r.State == "failed" {
			t.Error("a failure stays on the map for good")
		}
	}
}

func TestPeersByNetworkAndProcess(t *testing.T) {
	m := meter(t, func(carried uint64) []mptcp.Connection {
		return []mptcp.Connection{
			connection(0, "192.0.2.1", carried), connection(1, "192.0.2.200", carried),
			connection(2, "2001:db8:1::7", carried),
		}
	})
	names := func(by By) (names []string) {
		for _, p := range m.Map(by).Peers {
			names = append(names, fmt.Sprint(p.Name, " ", p.Connections))
		}
		return names
	}
	if got := names(ByPrefix); !slices.Equal(got, []string{"192.0.2.0/24 2", "2001:db8:1::/48 1"}) {
		t.Errorf("%q", got)
	}
	if got := names(ByProcess); !slices.Equal(got, []string{"unknown process 3"}) {
		t.Errorf("%q", got)
	}
}

// TestMapOfManyIsSmall: the map of 10,000 peers has 20 and the rest, which sum up to all.
func TestMapOfManyIsSmall(t *testing.T) {
	const many = 10_000
	m := meter(t, func(carried uint64) []mptcp.Connection {
		list := make([]mptcp.Connection, many)
		for i := range list {
			list[i] = connection(i, netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)}).String(), carried*uint64(i%7))
		}
		return list
	})
	v := m.Map(ByAddress)
	connections, sent := 0, uint64(0)
	for _, p := range v.Peers {
		connections, sent = connections+p.Connections, sent+p.Sent
	}
	if rest := v.Peers[len(v.Peers)-1]; len(v.Peers) != peersMax+1 || rest.Several != many-peersMax || rest.Name != "" {
		t.Errorf("%d peers, the last %+v", len(v.Peers), rest)
	}
	if all := v.Devices[0].Sent + v.Devices[1].Sent; connections != many || sent+21 < all || sent > all {
		t.Errorf("peers have %d connections and %d bytes a second, devices %d", connections, sent, all)
	}
	if b, err := json.Marshal(v); err != nil || len(b) > 8000 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// TestMeterIsBounded: points, devices, states and failures do not grow without end.
func TestMeterIsBounded(t *testing.T) {
	m := New()
	for i := range 3 * pointsKept {
		at := start.Add(time.Duration(i) * pause)
		c := connection(0, "192.0.2.1", 1)
		c.Subflows[0].Device = fmt.Sprint("eth", i)
		m.Add(at, at, track.NewState(at, []mptcp.Connection{c}, host()))
	}
	if len(m.points) != pointsKept || len(m.devices) != devicesMax || len(m.steps) > 6 {
		t.Errorf("%d points, %d devices, %d states", len(m.points), len(m.devices), len(m.steps))
	}
	soon := start.Add(3*pointsKept*pause - time.Second)
	if m.Add(soon, soon, m.steps[0].state) {
		t.Error("a state that follows too soon made a point")
	}
}

func BenchmarkAddTenThousand(b *testing.B) {
	list := make([]mptcp.Connection, 10_000)
	for i := range list {
		list[i] = connection(i, netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)}).String(), 1)
	}
	m, at := New(), start
	state := track.NewState(at, list, host())
	for b.Loop() {
		at = at.Add(pause)
		m.Add(at, at, state)
		m.Map(ByAddress)
	}
}

// TestMapShowsTheNewestState: what has happened since the last dump is on the map at once,
// though its figures are older.
func TestMapShowsTheNewestState(t *testing.T) {
	m := New()
	few := []mptcp.Connection{connection(0, "192.0.2.1", 1)}
	m.Add(start, start, track.NewState(start, few, host()))
	if n := len(m.Map(ByAddress).Peers); n != 1 {
		t.Fatalf("%d peers", n)
	}
	more := append(few, connection(1, "192.0.2.2", 1))
	if m.Add(start.Add(time.Second), start, track.NewState(start, more, host())) {
		t.Error("figures of the same time made another point")
	}
	if v := m.Map(ByAddress); len(v.Peers) != 2 || v.Window != 0 {
		t.Errorf("%+v", v)
	}
}

// TestMapOfNothing: where there is neither a device nor a connection, lists are empty, and not
// null, which readers of JSON trip over.
func TestMapOfNothing(t *testing.T) {
	m := New()
	m.Add(start, start, track.NewState(start, nil))
	b, err := json.Marshal(m.Map(ByAddress))
	if err != nil || bytes.Contains(b, []byte("null")) {
		t.Errorf("%s %v", b, err)
	}
}
