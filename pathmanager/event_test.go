package pathmanager

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// cmpEvent compares events whole.
var cmpEvent = cmp.Options{cmpopts.EquateComparable(netip.Addr{})}

// sample is a message that a kernel sent, and the event in it.
type sample struct {
	line string
	msg  []byte
	want mptcp.Event
}

// samples reads testdata/events.txt.
func samples(t testing.TB) []sample {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the samples were taken on a little-endian machine")
	}
	data, err := os.ReadFile("testdata/events.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []sample
	var msg []byte
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "hex "):
			if msg, err = hex.DecodeString(line[4:]); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(line, "event="):
			all = append(all, sample{line, msg, parseEvent(t, line)})
		}
	}
	if len(all) < 50 {
		t.Fatalf("%d samples", len(all))
	}
	return all
}

// parseEvent reads the words that describe a sample.
func parseEvent(t testing.TB, line string) mptcp.Event {
	t.Helper()
	var e mptcp.Event
	for word := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(word, "=")
		if key == "event" {
			e.Type, _ = mptcp.ParseEventType(value)
			continue
		}
		if err := setWord(&e, key, value); err != nil {
			t.Fatalf("%s: %v", word, err)
		}
	}
	return e
}

func setWord(e *mptcp.Event, key, value string) error {
	base := 10
	if key == "token" {
		base = 16
	}
	n, err := strconv.ParseUint(value, base, 32)
	switch key {
	case "saddr4", "saddr6":
		e.Source, err = netip.ParseAddr(value)
	case "daddr4", "daddr6":
		e.Destination, err = netip.ParseAddr(value)
	case "token":
		e.Token = mptcp.Token(n)
	case "family":
		e.Family = mptcp.Family(n)
	case "locid":
		e.LocalID = mptcp.AddressID(n)
	case "remid":
		e.RemoteID = mptcp.AddressID(n)
	case "sport":
		e.Sport = uint16(n)
	case "dport":
		e.Dport = uint16(n)
	case "backup":
		e.Backup = uint8(n)
	case "error":
		e.Error = mptcp.Errno(n)
	case "flags":
		e.Flags = mptcp.EventFlags(n)
	case "ifindex":
		e.IfIndex = int32(n)
	case "reset_reason":
		e.ResetReason = mptcp.ResetReason(n)
	case "reset_flags":
		e.ResetFlags = uint32(n)
	case "server_side":
		e.ServerSide = uint8(n)
	}
	field, ok := fieldWords[key]
	if !ok {
		return fmt.Errorf("no such field")
	}
	e.Fields |= field
	return err
}

var fieldWords = map[string]mptcp.EventField{
	"token": mptcp.FieldToken, "family": mptcp.FieldFamily, "locid": mptcp.FieldLocalID, "remid": mptcp.FieldRemoteID,
	"saddr4": mptcp.FieldSaddr4, "saddr6": mptcp.FieldSaddr6, "daddr4": mptcp.FieldDaddr4, "daddr6": mptcp.FieldDaddr6,
	"sport": mptcp.FieldSport, "dport": mptcp.FieldDport, "backup": mptcp.FieldBackup, "error": mptcp.FieldError,
	"flags": mptcp.FieldFlags, "ifindex": mptcp.FieldIfIndex, "reset_reason": mptcp.FieldResetReason,
	"reset_flags": mptcp.FieldResetFlags, "server_side": mptcp.FieldServerSide,
}

// encodeEvent is the inverse of DecodeEvent, for tests: attributes in the order of
// their numbers.
func encodeEvent(e *mptcp.Event) []byte {
	b := newRequest(28, 0, uint8(e.Type), uapi.PMVersion)
	binary.NativeEndian.PutUint16(b[6:], 0) // an event is no request
	put := func(f mptcp.EventField, typ uint16, value ...byte) {
		if e.Has(f) {
			b = nlmsg.AppendAttribute(b, typ, value...)
		}
	}
	ne16 := func(v uint16) []byte { return binary.NativeEndian.AppendUint16(nil, v) }
	ne32 := func(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
	be16 := func(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
	put(mptcp.FieldToken, uapi.AttrToken, ne32(uint32(e.Token))...)
	put(mptcp.FieldFamily, uapi.AttrFamily, ne16(uint16(e.Family))...)
	put(mptcp.FieldLocalID, uapi.AttrLocID, uint8(e.LocalID))
	put(mptcp.FieldRemoteID, uapi.AttrRemID, uint8(e.RemoteID))
	put(mptcp.FieldSaddr4, uapi.AttrSaddr4, e.Source.AsSlice()...)
	put(mptcp.FieldSaddr6, uapi.AttrSaddr6, e.Source.AsSlice()...)
	put(mptcp.FieldDaddr4, uapi.AttrDaddr4, e.Destination.AsSlice()...)
	put(mptcp.FieldDaddr6, uapi.AttrDaddr6, e.Destination.AsSlice()...)
	put(mptcp.FieldSport, uapi.AttrSport, be16(e.Sport)...)
	put(mptcp.FieldDport, uapi.AttrDport, be16(e.Dport)...)
	put(mptcp.FieldBackup, uapi.AttrBackup, e.Backup)
	put(mptcp.FieldError, uapi.AttrError, uint8(e.Error))
	put(mptcp.FieldFlags, uapi.AttrFlags, ne16(uint16(e.Flags))...)
	put(mptcp.FieldTimeout, uapi.AttrTimeout, ne32(e.Timeout)...)
	put(mptcp.FieldIfIndex, uapi.AttrIfIdx, ne32(uint32(e.IfIndex))...)
	put(mptcp.FieldResetReason, uapi.AttrResetReason, ne32(uint32(e.ResetReason))...)
	put(mptcp.FieldResetFlags, uapi.AttrResetFlags, ne32(e.ResetFlags)...)
	put(mptcp.FieldServerSide, uapi.AttrServerSide, e.ServerSide)
	return finish(b)
}

func TestDecodeEventOfEachKind(t *testing.T) {
	kinds := make(map[mptcp.EventType]int)
	for _, s := range samples(t) {
		var got mptcp.Event
		if err := DecodeEvent(s.msg, &got); err != nil {
			t.Errorf("%s: %v", s.line, err)
			continue
		}
		if diff := cmp.Diff(s.want, got, cmpEvent); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.line, diff)
		}
		kinds[got.Type]++
	}
	for _, typ := range mptcp.EventTypes() {
		if kinds[typ] == 0 {
			t.Errorf("no sample of %v", typ)
		}
	}
}

// A token is in the host's order and prints with all its digits, ports of events
// are in network order.
func TestByteOrderOfEvents(t *testing.T) {
	e := mptcp.Event{
		Type:   mptcp.EventCreated,
		Fields: mptcp.FieldToken | mptcp.FieldSport | mptcp.FieldDport,
		Token:  0x00a251e2, Sport: 443, Dport: 6001,
	}
	msg := encodeEvent(&e)
	if got := hex.EncodeToString(msg[32:34]); got != "01bb" {
		t.Errorf("port 443 is %s on the wire", got)
	}
	var got mptcp.Event
	if err := DecodeEvent(msg, &got); err != nil {
		t.Fatal(err)
	}
	if got.Token.String() != "00a251e2" || got.Sport != 443 || got.Dport != 6001 {
		t.Errorf("token %v ports %d %d", got.Token, got.Sport, got.Dport)
	}
}

// An attribute that is absent is not a zero.
func TestAbsentFieldsAreNotZero(t *testing.T) {
	for _, s := range samples(t) {
		var e mptcp.Event
		if err := DecodeEvent(s.msg, &e); err != nil {
			t.Fatal(err)
		}
		switch e.Type {
		case mptcp.EventClosed, mptcp.EventRemoved, mptcp.EventAnnounced:
			if e.Has(mptcp.FieldFamily) || !e.Has(mptcp.FieldToken) {
				t.Errorf("%s: fields %#x", s.line, e.Fields)
			}
		case mptcp.EventListenerCreated, mptcp.EventListenerClosed:
			if e.Has(mptcp.FieldToken) || !e.Has(mptcp.FieldFamily) {
				t.Errorf("%s: fields %#x", s.line, e.Fields)
			}
		}
		if has := strings.Contains(s.line, "reset_reason="); e.Has(mptcp.FieldResetReason) != has {
			t.Errorf("%s: reset reason present %v", s.line, !has)
		}
	}
}

// The kernel shows one address as IPv4 and as v4-mapped: Local and Remote agree.
func TestMappedAddressesCompareEqual(t *testing.T) {
	plain := mptcp.Event{
		Fields: mptcp.FieldSaddr4 | mptcp.FieldSport,
		Sport:  7,
		Source: netip.MustParseAddr("10.77.1.1"),
	}
	mapped := mptcp.Event{Fields: mptcp.FieldSaddr6 | mptcp.FieldSport, Sport: 7,
		Source: netip.MustParseAddr("::ffff:10.77.1.1")}
	for _, e := range []*mptcp.Event{&plain, &mapped} {
		var got mptcp.Event
		if err := DecodeEvent(encodeEvent(e), &got); err != nil {
			t.Fatal(err)
		}
		if got.Source != e.Source {
			t.Errorf("Source %v, want it as sent: %v", got.Source, e.Source)
		}
		if local, ok := got.Local(); !ok || local != netip.MustParseAddrPort("10.77.1.1:7") {
			t.Errorf("Local %v %v", local, ok)
		}
	}
}

// Newer kernels may send more: other events, other attributes, wider values.
func TestDecodeEventOfNewerKernel(t *testing.T) {
	b := newRequest(28, 0, 77, 9)
	b = nlmsg.AppendAttribute(b, uapi.AttrRemID, 3, 0, 0, 0)
	b = nlmsg.AppendAttribute(b, 4000, 1, 2, 3)
	b = nlmsg.AppendAttribute(b, uapi.AttrToken|nlmsg.FlagNested, 1, 0, 0, 0)
	var e mptcp.Event
	if err := DecodeEvent(finish(b), &e); err != nil {
		t.Fatal(err)
	}
	if e.Type != 77 || e.Fields != mptcp.FieldToken|mptcp.FieldRemoteID || e.RemoteID != 3 {
		t.Errorf("%+v", e)
	}
}

func TestDecodeEventRefusesMalformed(t *testing.T) {
	for name, msg := range map[string][]byte{
		"empty":           {},
		"no generic part": {16, 0, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"control message": finish(newRequest(nlmsg.TypeDone, 0, 1, 1)),
		"short token":     finish(nlmsg.AppendAttribute(newRequest(28, 0, 3, 1), uapi.AttrToken, 1, 2, 3)),
		"short address":   finish(nlmsg.AppendAttribute(newRequest(28, 0, 1, 1), uapi.AttrSaddr6, 1, 2, 3, 4)),
		"length 3":        finish(append(newRequest(28, 0, 1, 1), 3, 0, 1, 0)),
		"length 0":        finish(append(newRequest(28, 0, 1, 1), 0, 0, 1, 0)),
		"too long":        finish(append(newRequest(28, 0, 1, 1), 9, 0, 1, 0, 1, 2, 3, 4)),
		"rest":            finish(append(newRequest(28, 0, 1, 1), 0, 0)),
	} {
		e := mptcp.Event{Token: 1, Netns: "left over"}
		if err := DecodeEvent(msg, &e); err == nil {
			t.Errorf("%s: no error, %+v", name, e)
		}
		if diff := cmp.Diff(mptcp.Event{}, e, cmpEvent); diff != "" {
			t.Errorf("%s: error and value:\n%s", name, diff)
		}
	}
}

// A message that is cut anywhere is an error, or, cut between two attributes with
// its length adjusted, a message with fewer of them and the same values.
func TestDecodeEventTruncatedAtEachByte(t *testing.T) {
	for _, s := range samples(t) {
		for n := range len(s.msg) {
			var e mptcp.Event
			if DecodeEvent(s.msg[:n], &e) == nil {
				t.Fatalf("%s: cut to %d bytes decodes", s.line, n)
			}
			if n < 4 {
				continue
			}
			cut := append([]byte(nil), s.msg[:n]...)
			if DecodeEvent(finish(cut), &e) != nil {
				continue
			}
			assertPart(t, s, e)
		}
	}
}

// assertPart checks that each field of e has the value of the sample.
func assertPart(t *testing.T, s sample, e mptcp.Event) {
	t.Helper()
	if e.Type != s.want.Type || e.Fields&^s.want.Fields != 0 {
		t.Fatalf("%s: %+v", s.line, e)
	}
	whole := s.want
	whole.Fields = e.Fields
	var want mptcp.Event
	if err := DecodeEvent(encodeEvent(&whole), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, e, cmpEvent); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", s.line, diff)
	}
}

// roundTrip checks that what was decoded is the same after encoding and decoding,
// and that its encoding is stable.
func roundTrip(t *testing.T, e *mptcp.Event) {
	t.Helper()
	first := encodeEvent(e)
	var again mptcp.Event
	if err := DecodeEvent(first, &again); err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	if second := encodeEvent(&again); string(first) != string(second) {
		t.Fatalf("%+v\n%x\n%x", e, first, second)
	}
	if again != *e {
		t.Fatalf("%s", cmp.Diff(*e, again, cmpEvent))
	}
}

// bothFamilies reports whether an address came in both families, which no encoding
// can repeat.
func bothFamilies(e *mptcp.Event) bool {
	return e.Has(mptcp.FieldSaddr4|mptcp.FieldSaddr6) || e.Has(mptcp.FieldDaddr4|mptcp.FieldDaddr6)
}

func FuzzDecodeEvent(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.msg)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var e mptcp.Event
		if err := DecodeEvent(msg, &e); err != nil {
			if e != (mptcp.Event{}) {
				t.Fatalf("error %v and value %+v", err, e)
			}
			return
		}
		if !bothFamilies(&e) {
			roundTrip(t, &e)
		}
	})
}

// A million messages, each a sample that was mutated or plain noise.
func TestDecodeMillionMessages(t *testing.T) {
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	all := samples(t)
	r := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 0, 256)
	decoded := 0
	for i := range n {
		buf = append(buf[:0], all[r.IntN(len(all))].msg...)
		for range r.IntN(4) {
			buf[r.IntN(len(buf))] = byte(r.Uint32())
		}
		if r.IntN(8) == 0 {
			for j := range buf[nlmsg.HeaderSize:] {
				buf[nlmsg.HeaderSize+j] = byte(r.Uint32())
			}
		}
		var e mptcp.Event
		if DecodeEvent(buf, &e) != nil {
			if e != (mptcp.Event{}) {
				t.Fatalf("%x: error and value", buf)
			}
			continue
		}
		decoded++
		if i%16 == 0 && !bothFamilies(&e) {
			roundTrip(t, &e)
		}
	}
	if decoded < n/10 {
		t.Errorf("only %d of %d decoded: the mutations are too coarse to tell anything", decoded, n)
	}
}

func TestDecodeEventAllocatesNothing(t *testing.T) {
	all := samples(t)
	var e mptcp.Event
	allocs := testing.AllocsPerRun(100, func() {
		for i := range all {
			if err := DecodeEvent(all[i].msg, &e); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for %d messages", allocs, len(all))
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	all := samples(b)
	var e mptcp.Event
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := DecodeEvent(all[i%len(all)].msg, &e); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
