package web

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// scenery is a kernel in which there is something to see: two devices whose subflows carry
// different amounts, a backup, a join under way, one that fails, and a fallback.
type scenery struct {
	*model
	began time.Time
	sizes []uint64 // bytes a second of each subflow, by its place in the list
}

// remotes are the peers of the first connections.
var remotes = []string{"198.51.100.7", "198.51.100.7", "203.0.113.20", "2001:db8:5::9", "192.0.2.44"}

func newScenery(connections int) *scenery {
	s := &scenery{model: newModel(), began: time.Now()}
	for i := range connections {
		s.addOne(i)
	}
	return s
}

func (s *scenery) addOne(i int) {
	remote := netip.AddrFrom4([4]byte{100, 64, byte(i / 256 % 40), byte(i)})
	if i < len(remotes) {
		remote = netip.MustParseAddr(remotes[i])
	}
	to := netip.AddrPortFrom(remote, 443)
	local := func(device byte) netip.AddrPort {
		if remote.Is6() {
			return netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::1", device)), uint16(10000+i))
		}
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, device, 1}), uint16(10000+i))
	}
	c := mptcp.Connection{
		Token: mptcp.Token(0x1000 + i), Family: mptcp.FamilyINET, Side: mptcp.SideClient, State: mptcp.StateEstablished,
		Local: local(0), Remote: to, Inode: uint32(5000 + i), Cookie: uint64(1 + i),
		Limits: mptcp.ConnectionLimits{Subflows: 1, SubflowsMax: 2},
	}
	fallback := i%50 == 4
	if fallback {
		c.Fallback, c.FallbackCause, c.Limits.Subflows = true, "MPCapableFallbackSYNACK", 0
	}
	s.connections = append(s.connections, c)
	for k := range byte(2) {
		if fallback && k > 0 {
			continue
		}
		f := mptcp.Subflow{
			Local: local(k), Remote: to, LocalID: mptcp.AddressID(k), State: mptcp.SubflowEstablished,
			TCP: mptcp.StateEstablished, FullyEstablished: true, Cookie: uint64(1_000_000 + 2*i + int(k)),
			RTTMicros: uint32(4000*(int(k)*3+1) + 97*(i%40)), RTTVarMicros: 300,
		}
		switch {
		case k == 1 && i%7 == 2:
			f.BackupLocal = true
		case k == 1 && i%9 == 1:
			f.State, f.TCP, f.RTTMicros, f.FullyEstablished = mptcp.SubflowPending, mptcp.StateSynSent, 0, false
		}
		s.subflows = append(s.subflows, track.SubflowRow{
			Subflow: f, Token: c.Token, HasToken: true, Join: k > 0, Requested: true,
		})
		size := uint64(0)
		if f.State == mptcp.SubflowEstablished && !f.BackupLocal {
			size = 3_000_000 / uint64(1+i) / uint64(1+2*k)
		}
		s.sizes = append(s.sizes, size)
	}
}

// carry lets the subflows carry what they do in the time that has passed.
func (s *scenery) carry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := make([]track.SubflowRow, len(s.subflows))
	for i, r := range s.subflows {
		t := time.Since(s.began).Seconds()
		n := float64(s.sizes[i]) * (t + 4*(1-math.Cos(t/6+float64(i%5)))) // it swings, and never falls
		r.BytesSent, r.BytesReceived = uint64(n/4), uint64(n)
		rows[i] = r
	}
	s.subflows = rows
}

func (s *scenery) Snapshots(ctx context.Context) ([]track.Snapshot, error) {
	s.carry()
	list, err := s.model.Snapshots(ctx)
	n := &list[0]
	n.Links = []track.LinkFact{
		{Index: 1, Name: "lo", Up: true, Carrier: true}, {Index: 2, Name: "enp0s31f6", Up: true, Carrier: true},
		{Index: 3, Name: "wlp1s0", Up: true, Carrier: true}, {Index: 4, Name: "wwan0", Up: true},
	}
	n.Addresses = nil
	for index, text := range map[uint32][]string{
		2: {"10.0.0.1", "2001:db8::1"}, 3: {"10.0.1.1", "2001:db8:1::1"}, 4: {"10.0.2.1"},
	} {
		for _, a := range text {
			n.Addresses = append(n.Addresses, track.AddressFact{Addr: netip.MustParseAddr(a), IfIndex: index})
		}
	}
	n.Endpoints = []mptcp.Endpoint{
		{ID: 1, Address: netip.MustParseAddr("10.0.1.1"), Flags: mptcp.FlagSubflow, IfIndex: 3},
		{ID: 2, Address: netip.MustParseAddr("2001:db8:1::1"), Flags: mptcp.FlagSubflow | mptcp.FlagFullmesh, IfIndex: 3},
		{ID: 3, Address: netip.MustParseAddr("10.0.2.1"), Flags: mptcp.FlagSubflow | mptcp.FlagBackup, IfIndex: 4},
	}
	return list, err
}

func (s *scenery) Sample(ctx context.Context, netns string, tokens []mptcp.Token) ([]track.SubflowRow, error) {
	s.carry()
	return s.model.Sample(ctx, netns, tokens)
}

// live has events happen for a while.
func (s *serving) live(t testing.TB, long time.Duration) {
	t.Helper()
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		for i := range 1 + time.Now().Second()%5 {
			e := s.prio(i)
			if to := s.connections[i].Remote.Addr(); to.Is4() {
				e.Destination = to
				s.batches <- []mptcp.Event{e}
			}
		}
	}
}

// refuse is the event of a join that the peer refused.
func (s *scenery) refuse(i int) mptcp.Event {
	e := s.prio(i)
	e.Type = mptcp.EventSubflowClosed
	e.Fields |= mptcp.FieldError
	e.Source, e.Error = netip.MustParseAddr("10.0.2.1"), 111
	e.Destination, e.Sport = s.connections[i].Remote.Addr(), 33333
	return e
}

// sceneryReport is what doctor says in the scenery.
func sceneryReport(context.Context) (any, error) {
	return json.RawMessage(`{"schema":1,"verdict":"warning","findings":[
{"rule":"D50","severity":"info","confidence":"certain","title":"the ip command is older than the kernel","subject":{},
 "evidence":["ip -V says iproute2-6.1.0, and the kernel is 6.18"],"fix":[]},
{"rule":"D21","severity":"warn","confidence":"certain","title":"a connection fell back to TCP",
 "subject":{"token":"00001004"},"evidence":["MPCapableFallbackSYNACK moved: the answer of 192.0.2.44 carries no MPTCP option, because the server does not speak MPTCP or a middlebox removes the option"],
 "fix":["mptcpctl probe 192.0.2.44 443"]},
{"rule":"D13","severity":"warn","confidence":"certain","title":"no route leads from the endpoint 10.0.2.1",
 "subject":{"endpoint":"10.0.2.1"},"evidence":["wwan0 has no carrier; the kernel does not start subflows from 10.0.2.1"],
 "fix":["ip link set wwan0 up"]}],"connections":[]}`), nil
}

// showing serves a scenery on a real socket, with processes that hold the sockets.
func showing(t testing.TB, connections int) *serving {
	t.Helper()
	s := newScenery(connections)
	tracker := track.New(s, &track.Config{Buffer: 1 << 15, Connections: true, Reconcile: 2 * time.Second})
	w := &world{model: s.model, tracker: tracker, server: New(Config{
		Tracker: tracker, Findings: sceneryReport, Metrics: metrics,
		Device: func(_ string, index int32) string { return map[int32]string{2: "enp0s31f6", 3: "wlp1s0"}[index] },
	})}
	holders := make(map[uint32][]mptcp.Process)
	for i := range connections {
		holders[uint32(5000+i)] = []mptcp.Process{{PID: 900 + i%6, Name: []string{"nginx", "rsync", "sshd"}[i%3]}}
	}
	tracker.SetProcesses(holders)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	deltas := tracker.Deltas(ctx)
	running.Go(func() {
		if err := tracker.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() {
		if err := w.server.Run(ctx, deltas); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	await.True(t, "the scenery", func() bool { return tracker.State().Len() == connections })
	w.batches <- []mptcp.Event{s.refuse(0)}
	return answering(t, w)
}
