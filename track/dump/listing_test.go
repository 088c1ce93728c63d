package dump

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"mptcpctl/mptcp"
)

// drawFlow returns both ends of a flow out of so few that many are the same.
func drawFlow(t *rapid.T) (local, remote netip.AddrPort) {
	end := func(name string) netip.AddrPort {
		n := rapid.Uint8Range(0, 3).Draw(t, name)
		addr := rapid.SampledFrom([]netip.Addr{
			{}, netip.AddrFrom4([4]byte{10, 0, 0, n}), netip.AddrFrom4([4]byte{255, 255, n, 255}),
			netip.AddrFrom16([16]byte{0: 0xfd, 15: n}), netip.AddrFrom16([16]byte{0: 0xfd, 7: n}),
			netip.AddrFrom16(
				[16]byte{10: 0xff, 11: 0xff, 12: 10, 15: n},
			), netip.IPv6Unspecified(), netip.IPv4Unspecified(),
		}).Draw(t, name)
		return netip.AddrPortFrom(addr, rapid.SampledFrom([]uint16{0, 80, 443, 65535}).Draw(t, name))
	}
	return end("local"), end("remote")
}

// drawSnapshot returns a dump: tokens are unique, subflows may be of none of them.
func drawSnapshot(t *rapid.T) Snapshot {
	s := Snapshot{
		Netns: "blue", PathManager: "kernel",
		Links: []LinkFact{{2, "eth0", true, true}, {3, "wlan0", true, rapid.Bool().Draw(t, "carrier")}},
		Addresses: []AddressFact{
			{netip.MustParseAddr("10.0.0.1"), 2},
			{netip.MustParseAddr("fd00::1"), 3},
			{netip.MustParseAddr("10.0.0.2"), 3},
		},
	}
	tokens := rapid.SliceOfNDistinct(rapid.Uint32Range(1, 40), 0, 20, rapid.ID[uint32]).Draw(t, "tokens")
	for i, token := range tokens {
		c := mptcp.Connection{
			Token: mptcp.Token(token << 20), Family: mptcp.FamilyINET, State: mptcp.StateEstablished,
			Cookie: uint64(
				i,
			), Inode: rapid.Uint32().Draw(t, "inode"), UID: 7, BytesSent: rapid.Uint64().Draw(t, "sent"),
			BytesReceived: 2, BytesRetransmitted: 3, BytesAcked: 4, Checksum: i%2 == 0, Fallback: i%5 == 0,
			LastDataSentMS: 5, LastDataRecvMS: 6, LastAckRecvMS: 7,
			Limits: mptcp.ConnectionLimits{Subflows: 1, SubflowsMax: 2, LocalAddrMax: uint8(i)},
		}
		c.Local, c.Remote = drawFlow(t)
		s.Connections = append(s.Connections, c)
	}
	for i := range rapid.IntRange(0, 40).Draw(t, "subflows") {
		r := SubflowRow{
			Token:    mptcp.Token(rapid.Uint32Range(0, 40).Draw(t, "of") << 20),
			HasToken: rapid.IntRange(0, 9).Draw(t, "has") > 0,
			Join:     rapid.Bool().Draw(t, "join"), Requested: rapid.Bool().Draw(t, "requested"),
		}
		r.HasToken = r.HasToken && r.Token != 0
		r.Local, r.Remote = drawFlow(t)
		r.Subflow.TCP = mptcp.SocketState(rapid.IntRange(1, 12).Draw(t, "tcp"))
		r.LocalID, r.RemoteID = mptcp.AddressID(i%3), mptcp.AddressID(i%2)
		r.BackupLocal, r.BackupRemote, r.FullyEstablished = i%2 == 0, i%3 == 0, i%5 == 0
		r.IfIndex = rapid.SampledFrom([]uint32{0, 0, 2, 3, 9}).Draw(t, "device")
		r.TokenRemote, r.Inode, r.Cookie = mptcp.Token(i), uint32(i), uint64(1000+i)
		r.RTTMicros, r.RTTVarMicros, r.MinRTTMicros, r.Cwnd = 11, 12, 13, 14
		r.BytesSent, r.BytesReceived, r.BytesRetransmitted = rapid.Uint64Range(0, 1<<40).Draw(t, "bytes"), 16, 17
		r.LastAckMS, r.LastDataSentMS, r.Backoff = rapid.Uint32Range(0, 5000).Draw(t, "ack"), 18, uint8(i%3)
		r.Unacked, r.Lost = rapid.Uint32Range(0, 1).Draw(t, "unacked"), 20
		s.Subflows = append(s.Subflows, r)
	}
	for range rapid.IntRange(0, 2).Draw(t, "listeners") {
		local, _ := drawFlow(t)
		s.Listeners = append(s.Listeners, local)
	}
	return s
}

// listing makes a listing of a snapshot as a source does.
func listing(s Snapshot, brief bool) *Listing {
	l := &Listing{Facts: s, Brief: brief}
	l.Facts.Connections, l.Facts.Subflows, l.Facts.Listeners = nil, nil, nil
	for i := range s.Connections {
		l.AddConnection(&s.Connections[i])
	}
	for i := range s.Subflows {
		l.AddSubflow(&s.Subflows[i])
	}
	if l.NeedsListeners() {
		l.Facts.Listeners = s.Listeners
	}
	return l
}

// gone leaves out what a brief listing does not tell.
func gone(c *mptcp.Connection) {
	c.Cookie, c.UID, c.Limits, c.Checksum = 0, 0, mptcp.ConnectionLimits{}, false
	c.LastDataSentMS, c.LastDataRecvMS, c.LastAckRecvMS = 0, 0, 0
	c.BytesRetransmitted, c.BytesAcked = 0, 0
	for i := range c.Subflows {
		s := &c.Subflows[i]
		s.Cookie, s.Inode, s.TokenRemote, s.MinRTTMicros, s.LastDataSentMS, s.Lost = 0, 0, 0, 0, 0, 0
	}
}

// TestBriefListingTellsSilence: a subflow whose data is not acknowledged is silent in a brief
// listing too, although the retransmission timeout alone could be that of a closed window.
func TestBriefListingTellsSilence(t *testing.T) {
	end := netip.MustParseAddrPort("10.0.0.1:80")
	row := SubflowRow{Token: 7, HasToken: true}
	row.Local, row.Remote = end, netip.MustParseAddrPort("10.0.0.2:443")
	row.TCP, row.Backoff, row.Unacked, row.LastAckMS = mptcp.StateEstablished, 3, 5, 1200
	s := Snapshot{
		Connections: []mptcp.Connection{{Token: 7, State: mptcp.StateEstablished, Local: end, Remote: row.Remote}},
		Subflows:    []SubflowRow{row},
	}
	for _, brief := range []bool{false, true} {
		for c := range listing(s, brief).All() {
			if got := c.Subflows[0].State; got != mptcp.SubflowSilent {
				t.Errorf("brief %v: %s", brief, got)
			}
		}
	}
}

func TestListingIsJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSnapshot(t)
		brief := rapid.Bool().Draw(t, "brief")
		want := Join(s)
		if brief {
			for i := range want {
				gone(&want[i])
			}
		}
		l := listing(s, brief)
		for range 2 { // it may be gone through again
			var got []mptcp.Connection
			for c := range l.All() {
				kept := *c
				kept.Subflows = append([]mptcp.Subflow{}, c.Subflows...)
				got = append(got, kept)
			}
			if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("(-join +listing):\n%s", d)
			}
		}
		var inodes []uint32
		for i := range s.Connections {
			inodes = append(inodes, s.Connections[i].Inode)
		}
		if got := slices.Collect(l.Inodes()); !slices.Equal(got, inodes) || l.Len() != len(inodes) {
			t.Fatalf("inodes %v, want %v", got, inodes)
		}
	})
}

// More than a block of everything, and tokens that share places of the table.
func TestListingOfMany(t *testing.T) {
	const n = 3000
	var s Snapshot
	for i := range uint32(n) {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], i*2654435761)
		c := mptcp.Connection{
			Token:  mptcp.Token(1 + i<<12),
			Local:  netip.AddrPortFrom(netip.AddrFrom4(b), 80),
			Remote: netip.MustParseAddrPort("[fd00::2]:5"),
		}
		s.Connections = append(s.Connections, c)
		for k := range i % 3 {
			r := SubflowRow{Token: c.Token, HasToken: true, Join: k > 0}
			r.Local, r.Remote, r.LocalID = c.Local, c.Remote, mptcp.AddressID(k)
			s.Subflows = append(s.Subflows, r)
		}
	}
	want := Join(s)
	i := 0
	for c := range listing(s, false).All() {
		if c.Token != want[i].Token || len(c.Subflows) != len(want[i].Subflows) {
			t.Fatalf(
				"connection %d is %v with %d subflows, want %v with %d",
				i,
				c.Token,
				len(c.Subflows),
				want[i].Token,
				len(want[i].Subflows),
			)
		}
		i++
	}
	if i != n {
		t.Errorf("%d connections of %d", i, n)
	}
}

func BenchmarkListing(b *testing.B) {
	var s Snapshot
	const n = 20000
	for i := range uint32(n) {
		port := uint16(10_000 + i*7919%n) // the kernel's dump is in the order of a hash
		c := mptcp.Connection{
			Token:  mptcp.Token(i*2654435761 + 1),
			Local:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 2}), port),
			Remote: netip.MustParseAddrPort("10.0.0.1:5"),
		}
		r := SubflowRow{Token: c.Token, HasToken: true, Requested: true}
		r.Local, r.Remote, r.TCP = c.Local, c.Remote, mptcp.StateEstablished
		s.Connections, s.Subflows = append(s.Connections, c), append(s.Subflows, r)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range listing(s, true).All() {
			n++
		}
		if n != len(s.Connections) {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(s.Connections)), "ns/connection")
}
