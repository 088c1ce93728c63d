package sockdiag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/bpf"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"

	"pgregory.net/rapid"
)

// needIterator skips the test where the iterator cannot be had, and returns what the
// kernel says of its types.
func needIterator(t *testing.T) *subflowLayout {
	t.Helper()
	if err := bpf.MayLoad(); err != nil {
		t.Skip("the iterator needs CAP_BPF and CAP_PERFMON in the initial user namespace")
	}
	layout, err := readSubflowLayout()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, mptcp.ErrNotSupported) {
		labtest.Skip(t, "the kernel has no iterator over TCP sockets, or does not describe its types: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return layout
}

// iterated returns what the iterator tells of the namespace.
func (w *world) iterated() []Subflow {
	w.t.Helper()
	i, err := w.client.openIterator(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer i.file.Close()
	var all []Subflow
	if err := i.all(w.t.Context(), func(s *Subflow) bool { all = append(all, *s); return true }); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// brief returns of a subflow what Request.Brief promises.
func brief(s Subflow) Subflow {
	return Subflow{
		Socket: Socket{Family: s.Family, State: s.State, Local: s.Local, Remote: s.Remote, Mapped: s.Mapped,
			IfIndex: s.IfIndex},
		ULP: s.ULP, HasMPTCP: s.HasMPTCP,
		MPTCP: SubflowInfo{TokenLocal: s.MPTCP.TokenLocal, LocalID: s.MPTCP.LocalID, RemoteID: s.MPTCP.RemoteID,
			Flags: s.MPTCP.Flags},
		TCP: TCPInfo{
			RTTMicros: s.TCP.RTTMicros, RTTVarMicros: s.TCP.RTTVarMicros, Cwnd: s.TCP.Cwnd, Backoff: s.TCP.Backoff,
			Unacked:            s.TCP.Unacked,
			BytesSent:          s.TCP.BytesSent,
			BytesReceived:      s.TCP.BytesReceived,
			BytesRetransmitted: s.TCP.BytesRetransmitted,
		},
	}
}

// What the iterator tells is what a dump tells, in its order: of all families, of joins
// with address ids, bound ones too, of those that are closing, and of no others.
func TestIteratorAgreesWithDump(t *testing.T) {
	needIterator(t)
	w := newWorld(t, nil)
	w.addEndpoint("127.0.0.2", 7)
	var keep []any
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		l := w.listen("tcp", address, true)
		to := fmt.Sprintf("127.0.0.1:%d", addrPort(l.Addr()).Port())
		if address == "[::1]:0" {
			to = l.Addr().String()
		}
		for n := range 3 {
			client, server := w.pair(l, "tcp", to, true)
			w.transfer(client, server, "hello")
			if address != "[::1]:0" {
				w.waitSubflows(w.connection(client.LocalAddr()).Info.Token, 2)
			}
			if n == 2 {
				if err := client.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			keep = append(keep, client, server)
		}
	}
	plain := w.listen("tcp4", "127.0.0.1:0", false)
	client, server := w.pair(plain, "tcp4", plain.Addr().String(), false)
	keep = append(keep, client, server)

	// A moment may change a figure between the two.
	await.Success(t, func() error {
		began := time.Now()
		got := w.iterated()
		var want []Subflow
		for _, s := range collect(t, w.client.Subflows(t.Context(), nil)) {
			if !s.HasMPTCP {
				continue
			}
			if n := len(want); n < len(got) { // time passes
				late := int(s.TCP.LastAckRecvMS) - int(got[n].TCP.LastAckRecvMS)
				if late < 0 || late > int(time.Since(began).Milliseconds())+10 {
					return fmt.Errorf(
						"last acknowledgements %d and %d ms ago",
						got[n].TCP.LastAckRecvMS,
						s.TCP.LastAckRecvMS,
					)
				}
				got[n].TCP.LastAckRecvMS = 0
			}
			want = append(want, brief(s))
		}
		if len(got) < 18+12 || !slices.Equal(got, want) {
			return fmt.Errorf("iterator %d:\n%+v\ndump %d:\n%+v", len(got), got, len(want), want)
		}
		return nil
	})
	_ = keep
}

// A list is the same whichever way it comes.
func TestBriefListsByIterator(t *testing.T) {
	w := newWorld(t, nil)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	w.pair(l, "tcp4", l.Addr().String(), true)
	for _, expected := range []int{0, manySubflows} {
		r := &Request{Brief: true, Expected: expected}
		if n := len(collect(t, w.client.Subflows(t.Context(), r))); n != 2 {
			t.Errorf("%d expected: %d subflows", expected, n)
		}
	}
	tapped := &Client{config: Config{Tap: func(uint32, []byte) {}}}
	for _, r := range []*Request{
		nil, {Expected: manySubflows}, {Brief: true, Expected: manySubflows - 1},
		{Brief: true, Expected: manySubflows, AllTCP: true},
		{Brief: true, Expected: manySubflows, LocalPort: 1}, {Brief: true, Expected: manySubflows, States: AllStates},
	} {
		if w.client.iterable(r) {
			t.Errorf("%+v is left to the iterator", r)
		}
	}
	if tapped.iterable(&Request{Brief: true, Expected: manySubflows}) {
		t.Error("a tap sees nothing of what the iterator reads")
	}
}

// An iterator that reads members at the wrong places notices before it yields anything.
func TestIteratorProvesItself(t *testing.T) {
	layout := needIterator(t)
	w := newWorld(t, nil)
	if i, err := w.client.openIterator(t.Context()); err == nil {
		i.file.Close()
		t.Error("without a subflow nothing is proved")
	}
	w.addEndpoint("127.0.0.2", 7)
	l := w.listen("tcp4", "127.0.0.1:0", true)
	client, server := w.pair(l, "tcp4", l.Addr().String(), true)
	w.transfer(client, server, "hello")
	w.waitSubflows(w.connection(client.LocalAddr()).Info.Token, 2)
	for name, change := range map[string]func(*subflowLayout){
		"addresses":   func(l *subflowLayout) { l.remote4 = l.remote6 },
		"time":        func(l *subflowLayout) { l.rtt, l.rttVar = l.rttVar, l.rtt },
		"last time":   func(l *subflowLayout) { l.acknowledged = l.rtt },
		"bytes":       func(l *subflowLayout) { l.sent, l.received = l.received, l.sent },
		"token":       func(l *subflowLayout) { l.token += 4 },
		"address ids": func(l *subflowLayout) { l.localID = l.remoteID },
		"flags":       func(l *subflowLayout) { l.flags[1].bit++ },
	} {
		wrong := *layout
		change(&wrong)
		if i, err := w.client.iterate(t.Context(), &wrong); err == nil {
			i.file.Close()
			t.Errorf("with other %s it is believed", name)
		}
	}
	for range 10 { // a moment may change a figure
		i, err := w.client.iterate(t.Context(), layout)
		if err == nil {
			i.file.Close()
			return
		}
		if !errors.Is(err, errUnproved) {
			t.Fatal(err)
		}
	}
	t.Error("the kernel's own layout is not believed")
}

// layoutOf returns a layout as a kernel might have it.
func layoutOf(t *rapid.T) *subflowLayout {
	l := &subflowLayout{hertz: rapid.SampledFrom([]uint32{100, 250, 300, 1000}).Draw(t, "HZ")}
	at := rapid.Uint32Range(0, 64).Draw(t, "first")
	next := func(step uint32) uint32 { at += step; return at - step }
	l.token = next(4)
	l.wideID = rapid.Bool().Draw(t, "wide")
	width := uint32(1)
	if l.wideID {
		width = 2
	}
	l.localID, l.remoteID = next(width), next(1)
	for i := range l.flags {
		l.flags[i] = flagPlace{at + uint32(i/8), uint8(i % 8)}
	}
	if err := l.frame(); err != nil {
		t.Fatal(err)
	}
	return l
}

// What stands in a record is what is decoded, wherever a kernel has it.
func TestIteratorRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := layoutOf(t)
		want := Subflow{ULP: ulpMPTCP, HasMPTCP: true}
		want.State = mptcp.SocketState(rapid.Uint8Range(1, 12).Draw(t, "state"))
		want.IfIndex = rapid.Uint32().Draw(t, "device")
		want.MPTCP = SubflowInfo{
			TokenLocal: mptcp.Token(
				rapid.Uint32().Draw(t, "token"),
			), LocalID: mptcp.AddressID(rapid.Byte().Draw(t, "local id")),
			RemoteID: mptcp.AddressID(rapid.Byte().Draw(t, "remote id")),
			Flags:    SubflowFlags(rapid.Uint32Range(0, 1<<9-1).Draw(t, "flags")),
		}
		want.TCP = TCPInfo{
			RTTMicros:    rapid.Uint32Range(0, 1<<29-1).Draw(t, "rtt"),
			RTTVarMicros: rapid.Uint32Range(0, 1<<30-1).Draw(t, "rttvar"),
			Cwnd:         rapid.Uint32().Draw(t, "cwnd"), Backoff: rapid.Byte().Draw(t, "backoff"),
			BytesSent: rapid.Uint64().Draw(t, "sent"), BytesReceived: rapid.Uint64().Draw(t, "received"),
			BytesRetransmitted: rapid.Uint64().Draw(t, "again"), Unacked: rapid.Uint32().Draw(t, "unacked"),
		}
		ports := [2]uint16{rapid.Uint16().Draw(t, "port"), rapid.Uint16().Draw(t, "port of the peer")}
		ne := binary.LittleEndian
		b := make([]byte, l.record())
		six := rapid.Bool().Draw(t, "IPv6")
		address := func(at4, at6 int, port uint16) netip.AddrPort {
			if six {
				a := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address"))
				if rapid.Bool().Draw(t, "mapped") {
					copy(a[:], []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})
					want.Mapped = true
				}
				copy(b[at6:], a[:])
				return netip.AddrPortFrom(netip.AddrFrom16(a).Unmap(), port)
			}
			a := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
			copy(b[at4:], a[:])
			return netip.AddrPortFrom(netip.AddrFrom4(a), port)
		}
		want.Family = mptcp.FamilyINET
		if six {
			want.Family = mptcp.FamilyINET6
		}
		want.Local, want.Remote = address(recordAddresses+4, recordLocal6, ports[0]),
			address(recordAddresses, recordRemote6, ports[1])
		binary.BigEndian.PutUint16(b[recordPorts:], ports[1])
		ne.PutUint16(b[recordPorts+2:], ports[0])
		ne.PutUint32(b[recordFamily:], uint32(want.Family))
		ne.PutUint32(b[recordState:], uint32(want.State))
		ne.PutUint32(b[recordDevice:], want.IfIndex)
		ne.PutUint32(b[recordRTT:], want.TCP.RTTMicros<<3|rapid.Uint32Range(0, 7).Draw(t, "eighths"))
		ne.PutUint32(b[recordRTTVar:], want.TCP.RTTVarMicros<<2)
		ne.PutUint32(b[recordCwnd:], want.TCP.Cwnd)
		ne.PutUint32(b[recordBackoff:], uint32(want.TCP.Backoff))
		ne.PutUint64(b[recordSent:], want.TCP.BytesSent)
		ne.PutUint64(b[recordReceived:], want.TCP.BytesReceived)
		ne.PutUint64(b[recordRetransmits:], want.TCP.BytesRetransmitted)
		ne.PutUint32(b[recordUnacked:], want.TCP.Unacked)
		now, ticks := rapid.Uint32().Draw(t, "now"), rapid.Uint32().Draw(t, "ticks")
		ne.PutUint32(b[recordNow:], now)
		ne.PutUint32(b[recordAck:], now-ticks) // the clock wraps around
		want.TCP.LastAckRecvMS = uint32(uint64(ticks) * 1000 / uint64(l.hertz))
		at := func(member uint32) []byte { return b[recordContext+member-l.first:] }
		ne.PutUint32(at(l.token), uint32(want.MPTCP.TokenLocal))
		at(l.localID)[0], at(l.remoteID)[0] = byte(want.MPTCP.LocalID), byte(want.MPTCP.RemoteID)
		for i, flag := range l.flags {
			if want.MPTCP.Flags>>i&1 != 0 {
				at(flag.at)[0] |= 1 << flag.bit
			}
		}
		if l.wideID && rapid.Bool().Draw(t, "no id") {
			ne.PutUint16(at(l.localID), 0xffff)
			want.MPTCP.LocalID = 0
		}
		var got Subflow
		if l.decode(b, &got); got != want {
			t.Fatalf("%+v\nwant %+v", got, want)
		}
	})
}

// A subflow that has moved on agrees with what it was, one whose figures come from
// elsewhere does not.
func TestIteratorAgrees(t *testing.T) {
	was := Subflow{
		Socket: Socket{Family: mptcp.FamilyINET, State: mptcp.StateEstablished,
			Local: netip.MustParseAddrPort("10.0.0.1:1"), Remote: netip.MustParseAddrPort("10.0.0.2:2")},
		MPTCP: SubflowInfo{TokenLocal: 5, LocalID: 1, Flags: SubflowJoinLocal},
		TCP: TCPInfo{
			BytesSent:     100,
			BytesReceived: 10,
			RTTMicros:     50,
			RTTVarMicros:  20,
			Cwnd:          10,
			LastAckRecvMS: 40_000,
		},
	}
	for name, tt := range map[string]struct {
		change func(*Subflow)
		want   bool
	}{
		"nothing":      {func(*Subflow) {}, true},
		"more sent":    {func(s *Subflow) { s.TCP.BytesSent += 9; s.TCP.RTTMicros = 3 }, true},
		"established":  {func(s *Subflow) { s.MPTCP.Flags |= SubflowFullyEstablished }, true},
		"less sent":    {func(s *Subflow) { s.TCP.BytesSent-- }, false},
		"nonsense":     {func(s *Subflow) { s.TCP.BytesReceived += 1 << 50 }, false},
		"another time": {func(s *Subflow) { s.TCP.RTTMicros++ }, false},
		"acknowledged": {func(s *Subflow) { s.TCP.LastAckRecvMS = 39_000 }, true},
		"a bit later":  {func(s *Subflow) { s.TCP.LastAckRecvMS += 300 }, true},
		"much later":   {func(s *Subflow) { s.TCP.LastAckRecvMS += 300_000 }, false},
		"another id":   {func(s *Subflow) { s.MPTCP.LocalID++ }, false},
		"another one":  {func(s *Subflow) { s.MPTCP.TokenLocal++ }, false},
		"no join":      {func(s *Subflow) { s.MPTCP.Flags = SubflowCapableLocal }, false},
	} {
		after := was
		tt.change(&after)
		if agree(&was, &after) != tt.want {
			t.Errorf("%s: want %v", name, tt.want)
		}
	}
}
