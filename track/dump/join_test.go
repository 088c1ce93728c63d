package dump

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mptcpctl/mptcp"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func connection(token mptcp.Token, local, remote string) mptcp.Connection {
	return mptcp.Connection{
		Token:  token,
		Family: mptcp.FamilyINET,
		State:  mptcp.StateEstablished,
		Local:  ap(local),
		Remote: ap(remote),
	}
}

// row returns an established subflow; flags are ss' letters of which j, J make a
// join and m, j a subflow that was requested here.
func row(token mptcp.Token, local, remote, flags string, lid, rid mptcp.AddressID) SubflowRow {
	r := SubflowRow{Token: token, HasToken: true}
	r.Local, r.Remote, r.LocalID, r.RemoteID, r.TCP = ap(local), ap(remote), lid, rid, mptcp.StateEstablished
	for _, f := range flags {
		switch f {
		case 'j':
			r.Join, r.Requested = true, true
		case 'J':
			r.Join = true
		case 'm':
			r.Requested = true
		}
	}
	return r
}

func TestJoinBuildsTheTree(t *testing.T) {
	join := row(0xa, "10.0.2.1:5000", "10.0.1.2:80", "jJ", 2, 0)
	join.BytesSent, join.BytesReceived = 200, 100
	initial := row(0xa, "10.0.1.1:4000", "10.0.1.2:80", "mM", 0, 0)
	initial.BytesSent, initial.BytesReceived, initial.IfIndex = 80, 20, 2
	s := Snapshot{
		Netns:       "blue",
		PathManager: "kernel",
		Connections: []mptcp.Connection{
			connection(0xb, "10.0.1.1:4001", "10.0.1.2:80"),
			connection(0xa, "10.0.1.1:4000", "10.0.1.2:80"),
		},
		Subflows:  []SubflowRow{join, initial},
		Links:     []LinkFact{{2, "eth0", true, true}, {3, "wlan0", true, true}},
		Addresses: []AddressFact{{netip.MustParseAddr("10.0.1.1"), 2}, {netip.MustParseAddr("10.0.2.1"), 3}},
	}
	got := Join(s)
	if len(got) != 2 || got[0].Token != 0xa || got[1].Token != 0xb {
		t.Fatalf("want the connections a, b in the order of their addresses, got %+v", got)
	}
	want := []mptcp.Subflow{initial.Subflow, join.Subflow}
	want[0].Initial, want[0].Bound, want[0].Device, want[0].State, want[0].Share = true, true, "eth0", mptcp.SubflowEstablished, 0.25
	want[1].Device, want[1].State, want[1].Share = "wlan0", mptcp.SubflowEstablished, 0.75
	if d := cmp.Diff(want, got[0].Subflows, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
		t.Errorf("subflows (-want +got):\n%s", d)
	}
	c := got[0]
	if c.Side != mptcp.SideClient || c.Netns != "blue" || c.PathManager != "kernel" {
		t.Errorf("side %v, netns %q, path manager %q", c.Side, c.Netns, c.PathManager)
	}
	if len(got[1].Subflows) != 0 {
		t.Errorf("the connection without rows has subflows: %+v", got[1].Subflows)
	}
}

// Before Linux 6.5 a connection does not count its bytes, but its subflows do; what was
// sent again counts once. Where it does, its own figures stay.
func TestJoinCountsBytesOfConnectionsThatDoNot(t *testing.T) {
	one, two := row(
		0xa,
		"10.0.1.1:4000",
		"10.0.1.2:80",
		"mM",
		0,
		0,
	), row(
		0xa,
		"10.0.2.1:5000",
		"10.0.1.2:80",
		"jJ",
		2,
		0,
	)
	one.BytesSent, one.BytesReceived, one.BytesRetransmitted = 80, 20, 5
	two.BytesSent, two.BytesReceived = 200, 100
	c := connection(0xa, "10.0.1.1:4000", "10.0.1.2:80")
	s := Snapshot{Connections: []mptcp.Connection{c}, Subflows: []SubflowRow{one, two}}
	if got := Join(s)[0]; got.BytesSent != 275 || got.BytesReceived != 120 {
		t.Errorf("%d sent, %d received, want 275 and 120", got.BytesSent, got.BytesReceived)
	}
	s.Connections[0].BytesReceived = 7
	if got := Join(s)[0]; got.BytesSent != 0 || got.BytesReceived != 7 {
		t.Errorf("%d sent, %d received, want 0 and 7", got.BytesSent, got.BytesReceived)
	}
}

// A subflow outlives its connection in LAST-ACK and keeps its token.
// TestJoinGoesByTokenNotByInode: a connection and its subflows show the same inode,
// none at all before accept(2), and that of a number used again may be anybody's.
func TestJoinGoesByTokenNotByInode(t *testing.T) {
	held, queued := connection(1, "10.0.1.1:80", "10.0.1.2:4000"), connection(2, "10.0.1.1:80", "10.0.1.2:4001")
	held.Inode = 7
	of := func(r SubflowRow, inode uint32) SubflowRow { r.Inode = inode; return r }
	got := Join(Snapshot{
		Connections: []mptcp.Connection{held, queued},
		Subflows: []SubflowRow{
			of(row(1, "10.0.1.1:80", "10.0.1.2:4000", "M", 0, 0), 7),
			of(row(1, "10.0.1.1:80", "10.0.2.2:4000", "J", 0, 1), 0), // joined, not yet grafted
			of(row(2, "10.0.1.1:80", "10.0.1.2:4001", "M", 0, 0), 0),
			of(row(2, "10.0.1.1:80", "10.0.2.2:4001", "J", 0, 1), 0),
			of(row(0xdead, "10.0.1.1:80", "10.0.1.2:4002", "M", 0, 0), 7),
			of(row(0xdead, "10.0.1.1:80", "10.0.1.2:4003", "M", 0, 0), 0),
		},
	})
	if len(got) != 2 {
		t.Fatalf("%d connections", len(got))
	}
	for _, c := range got {
		if len(c.Subflows) != 2 || !c.Subflows[0].Initial || c.Subflows[0].Remote != c.Remote ||
			c.Subflows[1].Remote.Port() != c.Remote.Port() {
			t.Errorf("%v: %+v", c.Token, c.Subflows)
		}
	}
}

func TestJoinOrphanSubflowIsNoConnection(t *testing.T) {
	s := Snapshot{Subflows: []SubflowRow{row(0xdead, "10.0.1.1:4000", "10.0.1.2:80", "mM", 0, 0)}}
	if got := Join(s); len(got) != 0 {
		t.Fatalf("want no connection, got %+v", got)
	}
}

// The request socket of a join has neither ULP nor token: token 0 is none.
func TestJoinRowWithoutTokenBelongsToNothing(t *testing.T) {
	r := row(0, "10.0.1.1:4000", "10.0.1.2:80", "", 0, 0)
	r.HasToken = false
	s := Snapshot{
		Connections: []mptcp.Connection{connection(0, "10.0.1.1:4000", "10.0.1.2:80")},
		Subflows:    []SubflowRow{r},
	}
	if got := Join(s); len(got[0].Subflows) != 0 {
		t.Fatalf("want no subflow, got %+v", got[0].Subflows)
	}
}

// The connection of a v4-mapped client is IPv6, its join IPv4.
func TestJoinComparesUnmapped(t *testing.T) {
	c := connection(0xa, "[::ffff:10.0.1.1]:4000", "[::ffff:10.0.1.2]:80")
	c.Family = mptcp.FamilyINET6
	s := Snapshot{Connections: []mptcp.Connection{c}, Subflows: []SubflowRow{
		row(0xa, "10.0.2.1:5000", "10.0.1.2:80", "jJ", 2, 0),
		row(0xa, "[::ffff:10.0.1.1]:4000", "[::ffff:10.0.1.2]:80", "mM", 0, 0),
	}}
	got := Join(s)[0]
	if got.Local != ap("10.0.1.1:4000") || !got.Subflows[0].Initial || got.Subflows[0].Local != ap("10.0.1.1:4000") {
		t.Fatalf("want the initial subflow first and all unmapped, got %+v", got)
	}
}

func TestJoinTellsTheSide(t *testing.T) {
	const local, remote = "10.0.1.1:80", "10.0.1.2:4000"
	listening := []netip.AddrPort{ap("[::]:80")}
	for _, test := range []struct {
		name      string
		rows      []SubflowRow
		listeners []netip.AddrPort
		want      mptcp.Side
	}{
		{"client's initial subflow", []SubflowRow{row(1, local, remote, "mM", 0, 0)}, nil, mptcp.SideClient},
		{"server's initial subflow", []SubflowRow{row(1, local, remote, "M", 0, 0)}, nil, mptcp.SideServer},
		{"listener, initial subflow gone", []SubflowRow{row(1, "10.0.2.1:80", remote, "J", 1, 1)}, listening, mptcp.SideServer},
		{"join made here", []SubflowRow{row(1, "10.0.2.1:81", remote, "jJ", 1, 0)}, nil, mptcp.SideClient},
		{"join made here to an announced address", []SubflowRow{row(1, "10.0.2.1:81", remote, "jJ", 1, 3)}, nil, mptcp.SideUnknown},
		{"nothing to go by", nil, nil, mptcp.SideUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Join(
				Snapshot{
					Connections: []mptcp.Connection{connection(1, local, remote)},
					Subflows:    test.rows,
					Listeners:   test.listeners,
				},
			)
			if got[0].Side != test.want {
				t.Errorf("got %v, want %v", got[0].Side, test.want)
			}
		})
	}
}

func TestJoinMapsStates(t *testing.T) {
	for tcp, want := range map[mptcp.SocketState]mptcp.SubflowState{
		mptcp.StateSynSent: mptcp.SubflowPending, mptcp.StateSynRecv: mptcp.SubflowPending,
		mptcp.StateEstablished: mptcp.SubflowEstablished, mptcp.StateLastAck: mptcp.SubflowClosing,
		mptcp.StateCloseWait: mptcp.SubflowClosing, mptcp.StateClosed: mptcp.SubflowClosed,
	} {
		r := row(1, "10.0.1.1:4000", "10.0.1.2:80", "m", 0, 0)
		r.TCP = tcp
		got := Join(
			Snapshot{
				Connections: []mptcp.Connection{connection(1, "10.0.1.1:4000", "10.0.1.2:80")},
				Subflows:    []SubflowRow{r},
			},
		)
		if got[0].Subflows[0].State != want {
			t.Errorf("%v: got %v, want %v", tcp, got[0].Subflows[0].State, want)
		}
	}
}

func TestJoinFindsSilentSubflows(t *testing.T) {
	links := []LinkFact{{2, "eth0", true, true}, {3, "wlan0", true, false}, {4, "usb0", false, false}}
	addresses := []AddressFact{{netip.MustParseAddr("10.0.1.1"), 2}, {netip.MustParseAddr("10.0.3.1"), 3}}
	for _, test := range []struct {
		name   string
		local  string
		index  uint32
		back   uint8
		ack    uint32
		silent bool
	}{
		{"alive", "10.0.1.1:1", 0, 0, 90000, false},
		{"an address that a route makes local, or one that has gone", "10.0.9.1:1", 0, 0, 0, false},
		{"address gone, and retransmitting", "10.0.9.1:1", 0, 1, 0, true},
		{"any loopback address", "127.0.0.2:1", 0, 1, 10, false},
		{"bound to a link that is down", "10.0.1.1:1", 4, 0, 0, true},
		{"bound to a link that is gone", "10.0.1.1:1", 9, 0, 0, true},
		{"backing off", "10.0.1.1:1", 0, 2, 3000, true},
		{"the peer's program reads nothing, and the kernel answers to probes", "10.0.1.1:1", 0, 4, 1868, false},
		{"first retransmission", "10.0.1.1:1", 0, 1, 300, false},
		{"address on a dead link, packets leave by another", "10.0.3.1:1", 0, 0, 0, false},
		{"address on a dead link, and retransmitting", "10.0.3.1:1", 0, 1, 10, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := row(1, test.local, "10.0.1.2:80", "m", 0, 0)
			r.IfIndex, r.Backoff, r.LastAckMS = test.index, test.back, test.ack
			got := Join(
				Snapshot{
					Connections: []mptcp.Connection{connection(1, test.local, "10.0.1.2:80")},
					Subflows:    []SubflowRow{r},
					Links:       links,
					Addresses:   addresses,
				},
			)
			if silent := got[0].Subflows[0].State == mptcp.SubflowSilent; silent != test.silent {
				t.Errorf("silent: got %v, want %v", silent, test.silent)
			}
		})
	}
}
