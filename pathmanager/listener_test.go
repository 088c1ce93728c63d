package pathmanager

import (
	"context"
	"encoding/binary"
	"io/fs"
	"net/netip"
	"slices"
	"testing"
	"time"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// anywhere is a listener's address with a port that the kernel chooses.
var anywhere = netip.AddrPortFrom(first, 0)

// types returns the types of events.
func types(all []mptcp.Event) []mptcp.EventType {
	var list []mptcp.EventType
	for _, e := range all {
		list = append(list, e.Type)
	}
	return list
}

// Both ends are here: each has its own token, and the server's is marked.
func TestEventsOfConnection(t *testing.T) { eachEngine(t, testEventsOfConnection) }

func testEventsOfConnection(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: engine})
	s := follow(t, l)
	before := time.Now()
	fd, addr := mptcpListener(t, ns, anywhere)
	if listenersAreHeard(t) {
		if e := s.next(); e.Type != mptcp.EventListenerCreated || e.Has(mptcp.FieldToken) {
			t.Errorf("%+v", e)
		} else if local, ok := e.Local(); !ok || local != addr {
			t.Errorf("listener at %v %v, want %v", local, ok, addr)
		}
	}
	p := connect(t, ns, fd, addr)
	p.talk()
	p.close()
	byToken := make(map[mptcp.Token][]mptcp.Event)
	for closed := 0; closed < 2; {
		e := s.next()
		byToken[e.Token] = append(byToken[e.Token], e)
		if e.Type == mptcp.EventClosed {
			closed++
		}
		if e.Time.Before(before) || e.Time.After(time.Now()) || e.Netns != "" {
			t.Errorf("time %v, netns %q", e.Time, e.Netns)
		}
	}
	want := []mptcp.EventType{mptcp.EventCreated, mptcp.EventEstablished, mptcp.EventClosed}
	servers := 0
	for token, events := range byToken {
		if !slices.Equal(types(events), want) || token == 0 {
			t.Errorf("token %v: %v, want %v", token, types(events), want)
			continue
		}
		end, _ := events[0].Remote()
		if events[0].Side() == mptcp.SideServer {
			servers++
			end, _ = events[0].Local()
		}
		if end != addr || events[2].Has(mptcp.FieldFamily) {
			t.Errorf("token %v: server's end %v, want %v; closed with %#x", token, end, addr, events[2].Fields)
		}
	}
	if len(byToken) != 2 || servers != 1 {
		t.Errorf("%d connections, %d of them at the server", len(byToken), servers)
	}
}

// An endpoint joins a subflow to a connection that is there already, and takes it
// away: on both sides.
func TestEventsOfEndpointSubflow(t *testing.T) { eachEngine(t, testEventsOfEndpointSubflow) }

func testEventsOfEndpointSubflow(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first, second)
	c := dial(t, ns)
	two := uint32(2)
	if err := c.SetLimits(t.Context(), LimitsUpdate{Subflows: &two, AddAddrAccepted: &two}); err != nil {
		t.Fatal(err)
	}
	fd, addr := mptcpListener(t, ns, netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	l := listen(t, ns, &ListenConfig{Engine: engine})
	s := follow(t, l)
	p := connect(t, ns, fd, netip.AddrPortFrom(first, addr.Port()))
	p.talk()
	s.find(mptcp.EventEstablished)
	s.find(mptcp.EventEstablished)
	if err := c.AddEndpoint(t.Context(), mptcp.Endpoint{ID: 4, Address: second, Flags: mptcp.FlagSubflow}); err != nil {
		t.Fatal(err)
	}
	up := [2]mptcp.Event{s.find(mptcp.EventSubflowEstablished), s.find(mptcp.EventSubflowEstablished)}
	client := slices.IndexFunc(up[:], func(e mptcp.Event) bool { return e.Source == second })
	if client < 0 || up[client].LocalID != 4 || up[1-client].RemoteID != 4 || up[0].Token == up[1].Token {
		t.Errorf("joined:\n%+v\n%+v", up[0], up[1])
	}
	if err := c.SetEndpointFlags(t.Context(), Selector{ID: 4}, mptcp.FlagBackup); err != nil {
		t.Fatal(err)
	}
	if e := s.find(mptcp.EventSubflowPriority); e.Backup != 1 || e.Destination != second {
		t.Errorf("the peer of the change sees %+v", e)
	}
	if err := c.RemoveEndpoint(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	assertRemoved(t, s, up[max(client, 0)])
	if l.Lost() != 0 || l.Refused() != 0 {
		t.Errorf("lost %d, refused %d", l.Lost(), l.Refused())
	}
}

// assertRemoved waits for the withdrawal of the joined subflow's address and the end
// of the subflow, in whatever order they come. (The other side tried to join from
// the endpoint too, and was refused: its end may come late.)
func assertRemoved(t *testing.T, s *stream, joined mptcp.Event) {
	t.Helper()
	seen := make(map[mptcp.EventType]mptcp.Event)
	for seen[mptcp.EventRemoved].Type == 0 || seen[mptcp.EventSubflowClosed].Type == 0 {
		e := s.next()
		if e.Type != mptcp.EventSubflowClosed || e.Source == joined.Source && e.Sport == joined.Sport &&
			e.Dport == joined.Dport {
			seen[e.Type] = e
		}
	}
	if e := seen[mptcp.EventRemoved]; e.RemoteID != joined.LocalID || e.Has(mptcp.FieldFamily) {
		t.Errorf("%+v", e)
	}
	if e := seen[mptcp.EventSubflowClosed]; e.Has(mptcp.FieldResetReason) || e.Has(mptcp.FieldError) {
		t.Errorf("an orderly end has an error: %+v", e)
	}
}

func TestEventAnnouncedBySignalEndpoint(t *testing.T) {
	eachEngine(t, testEventAnnouncedBySignalEndpoint)
}

func testEventAnnouncedBySignalEndpoint(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first, second)
	c := dial(t, ns)
	fd, addr := mptcpListener(t, ns, anywhere)
	s := follow(t, listen(t, ns, &ListenConfig{Engine: engine}))
	p := connect(t, ns, fd, addr)
	p.talk()
	s.find(mptcp.EventEstablished)
	s.find(mptcp.EventEstablished)
	if err := c.AddEndpoint(t.Context(), mptcp.Endpoint{ID: 6, Address: second, Port: 7777,
		Flags: mptcp.FlagSignal}); err != nil {
		t.Fatal(err)
	}
	// The kernel listens for such an endpoint itself, before it announces.
	if listenersAreHeard(t) {
		if e := s.find(mptcp.EventListenerCreated); e.Source != second || e.Sport != 7777 {
			t.Errorf("%+v", e)
		}
	}
	e := s.find(mptcp.EventAnnounced)
	if e.RemoteID != 6 || e.Destination != second || e.Dport != 7777 || e.Has(mptcp.FieldFamily) {
		t.Errorf("%+v", e)
	}
	if err := c.FlushEndpoints(t.Context()); err != nil {
		t.Fatal(err)
	}
	if listenersAreHeard(t) {
		s.find(mptcp.EventListenerClosed)
	}
}

// A connect that is refused has CLOSED, and no CREATED.
func TestClosedWithoutCreated(t *testing.T) { eachEngine(t, testClosedWithoutCreated) }

func testClosedWithoutCreated(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	s := follow(t, listen(t, ns, &ListenConfig{Engine: engine}))
	inside(t, ns, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 262)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, sockaddr(netip.AddrPortFrom(first, 9))); err != unix.ECONNREFUSED {
			t.Errorf("connect: %v", err)
		}
		return nil
	})
	if e := s.next(); e.Type != mptcp.EventClosed {
		t.Errorf("%+v", e)
	}
}

// forge returns a message that is the kernel's to the last byte.
func forge(f Family) []byte {
	e := mptcp.Event{Type: mptcp.EventClosed, Fields: mptcp.FieldToken, Token: 0xdeadbeef}
	msg := encodeEvent(&e)
	binary.NativeEndian.PutUint16(msg[4:], f.ID)
	return msg
}

// Root in the namespace can send to the group and to the listener's port: such
// messages are no events.
func TestForgedMessagesAreRefused(t *testing.T) { eachEngine(t, testForgedMessagesAreRefused) }

func testForgedMessagesAreRefused(t *testing.T, engine Engine) {
	for name, pktinfo := range map[string]bool{"group by address": false, "group by control message": true} {
		t.Run(name, func(t *testing.T) {
			ns := labtest.MPTCP(t)
			addAddresses(t, ns, first)
			tapped := 0
			l := listen(
				t,
				ns,
				&ListenConfig{Engine: engine, pktinfo: pktinfo, Tap: func(time.Time, int32, []byte) { tapped++ }},
			)
			s := follow(t, l)
			self, err := unix.Getsockname(l.socket.fd)
			if err != nil {
				t.Fatal(err)
			}
			port := self.(*unix.SockaddrNetlink).Pid
			inside(t, ns, func() error {
				fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				for _, to := range []unix.SockaddrNetlink{{Pid: port}, {Groups: l.socket.group.mask()},
					{Pid: port, Groups: l.socket.group.mask()}} {
					if err := unix.Sendto(fd, forge(l.socket.family), 0, &to); err != nil {
						return err
					}
				}
				return nil
			})
			heardListener(t, ns, anywhere)
			if e := s.next(); e.Type != mptcp.EventListenerCreated {
				t.Errorf("believed %+v", e)
			}
			if l.Refused() != 3 || tapped != 1 || l.Lost() != 0 {
				t.Errorf("refused %d of 3, tapped %d of 1, lost %d", l.Refused(), tapped, l.Lost())
			}
		})
	}
}

func TestTrust(t *testing.T) {
	kernel := unix.RawSockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << 8}
	for _, tt := range []struct {
		name string
		g    group
		from unix.RawSockaddrNetlink
		to   uint32
		want bool
	}{
		{"kernel", group{number: 9}, kernel, 0, true},
		{"process", group{number: 9}, unix.RawSockaddrNetlink{Family: unix.AF_NETLINK, Pid: 1, Groups: 1 << 8}, 0, false},
		{"unicast", group{number: 9}, unix.RawSockaddrNetlink{Family: unix.AF_NETLINK}, 0, false},
		{"other group", group{number: 10}, kernel, 0, false},
		{"other family", group{number: 9}, unix.RawSockaddrNetlink{Family: 1, Groups: 1 << 8}, 0, false},
		{"high group", group{number: 41, pktinfo: true}, kernel, 41, true},
		{"other high group", group{number: 41, pktinfo: true}, kernel, 9, false},
		{"process to high group", group{number: 41, pktinfo: true},
			unix.RawSockaddrNetlink{Family: unix.AF_NETLINK, Pid: 1}, 41, false},
	} {
		if got := tt.g.trusts(&tt.from, tt.to); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// Filtered events are dropped by the kernel: they neither arrive nor fill the
// buffer.
func TestFilteredEventsNeverArrive(t *testing.T) { eachEngine(t, testFilteredEventsNeverArrive) }

func testFilteredEventsNeverArrive(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{
		Engine: engine,
		Buffer: 4 << 10,
		Types:  []mptcp.EventType{mptcp.EventClosed, mptcp.EventCreated, mptcp.EventLost},
	})
	s := follow(t, l)
	fd, addr := mptcpListener(t, ns, anywhere)
	relisten(t, fd, 2000)
	if l.Lost() != 0 {
		t.Errorf("filtered events filled the buffer: %d lost", l.Lost())
	}
	p := connect(t, ns, fd, addr)
	p.talk()
	p.close()
	var got []mptcp.EventType
	for range 4 {
		got = append(got, s.next().Type)
	}
	slices.Sort(got)
	want := []mptcp.EventType{mptcp.EventCreated, mptcp.EventCreated, mptcp.EventClosed, mptcp.EventClosed}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Each subset of the types gives a filter that passes just that subset.
func TestFilterOfEachType(t *testing.T) { eachEngine(t, testFilterOfEachType) }

func testFilterOfEachType(t *testing.T, engine Engine) {
	labtest.NeedListenerEvents(t)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	for _, tt := range []struct {
		types []mptcp.EventType
		want  mptcp.EventType
	}{
		{[]mptcp.EventType{mptcp.EventListenerClosed}, mptcp.EventListenerClosed},
		{[]mptcp.EventType{1, 2, 3, 6, 7, 10, 11, 13, 15}, mptcp.EventListenerCreated},
		{mptcp.EventTypes(), mptcp.EventListenerCreated},
		{nil, mptcp.EventListenerCreated},
	} {
		s := follow(t, listen(t, ns, &ListenConfig{Engine: engine, Types: tt.types}))
		fd, _ := mptcpListener(t, ns, anywhere)
		_ = unix.Shutdown(fd, unix.SHUT_RDWR)
		if e := s.next(); e.Type != tt.want {
			t.Errorf("types %v: first %v, want %v", tt.types, e.Type, tt.want)
		}
	}
	if filterProgram(28, mptcp.EventTypes()) != nil || filterProgram(28, nil) != nil {
		t.Error("a filter that lets everything through is attached")
	}
}

// Number 0 is another namespace; the own one has none.
func TestEventsOfAllNamespaces(t *testing.T) {
	own, other := labtest.MPTCP(t), labtest.MPTCP(t)
	addAddresses(t, own, first)
	addAddresses(t, other, first)
	inside(t, own, func() error { return netlink.SetNetNsIdByFd(other.Fd(), 0) })
	var tapped []int32
	tap := func(_ time.Time, nsid int32, _ []byte) { tapped = append(tapped, nsid) }
	l := listen(t, own, &ListenConfig{AllNamespaces: true, Tap: tap})
	named := listen(t, own, &ListenConfig{AllNamespaces: true, pktinfo: true, Resolve: func(nsid int32) string {
		if nsid != 0 {
			t.Errorf("asked for the name of %d", nsid)
		}
		return "blue"
	}})
	alone := listen(t, own, nil)
	heardListener(t, other, anywhere)
	heardListener(t, own, anywhere)
	for _, tt := range []struct {
		l    *Listener
		want []string
	}{{l, []string{"nsid 0", ""}}, {named, []string{"blue", ""}}, {alone, []string{""}}} {
		s := follow(t, tt.l)
		for _, want := range tt.want {
			if e := s.next(); e.Type != mptcp.EventListenerCreated || e.Netns != want {
				t.Errorf("%v of %q, want %q", e.Type, e.Netns, want)
			}
		}
	}
	if !slices.Equal(tapped, []int32{0, OwnNamespace}) {
		t.Errorf("tapped %v", tapped)
	}
}

// All namespaces take one capability more than the own one. Once the group is
// joined none is needed.
func TestCapabilitiesOfListener(t *testing.T) {
	labtest.NeedListenerEvents(t)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	err := ns.Do(func() error {
		if err := keepCapabilities(unix.CAP_NET_ADMIN); err != nil {
			return err
		}
		_, err := Listen(&ListenConfig{AllNamespaces: true})
		assertRefusals(t, []refusal{{
			"all namespaces", err, fs.ErrPermission, unix.EPERM,
			"subscribe to mptcp events of all namespaces: operation not permitted",
		}})
		l, err := Listen(nil)
		if err != nil {
			return err
		}
		defer l.Close()
		if err := keepCapabilities(); err != nil {
			return err
		}
		mptcpListener(t, ns, anywhere)
		drain(t, l, 1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A loop that is left in the middle of a batch loses nothing.
func TestLoopLeftEarlyLosesNothing(t *testing.T) { eachEngine(t, testLoopLeftEarlyLosesNothing) }

func testLoopLeftEarlyLosesNothing(t *testing.T, engine Engine) {
	labtest.NeedListenerEvents(t)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	l := listen(t, ns, &ListenConfig{Engine: engine})
	fd, addr := mptcpListener(t, ns, anywhere)
	relisten(t, fd, 9)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 10 {
		for e, err := range l.Events(ctx) {
			if err != nil || e.Sport != addr.Port() {
				t.Fatalf("loop %d: %+v, %v", i, e, err)
			}
			break
		}
	}
	_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	if e := follow(t, l).next(); e.Type != mptcp.EventListenerClosed {
		t.Errorf("after ten events: %+v", e)
	}
}

// The messages that the tap gets decode to the events that the stream yields.
func TestTapGetsRawMessages(t *testing.T) { eachEngine(t, testTapGetsRawMessages) }

func testTapGetsRawMessages(t *testing.T, engine Engine) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	var tapped []mptcp.Event
	l := listen(t, ns, &ListenConfig{Engine: engine, Tap: func(at time.Time, _ int32, msg []byte) {
		var e mptcp.Event
		if err := DecodeEvent(msg, &e); err != nil {
			t.Error(err)
		}
		e.Time = at
		tapped = append(tapped, e)
	}})
	s := follow(t, l)
	fd, addr := mptcpListener(t, ns, anywhere)
	connect(t, ns, fd, addr).close()
	got := append(s.until(mptcp.EventClosed), s.find(mptcp.EventClosed))
	for i := range got {
		got[i].Late = 0 // on a busy host
	}
	if len(tapped) < len(got) || !slices.Equal(tapped[:len(got)-1], got[:len(got)-1]) {
		t.Errorf("tapped\n%v, got\n%v", types(tapped), types(got))
	}
}

// The default buffer holds far more than that of any other reader.
func TestBufferIsGranted(t *testing.T) {
	ns := labtest.MPTCP(t)
	l := listen(t, ns, nil)
	small := listen(t, ns, &ListenConfig{Buffer: 8 << 10})
	if small.Buffer() != 16<<10 || l.Buffer() < small.Buffer() || l.Buffer() > 2*DefaultBuffer {
		t.Errorf("buffers %d and %d", l.Buffer(), small.Buffer())
	}
	if l.Engine() != EngineNetlink || l.Family().Events != l.socket.group.number {
		t.Errorf("engine %v, family %+v", l.Engine(), l.Family())
	}
}
