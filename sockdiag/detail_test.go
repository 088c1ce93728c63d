package sockdiag

import (
	"encoding/binary"
	"fmt"
	"net"
	"reflect"
	"testing"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"github.com/google/go-cmp/cmp"
)

// limitsPlaces is the oracle: where the kernel's header has each field.
func limitsPlaces(t *TCPLimits) map[int]any {
	return map[int]any{
		88: &t.Reordering, 96: &t.RcvSpace, 112: &t.MaxPacingRate, 144: &t.NotSent, 152: &t.DataSegsIn,
		156: &t.DataSegsOut, 176: &t.RwndLimitedMicros, 184: &t.SndbufLimitedMicros, 196: &t.DeliveredCE,
		216: &t.DSACKDups, 220: &t.ReorderSeen, 224: &t.RcvOutOfOrder, 232: &t.RcvWnd, 236: &t.Rehash,
		240: &t.TotalRTO, 242: &t.TotalRTORecoveries, 244: &t.TotalRTOMS,
	}
}

// bytesOf returns how many bytes a field of limitsPlaces has.
func bytesOf(field any) int { return int(reflect.TypeOf(field).Elem().Size()) }

func TestDecodeTCPLimitsOfEverySize(t *testing.T) {
	raw := make([]byte, 280)
	for i := range raw {
		raw[i] = byte(i + 1)
	}
	for _, size := range []int{0, 7, 8, 104, 192, 231, 232, 240, 243, 248, 280} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			var got TCPLimits
			decodeTCPLimits(raw[:size], &got)
			if want := size >= 8 && raw[7]&1 != 0; got.AppLimited != want {
				t.Errorf("application limited %v, want %v", got.AppLimited, want)
			}
			for at, field := range limitsPlaces(&got) {
				var want uint64
				if n := bytesOf(field); at+n <= size&^7 {
					var word [8]byte
					copy(word[:], raw[at:at+n])
					want = binary.LittleEndian.Uint64(word[:])
				}
				if v := reflect.ValueOf(field).Elem().Uint(); v != want {
					t.Errorf("the field at %d is %#x, want %#x", at, v, want)
				}
			}
		})
	}
}

func TestTheFiguresOfCongestionControls(t *testing.T) {
	words := func(values ...uint32) (b []byte) {
		for _, v := range values {
			b = binary.NativeEndian.AppendUint32(b, v)
		}
		return b
	}
	for _, test := range []struct {
		typ  uint16
		raw  []byte
		want Congestion
	}{
		{uapi.InetDiagBbrinfo, words(1, 2, 3, 4, 5), Congestion{
			BBRBandwidth: 2<<32 + 1, BBRMinRTT: 3, BBRPacingGain: 4, BBRCwndGain: 5,
		}},
		{uapi.InetDiagDctcpinfo, words(1, 512, 7, 8), Congestion{DCTCPEnabled: true, DCTCPAlpha: 512}},
		{uapi.InetDiagVegasinfo, words(1, 9, 20, 10), Congestion{VegasEnabled: true, VegasRTT: 20, VegasMinRTT: 10}},
		{uapi.InetDiagBbrinfo, words(1, 2, 3, 4), Congestion{}},
		{uapi.InetDiagTos, words(1, 2, 3, 4, 5), Congestion{}},
	} {
		var got Congestion
		decodeCongestion(test.typ, test.raw, &got)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("attribute %d: %s", test.typ, diff)
		}
	}
}

func FuzzDecodeSubflowDetail(f *testing.F) {
	s := sampleSubflow(280)
	row := encodeSubflow(&s)
	row = nlmsg.AppendAttribute(row, uapi.InetDiagSkmeminfo, make([]byte, 36)...)
	row = nlmsg.AppendAttribute(row, uapi.InetDiagCong, []byte("cubic\x00")...)
	f.Add(row)
	addRecorded(f, "subflow")
	f.Fuzz(func(t *testing.T, b []byte) {
		var detail SubflowDetail
		var plain Subflow
		decode := func(b []byte) error { return DecodeSubflowDetail(b, &detail) }
		if len(b) < 4096 {
			checkTruncations(t, b, decode)
		}
		failed := DecodeSubflow(b, &plain) != nil
		if (decode(b) != nil) != failed || !failed && detail.Subflow != plain {
			t.Errorf("%+v, want %+v", detail.Subflow, plain)
		}
	})
}

// The kernel answers a detailed request about both kinds of sockets, in one namespace and
// without privilege; sockets that are gone are left out.
func TestDetailsOfLiveSockets(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	client, _ := w.pair(l, "tcp4", "127.0.0.1:"+port, true)
	c := w.connection(client.LocalAddr())
	flow := w.waitSubflows(c.Info.Token, 1)[0]

	connections := collect(t, w.client.ConnectionDetails(t.Context(), []mptcp.Token{1, c.Info.Token}))
	if len(connections) != 1 || connections[0].Info.Token != c.Info.Token || !connections[0].Memory.Known ||
		connections[0].Memory.SendBuffer == 0 || connections[0].Memory.ReceiveBuffer == 0 {
		t.Errorf("connections %+v, want one with its memory", connections)
	}
	gone := flow.Socket
	gone.Cookie++
	flows := collect(t, w.client.SubflowDetails(t.Context(), []Socket{gone, flow.Socket}))
	if len(flows) != 1 {
		t.Fatalf("subflows %+v, want one", flows)
	}
	d := flows[0]
	if d.MPTCP.TokenLocal != c.Info.Token || d.Congestion.Name == "" || !d.Memory.Known || d.Memory.SendBuffer == 0 {
		t.Errorf("subflow %+v, want its token, congestion control and memory", d)
	}
	if d.Limits.DataSegsOut == 0 || d.Limits.DataSegsIn == 0 || d.Limits.MaxPacingRate != 1<<64-1 ||
		d.Limits.Reordering == 0 || d.TCP.Size >= 236 && d.Limits.RcvWnd == 0 {
		t.Errorf("limits %+v, want data in both directions, a window and no limit of the pace", d.Limits)
	}
}
