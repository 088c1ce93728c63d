package chronicle

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// anyDelta returns a delta with random fields.
func anyDelta(r *rand.Rand) *track.Delta {
	e := mptcp.Event{
		Type: mptcp.EventType(1 + r.IntN(20)), Fields: mptcp.EventField(r.Uint32()), Token: mptcp.Token(r.Uint32()),
		LocalID: mptcp.AddressID(r.IntN(256)), RemoteID: mptcp.AddressID(r.IntN(256)), Sport: uint16(r.Uint32()),
		Dport: uint16(r.Uint32()), Backup: uint8(r.IntN(3)), Error: mptcp.Errno(r.IntN(140)), Flags: mptcp.EventFlags(r.IntN(8)),
		Timeout: r.Uint32(), IfIndex: int32(r.IntN(100)), ResetReason: mptcp.ResetReason(r.IntN(9)), ResetFlags: uint32(r.IntN(3)),
		ServerSide: uint8(r.IntN(2)), Time: time.Unix(r.Int64N(1<<32), r.Int64N(1e9)), Late: time.Duration(r.IntN(3)) * time.Second,
		Netns: []string{"", "a\"\x1b"}[r.IntN(2)],
	}
	if r.IntN(2) == 0 {
		e.Fields &^= mptcp.FieldSaddr6 | mptcp.FieldDaddr6
		e.Source, e.Destination = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	} else {
		e.Fields &^= mptcp.FieldSaddr4 | mptcp.FieldDaddr4
		e.Source, e.Destination = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:10.0.0.2")
	}
	d := &track.Delta{Event: e, Name: e.Type.String(), Key: mptcp.Key{Netns: e.Netns, Token: e.Token}}
	switch r.IntN(4) {
	case 0:
		d.Event = mptcp.Event{Type: mptcp.EventLost, Lost: 1 + r.Uint64N(9), Time: e.Time, Netns: e.Netns}
	case 1:
		kinds := track.Kinds()
		d.Kind = kinds[r.IntN(len(kinds))]
		d.Name, d.Event.Type = d.Kind.String(), 0
		d.Cause, d.Evidence, d.Confidence = "MPCapableFallbackSYNACK", []string{"a \"fact\"", "another"}, track.Likely
		d.Key.Instance = uint32(r.IntN(2))
	}
	return d
}

// TestEventsAreReadBack: what was read of an event's object makes the same object again.
func TestEventsAreReadBack(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	format := present.EventJSON{Device: func(int32) string { return "eth0" }}
	for range 3000 {
		d := anyDelta(r)
		object := appendInstance(format.AppendDelta(nil, d), d.Key)
		told, err := ParseEvent(object)
		if err != nil {
			t.Fatalf("%s: %v", object, err)
		}
		if again := appendInstance(format.AppendDelta(nil, &told.Delta), told.Key); string(again) != string(object) {
			t.Fatalf("%s\nbecomes\n%s", object, again)
		}
		if d.Event.Has(mptcp.FieldIfIndex) && d.Event.Type != mptcp.EventLost && told.Device != "eth0" {
			t.Fatalf("%s: device %q", object, told.Device)
		}
	}
}

// FuzzEvent reads arbitrary objects: an error, or an event that says the same when it was
// written and read once more.
func FuzzEvent(f *testing.F) {
	r := rand.New(rand.NewPCG(9, 10))
	var format present.EventJSON
	for range 20 {
		f.Add(format.AppendDelta(nil, anyDelta(r)))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		told, err := ParseEvent(object)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("%q: %v", object, err)
			}
			return
		}
		once := format.AppendDelta(nil, &told.Delta)
		again, err := ParseEvent(once)
		if err != nil {
			t.Fatalf("%q: %s: %v", object, once, err)
		}
		if twice := format.AppendDelta(nil, &again.Delta); string(twice) != string(once) {
			t.Errorf("%q: %s, then %s", object, once, twice)
		}
	})
}

func TestConnectionsAreReadBack(t *testing.T) {
	c := mptcp.Connection{
		Token: 0x63c070d2, Pair: mptcp.NewPair(1, 2), Netns: "blue", Side: mptcp.SideServer, State: mptcp.StateEstablished,
		Family: mptcp.FamilyINET, Local: netip.MustParseAddrPort("10.0.0.1:443"), Remote: netip.MustParseAddrPort("10.0.0.2:4000"),
		Processes: []mptcp.Process{{PID: 7, Name: "a\tb"}}, BytesSent: 5,
		Subflows: []mptcp.Subflow{{State: mptcp.SubflowStale, TCP: mptcp.StateEstablished, Device: "eth0", Share: 0.25}},
	}
	closed := []track.ClosedSubflow{{Subflow: mptcp.Subflow{BytesSent: 9}}}
	object := appendConnection(nil, Ended, "aborted", mptcp.Key{Instance: 2}, &c, closed, []string{"SF_FAILED"})
	back, err := ParseConnection(&Line{Pair: c.Pair, Object: object})
	if err != nil {
		t.Fatal(err)
	}
	if got := appendConnection(nil, back.Change, back.How, mptcp.Key{Instance: back.Instance}, &back.Connection, closed, back.Trouble); string(got) != string(object) {
		t.Errorf("%s\nbecomes\n%s", object, got)
	}
	if back.Connection.Pair != c.Pair {
		t.Errorf("the pair is %v", back.Connection.Pair)
	}
	if back.Key() != (mptcp.Key{Netns: "blue", Token: c.Token, Instance: 2}) || len(back.Closed) != 1 || back.Closed[0].BytesSent != 9 {
		t.Errorf("%+v", back)
	}
}
