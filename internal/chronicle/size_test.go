package chronicle

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// What a connection may take on the disk, in bytes: with its events and its last figures, and
// while it lives at the beginning of each file. Those of this test are harder to compress than
// real ones: all that may differ is random. docs/history.md tells the sizes.
const (
	mostForConnection = 275
	mostForState      = 195
)

// random makes connections of a client with two paths: what differs from one to the next in
// reality is random.
type random struct{ *rand.Rand }

func (r random) port() uint16 { return uint16(32768 + r.IntN(28000)) }

func (r random) subflow(c *mptcp.Connection, local, device string, id mptcp.AddressID) mptcp.Subflow {
	rtt := uint32(5000 + r.IntN(90_000))
	return mptcp.Subflow{
		Local: netip.AddrPortFrom(netip.MustParseAddr(local), r.port()), Remote: c.Remote, LocalID: id,
		Initial: id == 0, State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished, Device: device,
		FullyEstablished: true, RTTMicros: rtt, RTTVarMicros: uint32(r.IntN(20_000)),
		MinRTTMicros: rtt - uint32(r.IntN(4000)), Cwnd: uint32(10 + r.IntN(100)), BytesSent: uint64(r.IntN(1e6)),
		BytesReceived: uint64(r.IntN(1e7)), LastAckMS: uint32(r.IntN(5000)), LastDataSentMS: uint32(r.IntN(5000)),
	}
}

func (r random) connection(at time.Time) *mptcp.Connection {
	peer := netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(200))})
	c := &mptcp.Connection{
		Token: mptcp.Token(r.Uint32()), Pair: mptcp.NewPair(r.Uint64(), r.Uint64()), Family: mptcp.FamilyINET,
		Side: mptcp.SideClient, State: mptcp.StateEstablished, Remote: netip.AddrPortFrom(peer, 443), Inode: r.Uint32N(1e6),
		UID: 1000, Since: at, PathManager: "kernel", LastDataSentMS: uint32(r.IntN(5000)),
		LastDataRecvMS: uint32(r.IntN(5000)), LastAckRecvMS: uint32(r.IntN(5000)),
	}
	c.Subflows = []mptcp.Subflow{r.subflow(c, "10.0.0.1", "eth0", 0), r.subflow(c, "10.0.1.1", "wlan0", 2)}
	c.Local, c.Subflows[1].TokenRemote = c.Subflows[0].Local, mptcp.Token(r.Uint32())
	total := uint64(0)
	for i := range c.Subflows {
		s := &c.Subflows[i]
		c.BytesSent, c.BytesReceived = c.BytesSent+s.BytesSent, c.BytesReceived+s.BytesReceived
		total += s.BytesSent + s.BytesReceived
	}
	for i := range c.Subflows {
		s := &c.Subflows[i]
		s.Share = float64(s.BytesSent+s.BytesReceived) / float64(total)
	}
	c.BytesAcked = c.BytesSent
	return c
}

// delta is an event of the kernel about a subflow.
func delta(c *mptcp.Connection, kind mptcp.EventType, s *mptcp.Subflow, at time.Time) *track.Delta {
	return &track.Delta{
		Name: kind.String(), Key: mptcp.Key{Token: c.Token}, Connection: c,
		Event: mptcp.Event{
			Type: kind, Token: c.Token, Family: c.Family, LocalID: s.LocalID, RemoteID: s.RemoteID, Time: at,
			Source: s.Local.Addr(), Destination: s.Remote.Addr(), Sport: s.Local.Port(), Dport: s.Remote.Port(),
			Fields: mptcp.FieldToken | mptcp.FieldFamily | mptcp.FieldLocalID | mptcp.FieldRemoteID | mptcp.FieldSaddr4 |
				mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport,
		},
	}
}

// packed returns how many bytes a text has compressed, as the files of a history are.
func packed(t *testing.T, text []byte) int {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20),
		zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		t.Fatal(err)
	}
	return len(w.EncodeAll(text, nil))
}

// TestLinesAreSmall measures what a connection takes.
func TestLinesAreSmall(t *testing.T) {
	const connections = 4000
	r := random{rand.New(rand.NewPCG(3, 4))}
	teller := NewTeller(&Config{}, 0)
	at := time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)
	var lives, states []byte
	for range connections {
		at = at.Add(time.Duration(r.IntN(2e9)))
		c := r.connection(at)
		later := func() time.Time { return at.Add(time.Duration(r.IntN(1e9))) }
		first, second := &c.Subflows[0], &c.Subflows[1]
		lives = teller.Delta(lives, delta(c, mptcp.EventCreated, first, at))
		lives = teller.Delta(lives, delta(c, mptcp.EventEstablished, first, later()))
		lives = teller.Delta(lives, delta(c, mptcp.EventSubflowEstablished, second, later()))
		lives = teller.Delta(lives, delta(c, mptcp.EventClosed, first, later()))
		key := mptcp.Key{Token: c.Token}
		object := appendConnection(nil, Ended, "closed", key, c, nil, nil)
		lives = teller.line(lives, later(), KindConnection, c.Pair, object)
		states = teller.line(states, at, KindState, c.Pair, appendConnection(nil, "", "", key, c, nil, nil))
	}
	life, state := packed(t, lives)/connections, packed(t, states)/connections
	t.Logf("a connection with its events and last figures: %d bytes of %d; a live one: %d of %d",
		life, len(lives)/connections, state, len(states)/connections)
	if life > mostForConnection || state > mostForState {
		t.Errorf("%d bytes a connection, want %d at most; %d a live one, want %d", life, mostForConnection, state, mostForState)
	}
}
