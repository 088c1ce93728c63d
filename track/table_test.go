package track

import (
	gocmp "cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"mptcpctl/internal/pages"
	"mptcpctl/mptcp"
)

// genAddrPort draws from few addresses, so that they repeat, of both families.
var genAddrPort = rapid.Custom(func(t *rapid.T) netip.AddrPort {
	n := byte(rapid.IntRange(1, 9).Draw(t, "host"))
	addr := netip.AddrFrom4([4]byte{10, 0, 0, n})
	if rapid.Bool().Draw(t, "v6") {
		addr = netip.AddrFrom16([16]byte{0xfd, 15: n})
	}
	return netip.AddrPortFrom(addr, rapid.Uint16Range(1, 9).Draw(t, "port"))
})

// genSubflow draws what the table holds without loss.
var genSubflow = rapid.Custom(func(t *rapid.T) mptcp.Subflow {
	s := mptcp.Subflow{
		Local: genAddrPort.Draw(t, "local"), Remote: genAddrPort.Draw(t, "remote"),
		LocalID: mptcp.AddressID(rapid.Uint8().Draw(t, "lid")), RemoteID: mptcp.AddressID(rapid.Uint8().Draw(t, "rid")),
		State: mptcp.SubflowState(
			rapid.IntRange(0, 6).Draw(t, "state"),
		), TCP: mptcp.SocketState(rapid.IntRange(1, 12).Draw(t, "tcp")),
		BackupLocal: rapid.Bool().
			Draw(t, "b"),
		BackupRemote: rapid.Bool().Draw(t, "B"), FullyEstablished: rapid.Bool().Draw(t, "e"),
		IfIndex: rapid.Uint32().Draw(t, "ifindex"), TokenRemote: mptcp.Token(rapid.Uint32().Draw(t, "token_remote")),
		RTTMicros: rapid.Uint32().
			Draw(t, "rtt"),
		RTTVarMicros: rapid.Uint32().Draw(t, "rttvar"), MinRTTMicros: rapid.Uint32().Draw(t, "minrtt"),
		Cwnd:      rapid.Uint32().Draw(t, "cwnd"),
		BytesSent: rapid.Uint64Max(max48).Draw(t, "sent"), BytesReceived: rapid.Uint64Max(max48).Draw(t, "received"),
		BytesRetransmitted: rapid.Uint64Max(max48).Draw(t, "retransmitted"),
		LastAckMS: rapid.Uint32Max(coarseAge-1).
			Draw(t, "ack"),
		LastDataSentMS: 1000 * rapid.Uint32Range(33, 32767).Draw(t, "data"),
		Backoff:        rapid.Uint8Max(15).Draw(t, "backoff"),
		Unacked: rapid.Uint32Max(math.MaxUint16).
			Draw(t, "unacked"),
		Lost: rapid.Uint32Max(math.MaxUint16).Draw(t, "lost"),
	}
	s.Bound = s.IfIndex != 0
	return s
})

var genRecord = rapid.Custom(func(t *rapid.T) record {
	r := record{instance: uint32(rapid.Uint16().Draw(t, "instance")), history: rapid.Uint32().Draw(t, "history")}
	r.flags = coreFlags(rapid.IntRange(0, 15).Draw(t, "flags")) * coreCreated
	r.Connection = mptcp.Connection{
		Token: mptcp.Token(
			rapid.Uint32Max(40).Draw(t, "token"),
		), Netns: rapid.SampledFrom([]string{"", "blue", "red"}).Draw(t, "netns"),
		Family: rapid.SampledFrom([]mptcp.Family{mptcp.FamilyINET, mptcp.FamilyINET6}).Draw(t, "family"),
		Side: mptcp.Side(
			rapid.IntRange(0, 2).Draw(t, "side"),
		), State: mptcp.SocketState(rapid.IntRange(1, 12).Draw(t, "state")),
		Fallback: rapid.Bool().
			Draw(t, "fallback"),
		FallbackCause: rapid.SampledFrom([]string{"", "DssFallback", "x"}).Draw(t, "cause"),
		Local:         genAddrPort.Draw(t, "local"), Remote: genAddrPort.Draw(t, "remote"),
		Inode: rapid.Uint32().
			Draw(t, "inode"),
		UID: rapid.Uint32().Draw(t, "uid"), Cookie: rapid.Uint64().Draw(t, "cookie"),
		PathManager: rapid.SampledFrom([]string{"", "kernel", "userspace"}).Draw(t, "pm"),
		BytesSent:   rapid.Uint64().Draw(t, "sent"), BytesReceived: rapid.Uint64().Draw(t, "received"),
		BytesRetransmitted: rapid.Uint64().Draw(t, "retransmitted"), BytesAcked: rapid.Uint64().Draw(t, "acked"),
		Checksum: rapid.Bool().Draw(t, "checksum"), LastDataSentMS: rapid.Uint32Max(1000).Draw(t, "age"),
		Limits: mptcp.ConnectionLimits{
			Subflows:     rapid.Uint8().Draw(t, "limit"),
			LocalAddrMax: rapid.Uint8().Draw(t, "limit2"),
		},
	}
	if rapid.Bool().Draw(t, "since") {
		r.Since = time.Unix(0, rapid.Int64Min(1).Draw(t, "at"))
	}
	if rapid.Bool().Draw(t, "initial") {
		s := genSubflow.Draw(t, "initial subflow")
		s.Initial = true
		if rapid.Bool().Draw(t, "same addresses") {
			s.Local, s.Remote, s.LocalID, s.RemoteID, s.TokenRemote = r.Local, r.Remote, 0, 0, 0
		}
		r.Subflows = append(r.Subflows, s)
	}
	r.Subflows = append(r.Subflows, rapid.SliceOfN(genSubflow, 0, 4).Draw(t, "joins")...)
	for i := range r.Subflows {
		r.Subflows[i].Inode = r.Inode
	}
	return r
})

var recordOptions = []cmp.Option{
	cmp.AllowUnexported(record{}), cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty(),
	cmpopts.SortSlices(func(a, b mptcp.Subflow) bool { return fmt.Sprint(a) < fmt.Sprint(b) }),
}

// matches compares a table with a map that went through the same.
func matches(t *rapid.T, what string, v *view, want map[identity]record) {
	got := make(map[identity]record)
	for slot := range v.all() {
		var r record
		v.load(slot, &r)
		got[identity{r.Netns, r.Token}] = r
	}
	if d := cmp.Diff(want, got, recordOptions...); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
	for id := range want {
		if _, ok := v.find(id.netns, id.token); !ok {
			t.Fatalf("%s: %v is not found", what, id)
		}
	}
}

// A table behaves like a map, and a frozen one stays what it was.
func TestTableIsAMapAndFrozenOnesDoNotChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := newTable(1 << 20)
		model := make(map[identity]record)
		type photo struct {
			view  view
			model map[identity]record
		}
		var photos []photo
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				r := genRecord.Draw(t, "record")
				id := identity{r.Netns, r.Token}
				if slot, ok := table.find(r.Netns, r.Token); ok {
					table.update(slot, &r)
				} else {
					table.insert(&r)
				}
				model[id] = r
			},
			"remove": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip()
				}
				ids := slices.SortedFunc(maps.Keys(model), func(a, b identity) int {
					return gocmp.Or(strings.Compare(a.netns, b.netns), gocmp.Compare(a.token, b.token))
				})
				id := rapid.SampledFrom(ids).Draw(t, "id")
				slot, ok := table.find(id.netns, id.token)
				if !ok {
					t.Fatalf("%v is not found", id)
				}
				table.remove(slot)
				delete(model, id)
			},
			"freeze": func(t *rapid.T) {
				if len(photos) < 3 {
					photos = append(photos, photo{table.freeze(), maps.Clone(model)})
				}
			},
			"": func(t *rapid.T) {
				matches(t, "live", &table.view, model)
				var want Counts
				for _, r := range model {
					want.add(&r.Connection, 1)
				}
				if table.counts != want {
					t.Fatalf("counts %+v, want %+v", table.counts, want)
				}
			},
		})
		for i := range photos {
			matches(t, "frozen", &photos[i].view, photos[i].model)
		}
		for id := range model {
			slot, _ := table.find(id.netns, id.token)
			table.remove(slot)
		}
		if table.slots.Used()+table.writable.joins.Used()+table.writable.v6.Used()+table.writable.locals.Used()+len(
			table.writable.locals.numbers,
		)+int(
			table.writable.index.Used(),
		) > 0 {
			t.Fatalf(
				"an empty table holds something: %d connections, %d joins, %d IPv6 addresses, %d local addresses",
				table.slots.Used(),
				table.writable.joins.Used(),
				table.writable.v6.Used(),
				table.writable.locals.Used(),
			)
		}
	})
}

// A table that was large gives its pages back.
func TestTableShrinks(t *testing.T) {
	table := newTable(1 << 20)
	const n = 10 * pages.Len
	r := record{}
	r.Local = ap("10.0.0.1:80")
	for i := range n {
		r.Token, r.Remote = mptcp.Token(
			i*7919,
		), netip.AddrPortFrom(
			netip.AddrFrom16([16]byte{0xfd, 14: byte(i >> 8), 15: byte(i)}),
			1,
		)
		r.Subflows = []mptcp.Subflow{{Local: r.Local, Remote: r.Remote, LocalID: 1}}
		table.insert(&r)
	}
	for i := range n - 10 {
		slot, ok := table.find("", mptcp.Token(i*7919))
		if !ok {
			t.Fatalf("connection %d is not found", i)
		}
		table.remove(slot)
	}
	held := 0
	for _, p := range table.core {
		if p != nil {
			held++
		}
	}
	if held != 1 || table.indexSize > 4*pages.Len {
		t.Errorf("10 connections of %d left hold %d pages and an index of %d", n, held, table.indexSize)
	}
}

func FuzzFigures(f *testing.F) {
	f.Add(uint64(1), uint64(max48), uint32(31000), uint32(70000), uint32(70000), uint8(3))
	f.Add(uint64(0), uint64(math.MaxUint64), uint32(32768), uint32(math.MaxUint32), uint32(0), uint8(200))
	f.Fuzz(func(t *testing.T, sent, received uint64, ack, data, unacked uint32, backoff uint8) {
		s := mptcp.Subflow{
			BytesSent:      sent,
			BytesReceived:  received,
			LastAckMS:      ack,
			LastDataSentMS: data,
			Unacked:        unacked,
			Backoff:        backoff,
		}
		packed := packFigures(&s)
		var got mptcp.Subflow
		packed.unpack(&got)
		packed = packFigures(&got)
		var again mptcp.Subflow
		if packed.unpack(&again); again != got {
			t.Errorf("unpacked again: %+v, at first %+v", again, got)
		}
		if got.BytesSent != min(sent, max48) || got.BytesReceived != min(received, max48) ||
			got.Unacked != min(unacked, math.MaxUint16) ||
			got.Backoff != min(backoff, 15) {
			t.Errorf("%+v became %+v", s, got)
		}
		if want := ack; ack < coarseAge && got.LastAckMS != want {
			t.Errorf("age %d became %d", ack, got.LastAckMS)
		}
		if data >= coarseAge && data < 32767000 && (got.LastDataSentMS > data || data-got.LastDataSentMS >= 1000) {
			t.Errorf("age %d became %d", data, got.LastDataSentMS)
		}
	})
}

// One token in many namespaces, whose cells lie beside each other.
func TestTableTellsNamespacesApart(t *testing.T) {
	table := newTable(0)
	for i := range 180 {
		r := record{
			Connection: mptcp.Connection{
				Token:  9,
				Netns:  fmt.Sprint("ns", i),
				Local:  ap("10.0.0.1:80"),
				Remote: ap("10.0.0.2:1"),
				UID:    uint32(i),
			},
		}
		r.Local = netip.AddrPortFrom(r.Local.Addr(), uint16(i))
		table.insert(&r)
	}
	for i := range 180 {
		slot, ok := table.find(fmt.Sprint("ns", i), 9)
		if !ok || table.core.At(slot).sport != uint16(i) {
			t.Fatalf("namespace %d: found %v", i, ok)
		}
	}
	if _, ok := table.find("ns180", 9); ok {
		t.Error("found in a namespace that is not there")
	}
}
