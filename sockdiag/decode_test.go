package sockdiag

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var compareAddresses = cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})

func sampleSocket() Socket {
	return Socket{
		Family: mptcp.FamilyINET, State: mptcp.StateCloseWait, Timer: 1, Retrans: 2,
		Local: netip.MustParseAddrPort("10.1.2.3:443"), Remote: netip.MustParseAddrPort("10.4.5.6:50000"),
		IfIndex: 3, Cookie: 0x1122334455667788, ExpiresMS: 4, RecvQueue: 5, SendQueue: 6, UID: 1000, Inode: 7,
		Mark: 0x2a, HasMark: true,
	}
}

func sampleInfo(size int) Info {
	return Info{
		Size: size, Token: 0xdeadbeef, Flags: FlagRemoteKeyReceived,
		Subflows: 1, AddAddrSignal: 2, AddAddrAccepted: 3, SubflowsMax: 4, AddAddrSignalMax: 5, AddAddrAcceptedMax: 6,
		LocalAddrUsed:      7,
		LocalAddrMax:       8,
		Checksum:           true,
		SubflowsTotal:      9,
		EndpointLaminarMax: 10,
		EndpointFullMax:    11,
		WriteSeq:           12 << 32, SndUna: 13 << 32, RcvNxt: 14 << 32,
		Retransmits: 15, BytesRetransmitted: 16, BytesSent: 17, BytesReceived: 18, BytesAcked: 19,
		LastDataSentMS: 20, LastDataRecvMS: 21, LastAckRecvMS: 22,
	}
}

// cutInfo returns what is left of the sample where the kernel's structure ends
// at size.
func cutInfo(size int) Info {
	i := sampleInfo(size)
	if size < 48 {
		i.LocalAddrUsed, i.LocalAddrMax, i.Checksum, i.Retransmits = 0, 0, false, 0
	}
	if size < 80 {
		i.BytesRetransmitted, i.BytesSent, i.BytesReceived, i.BytesAcked = 0, 0, 0, 0
	}
	if size < 88 {
		i.SubflowsTotal, i.EndpointLaminarMax, i.EndpointFullMax, i.LastDataSentMS = 0, 0, 0, 0
	}
	if size < 96 {
		i.LastDataRecvMS, i.LastAckRecvMS = 0, 0
	}
	return i
}

func TestDecodeInfoOfEverySize(t *testing.T) {
	for _, size := range []int{40, 48, 80, 88, 96, 104, 200} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			raw := sampleInfo(size)
			c := Connection{Socket: sampleSocket(), Info: raw}
			got := Connection{Info: Info{BytesSent: 99, Size: 1}} // leftovers of another row
			if err := DecodeConnection(encodeConnection(&c), &got); err != nil {
				t.Fatal(err)
			}
			want := Connection{Socket: sampleSocket(), Info: cutInfo(size)}
			if diff := cmp.Diff(want, got, compareAddresses); diff != "" {
				t.Error(diff)
			}
		})
	}
	// A structure that ends within a field does not give half of it.
	b := bytes.Repeat([]byte{0xff}, 60)
	var i Info
	decodeInfo(b, &i)
	if i.BytesSent != 0 || i.BytesRetransmitted != 1<<64-1 {
		t.Errorf("60 bytes: %+v", i)
	}
}

func sampleTCPInfo(size int) TCPInfo {
	return TCPInfo{
		Size:         size,
		State:        1,
		CAState:      2,
		Retransmits:  3,
		Backoff:      4,
		Options:      5,
		RTOMicros:    6,
		ATOMicros:    7,
		RTTMicros:    8,
		RTTVarMicros: 9, MinRTTMicros: 10, RcvRTTMicros: 11, SndMSS: 12, RcvMSS: 13, AdvMSS: 14, PMTU: 15, Cwnd: 16,
		SndSsthresh: 17, RcvSsthresh: 18, SndWnd: 19, Unacked: 20, Sacked: 21, Lost: 22, Retrans: 23, TotalRetrans: 24,
		SegsOut: 25, SegsIn: 26, Delivered: 27, LastDataSentMS: 28, LastDataRecvMS: 29, LastAckRecvMS: 30,
		PacingRate: 31, DeliveryRate: 32, BusyMicros: 33, BytesAcked: 34, BytesReceived: 35, BytesSent: 36,
		BytesRetransmitted: 37,
	}
}

func sampleSubflow(size int) Subflow {
	return Subflow{
		Socket: sampleSocket(), ULP: "mptcp", HasMPTCP: true, TCP: sampleTCPInfo(size),
		MPTCP: SubflowInfo{
			TokenLocal: 1, TokenRemote: 2, LocalID: 3, RemoteID: 4, Flags: SubflowJoinLocal | SubflowConnected,
			Mapping: true, RelWriteSeq: 5, MapSeq: 6 << 40, MapSubflowSeq: 7, SSNOffset: 8, MapDataLen: 9,
		},
	}
}

func TestDecodeTCPInfoOfEverySize(t *testing.T) {
	for _, size := range []int{104, 192, 224, 232, 240, 280, 400} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			raw, want := sampleSubflow(size), sampleSubflow(size)
			if size < 232 {
				want.TCP.SndWnd = 0
			}
			if size < 224 {
				want.TCP.Delivered, want.TCP.BytesSent, want.TCP.BytesRetransmitted = 0, 0, 0
			}
			if size < 192 {
				want.TCP.PacingRate, want.TCP.BytesAcked, want.TCP.BytesReceived, want.TCP.SegsOut, want.TCP.SegsIn = 0, 0, 0, 0, 0
				want.TCP.MinRTTMicros, want.TCP.DeliveryRate, want.TCP.BusyMicros = 0, 0, 0
			}
			got := sampleSubflow(232)
			if err := DecodeSubflow(encodeSubflow(&raw), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, compareAddresses); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The rows of sockets without ULP, without MPTCP's part (listeners) and without
// mapping (no CAP_NET_ADMIN) differ, and leave nothing of the row before.
func TestDecodeSubflowWithLess(t *testing.T) {
	full := sampleSubflow(232)
	plain := Subflow{Socket: sampleSocket(), TCP: sampleTCPInfo(232)}
	tls := plain
	tls.ULP = "tls"
	other := plain
	other.ULP = "espintcp"
	listener := plain
	listener.ULP = "mptcp"
	user := full
	user.MPTCP = SubflowInfo{TokenLocal: 1, TokenRemote: 2, LocalID: 3, RemoteID: 4, Flags: 5}
	timeWait := Subflow{Socket: sampleSocket()}
	got := full
	for _, want := range []Subflow{plain, full, tls, other, listener, user, timeWait, full} {
		if err := DecodeSubflow(encodeSubflow(&want), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, compareAddresses); diff != "" {
			t.Error(diff)
		}
		var filtered Subflow
		wanted, err := decodeSubflow(encodeSubflow(&want), &filtered, false)
		if wanted != (want.ULP == "mptcp") || err != nil {
			t.Errorf("%+v is wanted: %v, %v", want, wanted, err)
		}
	}
}

func TestDecodeAddresses(t *testing.T) {
	raw := func(family uint8, local, remote string) []byte {
		b := make([]byte, uapi.InetDiagMsgSize)
		b[0] = family
		copy(b[8:24], netip.MustParseAddr(local).AsSlice())
		copy(b[24:40], netip.MustParseAddr(remote).AsSlice())
		return b
	}
	for _, test := range []struct {
		payload       []byte
		local, remote string
		mapped        bool
	}{
		{raw(2, "10.0.0.1", "10.0.0.2"), "10.0.0.1", "10.0.0.2", false},
		{raw(10, "2001:db8::1", "2001:db8::2"), "2001:db8::1", "2001:db8::2", false},
		{raw(10, "::ffff:10.0.0.1", "::ffff:10.0.0.2"), "10.0.0.1", "10.0.0.2", true},
		{raw(10, "::", "::"), "::", "::", false},
		{raw(10, "::ffff:10.0.0.1", "::"), "10.0.0.1", "::", true},
		{raw(10, "fe80::1", "fe80::2"), "fe80::1", "fe80::2", false},
	} {
		var s Socket
		if !decodeSocket(test.payload, &s) {
			t.Fatal("too short")
		}
		if s.Local.Addr().String() != test.local || s.Remote.Addr().String() != test.remote || s.Mapped != test.mapped {
			t.Errorf(
				"%v %v mapped %v, want %s %s %v",
				s.Local,
				s.Remote,
				s.Mapped,
				test.local,
				test.remote,
				test.mapped,
			)
		}
		if again := encodeSocket(&s); !bytes.Equal(again, test.payload) {
			t.Errorf("back: %x, want %x", again, test.payload)
		}
	}
}

// What the kernel sends in years to come must not disturb: attributes of unknown
// types, anywhere.
func TestDecodeIgnoresUnknownAttributes(t *testing.T) {
	want := sampleSubflow(280)
	b := encodeSocket(&want.Socket)
	b = nlmsg.AppendAttribute(b, 900, []byte("unknown")...)
	inner := nlmsg.AppendAttribute(nil, 77, 1)
	inner = append(inner, encodeSubflowInfo(&want.MPTCP)...)
	ulp := nlmsg.AppendAttribute(nil, 55)
	ulp = nlmsg.AppendAttribute(ulp, uapi.InetUlpInfoName, []byte("mptcp\x00")...)
	ulp = nlmsg.AppendAttribute(ulp, uapi.InetUlpInfoMPTCP, inner...)
	b = nlmsg.AppendAttribute(b, uapi.InetDiagUlpInfo, ulp...)
	b = nlmsg.AppendAttribute(b, uapi.InetDiagInfo, encodeTCPInfo(&want.TCP)...)
	b = appendMark(b, &want.Socket)
	b = nlmsg.AppendAttribute(b, 901)
	var got Subflow
	if err := DecodeSubflow(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareAddresses); diff != "" {
		t.Error(diff)
	}
}

func TestSubflowFlagsLetters(t *testing.T) {
	if got := SubflowFlags(1<<9 - 1).String(); got != "MmJjBbecv" {
		t.Errorf("all flags: %q", got)
	}
	if got := (SubflowJoinLocal | SubflowBackupRemote | SubflowConnected).String(); got != "jBc" {
		t.Errorf("some flags: %q", got)
	}
}

// checkTruncations decodes all beginnings of b: an error below a struct
// inet_diag_msg, none above.
func checkTruncations(t *testing.T, b []byte, decode func([]byte) error) {
	t.Helper()
	for n := range b {
		if err := decode(b[:n:n]); (err != nil) != (n < uapi.InetDiagMsgSize) {
			t.Fatalf("%d of %d bytes: error %v", n, len(b), err)
		}
	}
}

func FuzzDecodeConnection(f *testing.F) {
	for _, size := range []int{0, 40, 48, 80, 88, 96, 104} {
		f.Add(encodeConnection(&Connection{Socket: sampleSocket(), Info: sampleInfo(size)}))
	}
	addRecorded(f, "connection")
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second Connection
		decode := func(b []byte) error { return DecodeConnection(b, &first) }
		if len(b) < 4096 {
			checkTruncations(t, b, decode)
		}
		if decode(b) != nil {
			return
		}
		if err := DecodeConnection(encodeConnection(&first), &second); err != nil || first != second {
			t.Errorf("%v: %+v, want %+v", err, second, first)
		}
	})
}

func FuzzDecodeSubflow(f *testing.F) {
	for _, size := range []int{0, 104, 192, 232, 280} {
		s := sampleSubflow(size)
		f.Add(encodeSubflow(&s))
	}
	addRecorded(f, "subflow")
	f.Fuzz(func(t *testing.T, b []byte) {
		var first, second, filtered Subflow
		decode := func(b []byte) error { return DecodeSubflow(b, &first) }
		if len(b) < 4096 {
			checkTruncations(t, b, decode)
		}
		if decode(b) != nil || len(first.ULP) > 1000 {
			return
		}
		if err := DecodeSubflow(encodeSubflow(&first), &second); err != nil || first != second {
			t.Errorf("%v: %+v, want %+v", err, second, first)
		}
		wanted, err := decodeSubflow(b, &filtered, false)
		if err != nil || wanted != (first.ULP == "mptcp") || wanted && filtered != first {
			t.Errorf("filtered: %v, %v: %+v, want %+v", wanted, err, filtered, first)
		}
	})
}
