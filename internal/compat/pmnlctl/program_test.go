package pmnlctl

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// samples are messages of Linux 6.18 on a little-endian host, and the lines
// that pm_nl_ctl makes of them.
func samples() map[string]string {
	return map[string]string{
		"540000001c00000000000000000000000101000008000100e251a2380600020002000000080005000a4d0101080007000a4d010206000900e5a6000006000a001771000005000300000000000500040000000000":                                                                 "type:1,token:950161890,family:2,saddr4:10.77.1.1,daddr4:10.77.1.2,sport:58790,dport:6001,loc_id:0,rem_id:0",
		"640000001c000000000000000000000001010000080001008552b03e050012000100000006000d00020000000600020002000000080005000a4d0102080007000a4d0101060009001771000006000a00e5a6000005000300000000000500040000000000":                                 "type:1,token:1051742853,family:2,saddr4:10.77.1.2,daddr4:10.77.1.1,sport:6001,dport:58790,loc_id:0,rem_id:0,server_side:1",
		"5c0000001c00000000000000000000000101000008000100b4f3d63e06000d00010000000600020002000000080005000a4d0101080007000a4d010206000900d594000006000a001776000005000300000000000500040000000000":                                                 "type:1,token:1054274484,deny_join_id0:1,family:2,saddr4:10.77.1.1,daddr4:10.77.1.2,sport:54676,dport:6006,loc_id:0,rem_id:0",
		"340000001c0000000000000000000000060100000800010039bf43f9050004000100000006000a0017740000080007000a4d0202":                                                                                                                                 "type:6,token:4181966649,rem_id:1,dport:6004,daddr4:10.77.2.2",
		"2c0000001c00000000000000000000000f01000006000200020000000600090017730000080005000a4d0101":                                                                                                                                                 "type:15,family:2,sport:6003,saddr4:10.77.1.1",
		"740000001c00000000000000000000000a010000080001007df07fb6060002000a00000014000600fd77000200000000000000000000000114000800fd7700020000000000000000000000020600090081d3000006000a00177100000500030001000000050004000100000005000b0000000000": "type:10,token:3061837949,family:10,saddr6:fd77:2::1,daddr6:fd77:2::2,sport:33235,dport:6001,loc_id:1,rem_id:1,backup:0",
	}
}

func TestEventLines(t *testing.T) {
	for text, want := range samples() {
		msg, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(appendEvent(nil, msg)); got != want+"\n" {
			t.Errorf("%s\n%q\nwant %q", text, got, want)
		}
	}
}

// FuzzEventLine: whatever the bytes, it is one line or none; and of a message
// with each attribute once it says what the decoder of pathmanager reads.
func FuzzEventLine(f *testing.F) {
	for text := range samples() {
		msg, err := hex.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		line := string(appendEvent(nil, msg))
		if line != "" &&
			(strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") || !strings.HasPrefix(line, "type:")) {
			t.Fatalf("%x: %q", msg, line)
		}
		var e mptcp.Event
		if line == "" || pathmanager.DecodeEvent(msg, &e) != nil {
			return
		}
		got := map[string]string{}
		for field := range strings.SplitSeq(strings.TrimSpace(line), ",") {
			key, value, _ := strings.Cut(field, ":")
			if _, twice := got[key]; twice {
				return // the decoder keeps one of them
			}
			got[key] = value
		}
		want := map[string]string{"type": fmt.Sprint(uint16(e.Type))}
		for key, value := range map[string]struct {
			field mptcp.EventField
			value any
		}{
			"token": {mptcp.FieldToken, uint32(e.Token)}, "family": {mptcp.FieldFamily, uint16(e.Family)},
			"loc_id": {mptcp.FieldLocalID, e.LocalID}, "rem_id": {mptcp.FieldRemoteID, e.RemoteID},
			"sport": {mptcp.FieldSport, e.Sport}, "dport": {mptcp.FieldDport, e.Dport},
			"backup": {mptcp.FieldBackup, e.Backup}, "error": {mptcp.FieldError, uint8(e.Error)},
		} {
			if e.Has(value.field) {
				want[key] = fmt.Sprint(value.value)
			}
		}
		for key, value := range want {
			if got[key] != value {
				t.Errorf("%x\n%s: %s is %q, the decoder reads %q", msg, line, key, got[key], value)
			}
		}
	})
}

func TestEndpointLines(t *testing.T) {
	for want, e := range map[string]mptcp.Endpoint{
		"id 3 flags signal,backup 10.0.1.3 10100\n": {ID: 3, Address: netip.MustParseAddr("10.0.1.3"), Port: 10100, Flags: mptcp.FlagSignal | mptcp.FlagBackup},
		"id 1 flags  10.0.1.1\n":                    {ID: 1, Address: netip.MustParseAddr("10.0.1.1")},
		"id 255 flags signal,subflow,laminar,backup,fullmesh,implicit,0x40 fe80::1\n": {
			ID: 255, Address: netip.MustParseAddr("fe80::1"), Flags: mptcp.KnownEndpointFlags | 0x40,
		},
		"id 2 flags  dev unknown/99999910.0.0.1\n": {ID: 2, Address: netip.MustParseAddr("10.0.0.1"), IfIndex: 999999},
	} {
		if got := string(appendEndpoint(nil, &e)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAtoi(t *testing.T) {
	for s, want := range map[string]uint64{"": 0, "12": 12, "12x": 12, " 7": 7, "+5": 5, "x": 0, "-1": 1<<64 - 1} {
		if got := atoi(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}
