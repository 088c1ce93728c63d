package pathmanager

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"github.com/google/go-cmp/cmp"
)

// What the kernel gets, byte by byte (little endian): the port of a command is in
// the host's order, unlike that of an event.
func TestEncodeRequests(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the bytes are those of a little-endian machine")
	}
	token, id := mptcp.Token(0x38a251e2), mptcp.AddressID(3)
	endpoint := of(mptcp.Endpoint{
		ID: 3, Address: netip.MustParseAddr("10.0.0.1"), Port: 9999,
		Flags: mptcp.FlagSignal | mptcp.FlagBackup, IfIndex: 2,
	})
	remote := ofAddrPort(netip.MustParseAddrPort("[fd00::2]:443"))
	for _, tt := range []struct {
		name string
		r    request
		want string
	}{
		{"flush", request{command: CommandFlushEndpoints}, "14000000 1c000500 00000000 00000000 04010000"},
		{"dump", request{command: CommandGetEndpoint, dump: true}, "14000000 1c000103 00000000 00000000 03010000"},
		{
			"add", request{command: CommandAddEndpoint, local: &endpoint},
			"48000000 1c000500 00000000 00000000 01010000 34000180" +
				"06000100 02000000 08000300 0a000001 05000200 03000000 06000500 0f270000 08000600 05000000 08000700 " +
				"02000000",
		},
		{
			"limits", request{command: CommandSetLimits, limits: LimitsUpdate{Subflows: new(uint32(4))}},
			"1c000000 1c000500 00000000 00000000 05010000 08000300 04000000",
		},
		{
			"remove", request{command: CommandRemoveAddress, token: &token, id: &id},
			"24000000 1c000500 00000000 00000000 09010000 08000400 e251a238 05000500 03000000",
		},
		{
			"initial subflows", request{command: CommandRemoveEndpoint, local: &address{withID: true}},
			"20000000 1c000500 00000000 00000000 02010000 0c000180 05000200 00000000",
		},
		{
			"remote", request{command: CommandCreateSubflow, remote: &remote},
			"3c000000 1c000500 00000000 00000000 0a010000 28000680 06000100 0a000000" +
				"14000400 fd000000 00000000 00000000 00000002 06000500 bb010000",
		},
	} {
		var want strings.Builder
		for _, c := range tt.want {
			if c != ' ' {
				want.WriteString(string(c))
			}
		}
		if got := hex.EncodeToString(tt.r.encode(28)); got != want.String() {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, want.String())
		}
	}
}

// answer is an endpoint as the kernel sends it.
func answer(e mptcp.Endpoint) []byte {
	return finish(of(e).append(newRequest(28, 0, uint8(CommandGetEndpoint), 1), uapi.PMAttrAddr))
}

func TestDecodeEndpoint(t *testing.T) {
	for _, want := range []mptcp.Endpoint{
		{ID: 1, Address: netip.MustParseAddr("10.0.0.1"), Flags: mptcp.FlagSubflow},
		{ID: 255, Address: netip.MustParseAddr("fd00::1"), Port: 9999, Flags: 0x40, IfIndex: -1},
		{ID: 2, Address: netip.MustParseAddr("::ffff:10.0.0.1")},
	} {
		got, err := decodeEndpoint(answer(want))
		if err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	msg := answer(mptcp.Endpoint{ID: 1, Address: netip.MustParseAddr("10.0.0.1"), Port: 1})
	for n := range len(msg) {
		if e, err := decodeEndpoint(msg[:n]); err == nil || e != (mptcp.Endpoint{}) {
			t.Errorf("cut to %d bytes: %+v, %v", n, e, err)
		}
	}
	if _, err := decodeEndpoint(finish(newRequest(28, 0, 3, 1))); err == nil {
		t.Error("an answer without an address is no endpoint")
	}
}

func TestDecodeLimits(t *testing.T) {
	b := newRequest(28, 0, uint8(CommandGetLimits), 1)
	b = nlmsg.AppendUint32(b, uapi.PMAttrRcvAddAddrs, 1)
	b = finish(nlmsg.AppendUint32(b, uapi.PMAttrSubflows, 64))
	got, err := decodeLimits(b)
	if want := (mptcp.Limits{AddAddrAccepted: 1, Subflows: 64}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := decodeLimits(b[:len(b)-1]); err == nil {
		t.Error("a message that is cut short decodes")
	}
}

func TestDecodeFamily(t *testing.T) {
	b := newRequest(controlFamily, 0, 1, 2)
	b = nlmsg.AppendUint16(b, ctrlAttrFamilyID, 41)
	b = nlmsg.AppendUint32(b, ctrlAttrVersion, 1)
	b = nlmsg.AppendNested(b, ctrlAttrOps, func(b []byte) []byte {
		for i := range uint16(3) {
			b = nlmsg.AppendNested(
				b,
				i+1,
				func(b []byte) []byte { return nlmsg.AppendUint32(b, ctrlAttrOpID, uint32(i+1)) },
			)
		}
		return b
	})
	b = nlmsg.AppendNested(b, ctrlAttrGroups, func(b []byte) []byte {
		for i, name := range []string{uapi.PMCommandGroup, uapi.PMEventGroup} {
			b = nlmsg.AppendNested(b, uint16(i+1), func(b []byte) []byte {
				b = nlmsg.AppendUint32(b, ctrlAttrGroupID, uint32(20+i))
				return nlmsg.AppendAttribute(b, ctrlAttrGroupName, append([]byte(name), 0)...)
			})
		}
		return b
	})
	got, err := decodeFamily(finish(b))
	want := Family{ID: 41, Version: 1, Events: 21, Commands: []Command{1, 2, 3}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := decodeFamily(finish(newRequest(controlFamily, 0, 1, 2))); err == nil {
		t.Error("a family without an id is none")
	}
}

// FuzzDecodeAnswers decodes noise as each kind of answer: whatever decodes as an
// endpoint is the same after encoding it.
func FuzzDecodeAnswers(f *testing.F) {
	f.Add(answer(mptcp.Endpoint{ID: 1, Address: netip.MustParseAddr("10.0.0.1"), Port: 1, Flags: 3, IfIndex: 4}))
	f.Add(answer(mptcp.Endpoint{ID: 9, Address: netip.MustParseAddr("fd00::1")}))
	f.Add(familyRequest())
	f.Fuzz(func(t *testing.T, msg []byte) {
		if e, err := decodeEndpoint(msg); err == nil {
			again, err := decodeEndpoint(answer(e))
			if err != nil || again != e {
				t.Fatalf("%+v became %+v, %v", e, again, err)
			}
		} else if e != (mptcp.Endpoint{}) {
			t.Fatalf("error and value %+v", e)
		}
		if l, err := decodeLimits(msg); err != nil && l != (mptcp.Limits{}) {
			t.Fatalf("error and value %+v", l)
		}
		if f, err := decodeFamily(msg); err == nil && f.ID < nlmsg.MinType {
			t.Fatalf("family %+v", f)
		}
		if m, _, ok := nlmsg.Next(msg); ok {
			_ = decodeAck(append(m, 0, 0, 0, 0))
		}
	})
}

func TestCommandNames(t *testing.T) {
	seen := make(map[string]bool)
	for c := CommandAddEndpoint; c <= lastCommand; c++ {
		seen[c.String()] = true
	}
	if len(seen) != int(lastCommand) || CommandDestroySubflow.String() != "subflow-destroy" ||
		Command(12).String() != "command 12" {
		t.Errorf("%v", seen)
	}
}
