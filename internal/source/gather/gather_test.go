package gather_test

import (
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/internal/source/gather"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

var (
	client = netip.MustParseAddrPort("10.0.1.2:40000")
	server = netip.MustParseAddrPort("10.0.1.1:443")
)

// sockets are those of a host with one of each kind.
func sockets() *gather.Sockets {
	s := &gather.Sockets{
		Connections: []mptcp.Connection{{Token: 1, Local: client, Remote: server, Inode: 11}},
		Listeners: []gather.Listener{
			{Connection: mptcp.Connection{Local: server, Inode: 12}, Waiting: 3, Backlog: 5},
			{Connection: mptcp.Connection{Local: netip.AddrPortFrom(netip.IPv4Unspecified(), 0), Inode: 13}},
		},
	}
	subflows := uapi.ULPMPTCP
	for _, row := range []sockdiag.Subflow{
		{Socket: sockdiag.Socket{State: mptcp.StateEstablished, Local: client, Remote: server, Inode: 14}},
		{Socket: sockdiag.Socket{State: mptcp.StateListen, Local: server, Inode: 15}},
		{Socket: sockdiag.Socket{State: mptcp.StateListen, Local: netip.MustParseAddrPort("10.0.2.1:12400"), Inode: 13}, ULP: subflows},
		{Socket: sockdiag.Socket{State: mptcp.StateEstablished, Local: client, Remote: server, Inode: 16}, ULP: subflows, HasMPTCP: true},
		{Socket: sockdiag.Socket{State: mptcp.StateTimeWait, Local: client, Remote: server}},
	} {
		s.TCP.Take(&row)
	}
	return s
}

// Each socket comes to its place in the facts, with its processes and queues.
func TestSocketsTell(t *testing.T) {
	s := sockets()
	s.Bind()
	wanted := map[uint32]bool{}
	s.Inodes(wanted)
	if len(wanted) != 5 || wanted[13] {
		t.Errorf("inodes %v; that of a listener of the kernel's own is nobody's", wanted)
	}
	holder := []mptcp.Process{{PID: 7, Name: "nginx"}}
	s.Hold(map[uint32][]mptcp.Process{11: holder, 12: holder, 14: holder})
	var f doctor.Facts
	s.Tell(&f, &gather.Config{})
	if len(f.Connections) != 1 || !slices.Equal(f.Connections[0].Processes, holder) {
		t.Errorf("connections %+v", f.Connections)
	}
	if len(f.Listeners) != 2 || f.Listeners[0].Waiting != 3 || f.Listeners[0].MostWaiting != 5 ||
		f.Listeners[1].Local.Port() != 12400 ||
		f.Listeners[1].Inode != 0 {
		t.Errorf("listeners %+v", f.Listeners)
	}
	if len(f.PlainFlows) != 1 || !slices.Equal(f.PlainFlows[0].Processes, holder) || len(f.PlainListeners) != 1 ||
		len(f.Blackholed) != 1 {
		t.Errorf("plain %+v, listeners %+v, blackholed %+v", f.PlainFlows, f.PlainListeners, f.Blackholed)
	}
}

// The filter narrows connections, flows and plain listeners; listeners of MPTCP stay.
func TestSocketsTellWithFilter(t *testing.T) {
	s := sockets()
	var f doctor.Facts
	none := func(*mptcp.Connection) bool { return false }
	s.Tell(&f, &gather.Config{Match: none, Listen: none})
	if len(f.Connections)+len(f.PlainFlows)+len(f.PlainListeners)+len(f.Blackholed) > 0 || len(f.Listeners) != 2 {
		t.Errorf("got %+v", f)
	}
}

// Losses count, and connections that no event announced are older than the listening.
func TestHeardTell(t *testing.T) {
	since := time.Unix(100, 0)
	h := gather.Heard{Since: since, Earlier: map[mptcp.Token]bool{3: true}}
	h.Take(mptcp.Event{Type: mptcp.EventCreated, Token: 1, Time: since.Add(1)})
	h.Take(mptcp.Event{Type: mptcp.EventLost, Lost: 4, Time: since.Add(2)})
	f := doctor.Facts{Connections: []mptcp.Connection{{Token: 1}, {Token: 2}, {Token: 3}}}
	h.Tell(&f)
	if len(f.Events) != 1 || f.EventsLost != 4 || !f.EventsSince.Equal(since) ||
		!slices.Equal(f.EarlierThan, []mptcp.Token{2, 3}) {
		t.Errorf("%d events, %d lost, since %v, earlier %v", len(f.Events), f.EventsLost, f.EventsSince, f.EarlierThan)
	}
}

// Of too many events the newest stay, and the facts say since when.
func TestHeardKeepsTheNewest(t *testing.T) {
	h := gather.Heard{Since: time.Unix(0, 0)}
	for i := range gather.MostEvents + 3 {
		h.Take(mptcp.Event{Type: mptcp.EventAnnounced, Time: time.Unix(int64(i+1), 0)})
	}
	var f doctor.Facts
	h.Tell(&f)
	if len(f.Events) != gather.MostEvents || !f.EventsSince.Equal(time.Unix(3, 0)) ||
		!f.Events[0].Time.Equal(time.Unix(4, 0)) {
		t.Errorf("%d events since %v, the first of %v", len(f.Events), f.EventsSince, f.Events[0].Time)
	}
}

// A refusal is an answer in the kernel's words; what is not known is none.
func TestLookups(t *testing.T) {
	f := doctor.Facts{
		Connections: []mptcp.Connection{{
			Token: 1, Side: mptcp.SideClient, State: mptcp.StateEstablished, Local: client, Remote: server,
			Subflows: []mptcp.Subflow{
				{Initial: true, FullyEstablished: true, TCP: mptcp.StateEstablished, Local: client, Remote: server},
			},
		}},
		Endpoints: []mptcp.Endpoint{{ID: 1, Address: netip.MustParseAddr("10.0.2.2"), Flags: mptcp.FlagSubflow}},
	}
	if len(f.LookupsWanted()) == 0 {
		t.Fatal("the facts want no lookup")
	}
	for _, tt := range []struct {
		name string
		err  error
		want string // "" for no answer
	}{
		{"typed", &hostnet.Error{Op: "route lookup", Err: syscall.ENETUNREACH}, "network is unreachable"},
		{"bare", syscall.EACCES, "permission denied"},
		{"unknown", gather.ErrUnknown, ""},
	} {
		answers := gather.Lookups(
			&f,
			func(hostnet.LookupRequest) (hostnet.Route, error) { return hostnet.Route{}, tt.err },
		)
		if tt.want == "" && len(answers) > 0 ||
			tt.want != "" && (len(answers) != len(f.LookupsWanted()) || answers[0].Error != tt.want) {
			t.Errorf("%s: %+v", tt.name, answers)
		}
	}
}

// Behind the turn to another window the events of living connections still count, with
// whether the connection was created meanwhile; after a loss all are older.
func TestHeardTurns(t *testing.T) {
	since := time.Unix(100, 0)
	h := gather.Heard{Since: since, Earlier: map[mptcp.Token]bool{3: true, 4: true}}
	for _, token := range []mptcp.Token{1, 2} {
		h.Take(mptcp.Event{Type: mptcp.EventCreated, Token: token, Time: since.Add(1)})
	}
	alive := []mptcp.Connection{{Token: 1}, {Token: 3}}
	h.Turn(since.Add(10), alive)
	f := doctor.Facts{Connections: alive}
	h.Tell(&f)
	if len(f.Events) != 1 || f.Events[0].Token != 1 || !f.EventsSince.Equal(since) ||
		!slices.Equal(f.EarlierThan, []mptcp.Token{3}) {
		t.Errorf("events %+v since %v, earlier %v", f.Events, f.EventsSince, f.EarlierThan)
	}
	h.Take(mptcp.Event{Type: mptcp.EventLost, Lost: 4, Time: since.Add(11)})
	h.Turn(since.Add(20), alive)
	h.Tell(&f)
	if len(f.Events) != 1 || f.EventsLost != 0 || !f.EventsSince.Equal(since.Add(20)) ||
		!slices.Equal(f.EarlierThan, []mptcp.Token{1, 3}) {
		t.Errorf("after a loss: %d events, %d lost, since %v, earlier %v",
			len(f.Events), f.EventsLost, f.EventsSince, f.EarlierThan)
	}
}
