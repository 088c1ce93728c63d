package track

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"mptcpctl/mptcp"
)

// many is the number of connections of the benchmarks of memory.
const many = 1_000_000

// synthetic fills r with the connection number i: every other one is IPv6, each
// has a remote address of its own, and there are few local ones.
func synthetic(r *record, i, subflows int) {
	var remote4 [4]byte
	binary.BigEndian.PutUint32(remote4[:], 0x0b000000+uint32(i))
	local, remote := netip.AddrFrom4([4]byte{10, 0, byte(i % 4), 1}), netip.AddrFrom4(remote4)
	family := mptcp.FamilyINET
	if i%2 == 1 {
		remote16 := [16]byte{0: 0xfd, 1: 1}
		copy(remote16[12:], remote4[:])
		local, remote = netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(i % 4)}), netip.AddrFrom16(remote16)
		family = mptcp.FamilyINET6
	}
	*r = record{Connection: mptcp.Connection{
		Token: mptcp.Token(
			uint32(i) * 2654435761,
		), Family: family, Side: mptcp.SideServer, State: mptcp.StateEstablished,
		Local: netip.AddrPortFrom(
			local,
			443,
		), Remote: netip.AddrPortFrom(remote, uint16(i)), Since: time.Unix(1e9, int64(i)),
		Subflows: r.Subflows[:0],
	}, flags: coreCreated}
	for n := range subflows {
		s := mptcp.Subflow{
			Local:     r.Local,
			Remote:    r.Remote,
			Initial:   n == 0,
			LocalID:   mptcp.AddressID(n),
			RemoteID:  mptcp.AddressID(n),
			State:     mptcp.SubflowEstablished,
			TCP:       mptcp.StateEstablished,
			RTTMicros: 1000,
			BytesSent: uint64(i),
			Cwnd:      10,
		}
		if n > 0 {
			s.Remote = netip.AddrPortFrom(remote.Next(), uint16(i))
		}
		r.Subflows = append(r.Subflows, s)
	}
}

// resident returns the memory of the process that is in RAM, garbage collected.
func resident(tb testing.TB) int64 {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Skip(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); f[0] == "VmRSS:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	tb.Fatal("no VmRSS")
	return 0
}

// BenchmarkMemory holds a million connections in a tracker's table, with one state
// given out, and reports the resident bytes of each and the time of a full garbage
// collection.
func BenchmarkMemory(b *testing.B) {
	for _, shape := range []struct {
		name     string
		subflows int
		details  int
	}{
		{"core", 0, -1},
		{"initial", 1, -1},
		{"two", 2, -1},
		{"two-default", 2, 0},
		{"two-all-details", 2, many},
	} {
		b.Run(shape.name, func(b *testing.B) {
			for b.Loop() {
				before := resident(b)
				tracker := New(newFakeKernel(), &Config{Details: shape.details})
				for i := range many {
					synthetic(&tracker.rec, i, shape.subflows)
					tracker.table.insert(&tracker.rec)
				}
				state := tracker.State()
				b.ReportMetric(float64(resident(b)-before)/many, "B/connection")
				began := time.Now()
				runtime.GC()
				b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms/GC")
				if state.Len() != many {
					b.Fatal(state.Len())
				}
				runtime.KeepAlive(tracker)
			}
		})
	}
}

// BenchmarkApply applies connections that come and go, among a hundred thousand
// that stay.
func BenchmarkApply(b *testing.B) {
	tracker := New(newFakeKernel(), nil)
	for i := range 100_000 {
		synthetic(&tracker.rec, i, 1)
		tracker.table.insert(&tracker.rec)
	}
	now := time.Now()
	var batch []mptcp.Event
	for i := range 100 {
		e := created(1<<24 + i)
		c := closed(1<<24 + i)
		s := e
		s.Type, s.LocalID = mptcp.EventSubflowEstablished, 2
		setLocal(&s, ap("10.0.9.9:9"))
		e.Time, c.Time, s.Time = now, now, now
		batch = append(batch, e, s, c)
	}
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		tracker.apply(batch)
		for _, k := range tracker.checks.take(now.Add(time.Hour), 1<<20) {
			tracker.notThere(k)
		}
		events += len(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}

// BenchmarkState gives out a state after each change among a million connections.
func BenchmarkState(b *testing.B) {
	tracker := New(newFakeKernel(), nil)
	for i := range many {
		synthetic(&tracker.rec, i, 2)
		tracker.table.insert(&tracker.rec)
	}
	batch := []mptcp.Event{{Type: mptcp.EventAnnounced, Fields: mptcp.FieldToken}}
	i := 0
	for b.Loop() {
		i++
		batch[0].Token = mptcp.Token(uint32(i%many) * 2654435761)
		tracker.apply(batch)
		if tracker.State().Len() != many {
			b.Fatal("lost some")
		}
	}
}

// BenchmarkWalk makes all connections of a state.
func BenchmarkWalk(b *testing.B) {
	tracker := New(newFakeKernel(), nil)
	for i := range 10_000 {
		synthetic(&tracker.rec, i, 2)
		tracker.table.insert(&tracker.rec)
	}
	s := tracker.State()
	b.ReportAllocs()
	for b.Loop() {
		for c := range s.Connections() {
			if len(c.Subflows) != 2 {
				b.Fatal(c)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/connection")
}

// BenchmarkReconcile compares a hundred thousand connections with a dump of them.
func BenchmarkReconcile(b *testing.B) {
	k := newFakeKernel()
	n := k.namespace("")
	var r record
	for i := range 100_000 {
		synthetic(&r, i, 2)
		c := r.Connection
		c.Subflows = nil
		n.connections[c.Token] = &c
		for j, s := range r.Subflows {
			n.subflows = append(n.subflows, SubflowRow{Subflow: s, Token: c.Token, HasToken: true, Join: j > 0})
		}
	}
	snapshots := k.dump()
	source := &oneDump{fakeKernel: k, snapshots: snapshots}
	tracker := New(source, nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := tracker.reconcile(b.Context(), periodic); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/connection")
}

// oneDump gives the same dump again, at no cost.
type oneDump struct {
	*fakeKernel
	snapshots []Snapshot
}

func (o *oneDump) Snapshots(context.Context) ([]Snapshot, error) { return o.snapshots, nil }

// BenchmarkFinal is what the last figures of a subflow cost that come after its
// connection was found to be over, on a host that keeps many of those.
func BenchmarkFinal(b *testing.B) {
	t := New(newFakeKernel(), &Config{Keep: 1 << 14})
	peer := ap("10.0.0.2:80")
	figures := mptcp.Subflow{Remote: peer, BytesSent: 1000}
	for i := 0; b.Loop(); i++ {
		figures.Local = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(i >> 16)}), uint16(i))
		slot := t.table.insert(&record{Connection: mptcp.Connection{
			Token: mptcp.Token(i), Local: figures.Local, Remote: peer,
			Subflows: []mptcp.Subflow{{Local: figures.Local, Remote: peer, Initial: true}},
		}})
		t.end(slot, HowClosed, time.Time{})
		t.final(&EndedSubflow{Subflow: figures})
	}
}
