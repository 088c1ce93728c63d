package web

import (
	"context"
	"iter"
	"net/netip"
	"sync"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// model is a kernel that holds what a test puts into it.
type model struct {
	mu          sync.Mutex
	connections []mptcp.Connection
	subflows    []track.SubflowRow
	batches     chan []mptcp.Event
}

func newModel() *model { return &model{batches: make(chan []mptcp.Event, 64)} }

func (m *model) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case b := <-m.batches:
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

func (m *model) Snapshots(context.Context) ([]track.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return []track.Snapshot{{
		Time: time.Now(), PathManager: "kernel", Connections: m.connections, Subflows: m.subflows,
		Links: []track.LinkFact{
			{Index: 2, Name: "eth0", Up: true, Carrier: true},
			{Index: 3, Name: "wlan<0>", Up: true, Carrier: true},
		},
		Addresses: []track.AddressFact{
			{Addr: netip.MustParseAddr("10.0.0.1"), IfIndex: 2},
			{Addr: netip.MustParseAddr("10.0.1.1"), IfIndex: 3},
		},
		Endpoints: []mptcp.Endpoint{
			{ID: 1, Address: netip.MustParseAddr("10.0.1.1"), Flags: mptcp.FlagSubflow, IfIndex: 3},
		},
		Limits: mptcp.Limits{Subflows: 2, AddAddrAccepted: 1},
	}}, nil
}

func (m *model) Lookup(_ context.Context, _ string, tokens []mptcp.Token) (found []mptcp.Connection, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range tokens {
		for _, c := range m.connections {
			if c.Token == t {
				found = append(found, c)
			}
		}
	}
	return found, nil
}

func (m *model) Sample(_ context.Context, _ string, tokens []mptcp.Token) (rows []track.SubflowRow, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range tokens {
		for _, r := range m.subflows {
			if r.Token == t {
				rows = append(rows, r)
			}
		}
	}
	return rows, nil
}

func (m *model) Namespace(context.Context, string) (*track.Snapshot, error) { return nil, nil }

func (m *model) Counters(context.Context, string) (track.Counters, error) {
	return track.Counters{"MPCapableSYNTX": 7, "MPCapableFallbackSYNACK": 1, "MPCurrEstab": 2}, nil
}

// add puts n connections of two subflows each into the kernel.
func (m *model) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		i := len(m.connections)
		token := mptcp.Token(0x1000 + i)
		remote := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), 443)
		var locals [2]netip.AddrPort
		for k := range locals {
			locals[k] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(k), 1}), uint16(10000+i))
		}
		m.connections = append(m.connections, mptcp.Connection{
			Token: token, Family: mptcp.FamilyINET, Side: mptcp.SideClient, State: mptcp.StateEstablished,
			Local: locals[0], Remote: remote, Inode: uint32(5000 + i), Cookie: uint64(1 + i), BytesSent: 1000,
		})
		for k, local := range locals {
			m.subflows = append(m.subflows, track.SubflowRow{
				Subflow: mptcp.Subflow{
					Local:            local,
					Remote:           remote,
					LocalID:          mptcp.AddressID(k),
					State:            mptcp.SubflowEstablished,
					TCP:              mptcp.StateEstablished,
					FullyEstablished: true,
					Cookie: uint64(
						1000000 + 2*i + k,
					), RTTMicros: uint32(1000 * (k + 1)), BytesSent: uint64(500 * (k + 1)), BytesReceived: 100,
				},
				Token: token, HasToken: true, Join: k > 0, Requested: true,
			})
		}
	}
}

// prio is an event that changes nothing, of the connection with that number.
func (m *model) prio(i int) mptcp.Event {
	return mptcp.Event{
		Type:   mptcp.EventSubflowPriority,
		Fields: mptcp.FieldToken | mptcp.FieldFamily | mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport | mptcp.FieldBackup,
		Token: mptcp.Token(
			0x1000 + i,
		), Family: mptcp.FamilyINET, Source: netip.MustParseAddr("10.0.1.1"), Destination: netip.MustParseAddr("192.0.2.1"),
		Sport: uint16(10000 + i), Dport: 443, Time: time.Now(),
	}
}

// world is a model with a tracker that has read it, and a server.
type world struct {
	*model
	tracker *track.Tracker
	server  *Server
}

func newWorld(t testing.TB, connections int, c Config) *world {
	t.Helper()
	w := &world{model: newModel()}
	w.add(connections)
	w.tracker = track.New(w.model, &track.Config{Buffer: 1 << 15, Connections: true})
	c.Tracker = w.tracker
	w.server = New(c)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	deltas := w.tracker.Deltas(ctx)
	running.Go(func() {
		if err := w.tracker.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() {
		if err := w.server.Run(ctx, deltas); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	await.True(
		t,
		"the first state",
		func() bool { return w.server.Ready() == nil && w.tracker.State().Len() == connections },
	)
	return w
}

// newIdleTracker returns a tracker that has never read anything.
func newIdleTracker() *track.Tracker { return track.New(newModel(), nil) }
