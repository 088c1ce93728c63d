package ledger

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"mptcpctl/mptcp"
)

// notes is a Network that writes down what it is asked to do. Joins from or to an
// address in absent fail at once.
type notes struct {
	lines  []string
	absent []netip.Addr
	made   int
}

func (n *notes) Connect(j Join) (int, netip.Addr, bool) {
	from := "any"
	if j.Local.IsValid() {
		from = j.Local.String()
	} else {
		j.Local = netip.MustParseAddr("10.0.0.1")
	}
	if slices.Contains(n.absent, j.Local) || slices.Contains(n.absent, j.Remote.Addr()) {
		n.lines = append(n.lines, fmt.Sprintf("fail %s > %s", from, j.Remote.Addr()))
		return 0, j.Local, false
	}
	n.lines = append(n.lines, fmt.Sprintf("join %s > %s", from, j.Remote.Addr()))
	n.made++
	return n.made, j.Local, true
}

func (n *notes) Announce(a Announcement) bool {
	word := "announce"
	if a.Echo {
		word = "echo"
	}
	n.lines = append(n.lines, fmt.Sprintf("%s %s id %d", word, a.At.Addr(), a.ID))
	return true
}

func (n *notes) Withdraw(ids []mptcp.AddressID) {
	n.lines = append(n.lines, fmt.Sprintf("withdraw %v", ids))
}

func (n *notes) Close(f Flow) {
	n.lines = append(n.lines, fmt.Sprintf("close %s > %s", f.Local.Addr(), f.Remote.Addr()))
}

func endpoint(address string, flags mptcp.EndpointFlags) mptcp.Endpoint {
	return mptcp.Endpoint{Address: netip.MustParseAddr(address), Flags: flags}
}

// born returns the manager of a connection from 10.0.0.1 to 10.9.0.1 that has just been
// fully established, before its worker ran.
func born(subflows, accepted uint32, endpoints ...mptcp.Endpoint) *Manager {
	s := &Settings{Limits: mptcp.Limits{Subflows: subflows, AddAddrAccepted: accepted}}
	for _, e := range endpoints {
		s.Add(e, 8)
	}
	m := Birth(s, RulesOf("6.18"), netip.MustParseAddrPort("10.0.0.1:999"), netip.MustParseAddrPort("10.9.0.1:80"))
	m.FullyEstablish()
	return m
}

func workAll(m *Manager, n Network) {
	for m.Busy() {
		m.Work(n)
	}
}

func TestManager(t *testing.T) {
	const subflow, signal, mesh = mptcp.FlagSubflow, mptcp.FlagSignal, mptcp.FlagSubflow | mptcp.FlagFullmesh
	announced := Announcement{ID: 4, At: netip.MustParseAddrPort("10.9.0.2:0")}
	for _, c := range []struct {
		name    string
		manager *Manager
		absent  string
		then    func(*Manager, *notes)
		want    []string
		extra   int
		used    int
	}{
		{
			name: "a subflow from each endpoint but the first address",
			manager: born(4, 0, endpoint("10.0.0.1", subflow), endpoint("10.0.0.2", subflow), endpoint("10.0.0.3",
				subflow)),
			want: []string{"join 10.0.0.2 > 10.9.0.1", "join 10.0.0.3 > 10.9.0.1"}, extra: 2, used: 2,
		},
		{
			name: "the limit", manager: born(1, 0, endpoint("10.0.0.2", subflow), endpoint("10.0.0.3", subflow)),
			want: []string{"join 10.0.0.2 > 10.9.0.1"}, extra: 1, used: 1,
		},
		{
			name:    "what fails at once is used up, and leaves its place",
			manager: born(1, 0, endpoint("10.0.0.2", subflow), endpoint("10.0.0.3", subflow)),
			absent:  "10.0.0.2",
			want:    []string{"fail 10.0.0.2 > 10.9.0.1", "join 10.0.0.3 > 10.9.0.1"}, extra: 1, used: 2,
		},
		{
			name:    "another family is used up without a join",
			manager: born(2, 0, endpoint("fd00::2", subflow)), used: 1,
		},
		{
			name: "flags that make no subflow by themselves",
			manager: born(2, 0, endpoint("10.0.0.2", mptcp.FlagFullmesh), endpoint("10.0.0.3", mptcp.FlagLaminar),
				endpoint("10.0.0.4", mptcp.FlagBackup)),
		},
		{
			name:    "a limit of 0 at birth is not looked at again when it is raised",
			manager: born(0, 0, endpoint("10.0.0.2", subflow)),
			then:    func(m *Manager, n *notes) { m.Settings.Limits.Subflows = 2; m.JoinUp(); workAll(m, n) },
		},
		{
			name: "until any endpoint is added", manager: born(0, 0, endpoint("10.0.0.2", subflow)),
			then: func(m *Manager, n *notes) {
				m.Settings.Limits.Subflows = 2
				e, _ := m.Settings.Add(endpoint("10.0.0.9", mptcp.FlagBackup), 8)
				m.EndpointAdded(n, e)
			},
			want: []string{"join 10.0.0.2 > 10.9.0.1"}, extra: 1, used: 1,
		},
		{
			name:    "a join that ends makes room for the next, and is not made again",
			manager: born(1, 0, endpoint("10.0.0.2", subflow), endpoint("10.0.0.3", subflow)),
			then:    func(m *Manager, n *notes) { m.Ended(1); workAll(m, n) },
			want:    []string{"join 10.0.0.2 > 10.9.0.1", "join 10.0.0.3 > 10.9.0.1"}, extra: 1, used: 2,
		},
		{
			name: "delete and add makes it again", manager: born(1, 0, endpoint("10.0.0.2", subflow)),
			then: func(m *Manager, n *notes) {
				m.Ended(1)
				e, _ := m.Settings.Remove(1)
				m.EndpointRemoved(n, e)
				e, _ = m.Settings.Add(e, 8)
				m.EndpointAdded(n, e)
			},
			want: []string{"join 10.0.0.2 > 10.9.0.1", "join 10.0.0.2 > 10.9.0.1"}, extra: 1, used: 1,
		},
		{
			name: "an announced address is not accepted by default", manager: born(2, 0),
			then: func(m *Manager, n *notes) { m.HearAnnouncement(n, announced); workAll(m, n) },
			want: []string{"echo 10.9.0.2 id 4"},
		},
		{
			name: "one that is accepted is joined by the route", manager: born(2, 1),
			then: func(m *Manager, n *notes) { m.HearAnnouncement(n, announced); workAll(m, n) },
			want: []string{"echo 10.9.0.2 id 4", "join any > 10.9.0.2"}, extra: 1,
		},
		{
			name:    "from all fullmesh endpoints, the first address too",
			manager: born(4, 1, endpoint("10.0.0.1", mesh), endpoint("10.0.0.2", mptcp.FlagFullmesh)),
			then:    func(m *Manager, n *notes) { m.HearAnnouncement(n, announced); workAll(m, n) },
			want:    []string{"echo 10.9.0.2 id 4", "join 10.0.0.1 > 10.9.0.2", "join 10.0.0.2 > 10.9.0.2"}, extra: 2,
		},
		{
			name:    "or from one laminar endpoint",
			manager: born(4, 1, endpoint("10.0.0.2", mptcp.FlagLaminar), endpoint("10.0.0.3", mptcp.FlagLaminar)),
			then:    func(m *Manager, n *notes) { m.HearAnnouncement(n, announced); workAll(m, n) },
			want:    []string{"echo 10.9.0.2 id 4", "join 10.0.0.2 > 10.9.0.2"}, extra: 1,
		},
		{
			name:    "the C-flag uses endpoints up without a join",
			manager: denied(born(2, 1, endpoint("10.0.0.2", subflow))), used: 1,
		},
		{
			name:    "and where nothing is accepted, an announced address is used after all",
			manager: denied(born(2, 0, endpoint("10.0.0.2", subflow))),
			then:    func(m *Manager, n *notes) { m.HearAnnouncement(n, announced); workAll(m, n) },
			want:    []string{"echo 10.9.0.2 id 4", "join 10.0.0.2 > 10.9.0.2"}, extra: 1, used: 1,
		},
		{
			name:    "announced one at a time, the next after an echo",
			manager: born(2, 0, endpoint("10.0.0.2", signal), endpoint("10.0.0.3", signal)),
			then: func(m *Manager, n *notes) {
				m.HearEcho(Announcement{ID: 1, At: netip.MustParseAddrPort("10.0.0.2:0")})
				workAll(m, n)
			},
			want: []string{"announce 10.0.0.2 id 1", "announce 10.0.0.3 id 2"},
		},
		{
			name:    "only the first where the limit of subflows is 0",
			manager: born(0, 0, endpoint("10.0.0.2", signal), endpoint("10.0.0.3", signal)),
			then: func(m *Manager, n *notes) {
				m.HearEcho(Announcement{ID: 1, At: netip.MustParseAddrPort("10.0.0.2:0")})
				workAll(m, n)
			},
			want: []string{"announce 10.0.0.2 id 1"},
		},
		{
			name: "fullmesh goes to each address with a subflow", manager: born(4, 1, endpoint("10.0.0.2", mesh)),
			then: func(m *Manager, n *notes) {
				m.HearAnnouncement(n, announced)
				m.Settings.Limits.Subflows = 8
				workAll(m, n)
				e, _ := m.Settings.Add(endpoint("10.0.0.3", mesh), 8)
				m.EndpointAdded(n, e)
			},
			want: []string{
				"join 10.0.0.2 > 10.9.0.1", "echo 10.9.0.2 id 4", "join 10.0.0.2 > 10.9.0.2",
				"join 10.0.0.3 > 10.9.0.1", "join 10.0.0.3 > 10.9.0.2",
			}, extra: 4, used: 2,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &notes{}
			if c.absent != "" {
				n.absent = []netip.Addr{netip.MustParseAddr(c.absent)}
			}
			workAll(c.manager, n)
			if c.then != nil {
				c.then(c.manager, n)
			}
			if !slices.Equal(n.lines, c.want) {
				t.Errorf("it did\n  %q\nwant\n  %q", n.lines, c.want)
			}
			if c.manager.Extra != c.extra || c.manager.LocalUsed != c.used {
				t.Errorf("extra %d used %d, want %d and %d", c.manager.Extra, c.manager.LocalUsed, c.extra, c.used)
			}
		})
	}
}

func denied(m *Manager) *Manager {
	m.Denied = true
	return m
}

func TestSettings(t *testing.T) {
	s := &Settings{}
	add := func(e mptcp.Endpoint, want mptcp.AddressID) {
		t.Helper()
		got, ok := s.Add(e, 4)
		if !ok {
			got.ID = 0
		}
		if got.ID != want {
			t.Errorf("add %v: id %d, want %d", e.Address, got.ID, want)
		}
	}
	signal := endpoint("10.0.0.3", mptcp.FlagSignal)
	signal.Port = 99
	fixed := endpoint("10.0.0.4", mptcp.FlagSubflow)
	fixed.ID = 9
	add(endpoint("10.0.0.2", mptcp.FlagSubflow), 1)
	add(endpoint("10.0.0.2", mptcp.FlagSubflow), 0) // EEXIST
	add(signal, 2)
	add(fixed, 9)
	add(fixed, 0)                                    // EBUSY
	add(endpoint("10.0.0.5", mptcp.FlagSubflow), 10) // ids go on from the highest
	add(endpoint("10.0.0.6", mptcp.FlagSubflow), 0)  // ERANGE
	if s.Endpoints[0].ID != 2 {
		t.Errorf("an endpoint with a port comes first, not %v", s.Endpoints[0])
	}
	if _, changed, ok := s.Change(1, mptcp.FlagFullmesh); !ok || changed != mptcp.FlagFullmesh {
		t.Errorf("fullmesh: changed %v, %v", changed, ok)
	}
	if _, _, ok := s.Change(2, mptcp.FlagFullmesh); ok {
		t.Error("signal and fullmesh were taken together")
	}
}
