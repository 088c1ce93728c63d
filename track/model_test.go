package track

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"mptcpctl/mptcp"
	"mptcpctl/track/dump"
)

// model plays actions of a kernel on the fake one, with the events that Linux was
// measured to send for them and none that it does not.
type model struct {
	*fakeKernel
	n       *fakeNamespace
	port    uint16
	sent    uint64               // events given to the socket, those for which it had no room included
	closing map[mptcp.Token]bool // the application closed it, the kernel still has it
}

// tokens are few, so that they are used again.
const modelTokens = 5

func newModel(room int) *model {
	k := newFakeKernel()
	k.room = room
	return &model{fakeKernel: k, n: k.namespace(""), port: 1000, closing: make(map[mptcp.Token]bool)}
}

func (m *model) event(kind mptcp.EventType, token mptcp.Token, r *SubflowRow, more ...func(*mptcp.Event)) {
	e := mptcp.Event{Type: kind, Fields: mptcp.FieldToken, Token: token}
	if r != nil {
		setLocal(&e, r.Local)
		setRemote(&e, r.Remote)
		e.LocalID, e.RemoteID = r.LocalID, r.RemoteID
		e.Fields |= mptcp.FieldLocalID | mptcp.FieldRemoteID
	}
	for _, f := range more {
		f(&e)
	}
	m.sent++
	m.emit(e)
}

func (m *model) of(token mptcp.Token) (list []SubflowRow) {
	for _, r := range m.n.subflows {
		if r.Token == token {
			list = append(list, r)
		}
	}
	return list
}

// act does one thing, as far as the number's connection lets it.
func (m *model) act(choice uint32) {
	token := mptcp.Token(choice/32%modelTokens + 1)
	pick := int(choice / 1024)
	c := m.n.connections[token]
	if c == nil {
		m.actWithout(choice%32, token)
		return
	}
	if m.closing[token] {
		m.actClosing(choice%32, token, c)
		return
	}
	rows := m.of(token)
	var r *SubflowRow
	if len(rows) > 0 {
		r = &rows[pick%len(rows)]
	}
	m.actAlive(choice%32, token, c, r)
}

func (m *model) actAlive(what uint32, token mptcp.Token, c *mptcp.Connection, r *SubflowRow) {
	refused := func(e *mptcp.Event) { e.Error, e.Fields = 111, e.Fields|mptcp.FieldError }
	switch what {
	case 0, 1, 2, 3:
		j := m.join(token, c, "jJ", mptcp.StateEstablished)
		m.event(mptcp.EventSubflowEstablished, token, &j)
	case 4, 5:
		m.join(token, c, "j", mptcp.StateSynSent)
	case 6: // rejected by the peer
		j := m.join(token, c, "jJ", mptcp.StateEstablished)
		m.n.forgetSubflow(token, j.Local, j.Remote)
		m.event(mptcp.EventSubflowEstablished, token, &j)
		m.event(mptcp.EventSubflowClosed, token, &j)
	case 7: // refused
		j := m.join(token, c, "j", mptcp.StateSynSent)
		m.n.forgetSubflow(token, j.Local, j.Remote)
		m.event(mptcp.EventSubflowClosed, token, &j, refused)
	case 8, 9, 10:
		m.closeSubflow(token, r, true)
	case 11: // reset by this end
		m.closeSubflow(token, r, false)
	case 12: // a pending join comes up
		if r != nil && r.TCP == mptcp.StateSynSent {
			m.n.forgetSubflow(token, r.Local, r.Remote)
			r.TCP, r.Requested = mptcp.StateEstablished, true
			m.n.subflows = append(m.n.subflows, *r)
			m.event(mptcp.EventSubflowEstablished, token, r)
		}
	case 13:
		c.Fallback = true
	case 14: // the peer fast-closes
		m.destroy(token, false)
	case 15, 16:
		c.State = mptcp.StateFinWait1
		m.closing[token] = true
		m.event(mptcp.EventClosed, token, nil)
	case 17, 18:
		m.event(mptcp.EventClosed, token, nil)
		m.destroy(token, what == 18)
	case 19:
		m.event(
			mptcp.EventEstablished,
			token,
			&SubflowRow{Subflow: mptcp.Subflow{Local: c.Local, Remote: c.Remote}},
			marked(c.Local.Addr().Is4()),
		)
	case 20: // a kernel before the fix repeats itself
		zero := SubflowRow{Subflow: mptcp.Subflow{Local: ap("0.0.0.0:5"), Remote: ap("0.0.0.0:0")}}
		m.event(mptcp.EventSubflowClosed, token, &zero)
	case 21:
		m.n.hidden[token] = !m.n.hidden[token]
	case 22:
		if r != nil {
			m.event(mptcp.EventSubflowPriority, token, r)
		}
	}
}

// actClosing is what can happen between CLOSED and the end.
func (m *model) actClosing(what uint32, token mptcp.Token, c *mptcp.Connection) {
	switch {
	case what < 8:
		m.destroy(token, what < 4)
	case what < 12:
		c.State = mptcp.StateFinWait2
	case what < 20:
		m.event(mptcp.EventAnnounced, token, nil)
	}
}

// actWithout is what can happen with a token that no connection has.
func (m *model) actWithout(what uint32, token mptcp.Token) {
	switch {
	case what < 12:
		m.connect(token, what%2 == 0)
	case what == 12: // a handshake that fell back, which no event tells of
		c := m.newConnection(token, true)
		c.Fallback = true
	case what == 13: // a connect that is refused
		m.event(mptcp.EventClosed, token, nil)
	case what == 14: // late
		m.event(mptcp.EventAnnounced, token, nil)
	case what == 15:
		r := row(token, "10.0.3.1:9", "10.0.1.2:80", "jJ", 3, 0)
		m.event(mptcp.EventSubflowPriority, token, &r)
	}
}

// newConnection makes a client's connection over IPv4, or a server's over IPv6.
func (m *model) newConnection(token mptcp.Token, client bool) *mptcp.Connection {
	m.port++
	local, remote, flags := netip.AddrPortFrom(netip.MustParseAddr("10.0.1.1"), m.port), ap("10.0.1.2:80"), "mM"
	if !client {
		local, remote, flags = ap("[fd00::1]:80"), netip.AddrPortFrom(netip.MustParseAddr("fd00::2"), m.port), "M"
	}
	c := connection(token, local.String(), remote.String())
	c.Family = mptcp.FamilyOf(local.Addr())
	c.Cookie = uint64(m.port)
	m.n.connections[token] = &c
	m.n.subflows = append(m.n.subflows, row(token, local.String(), remote.String(), flags, 0, 0))
	return &c
}

func (m *model) connect(token mptcp.Token, client bool) {
	c := m.newConnection(token, client)
	r := SubflowRow{Subflow: mptcp.Subflow{Local: c.Local, Remote: c.Remote}}
	m.event(mptcp.EventCreated, token, &r, marked(client))
	if !client {
		m.event(mptcp.EventEstablished, token, &r, marked(client))
	}
}

// marked marks the side as kernels up to 6.17 do.
func marked(client bool) func(*mptcp.Event) {
	return func(e *mptcp.Event) {
		e.Fields |= mptcp.FieldServerSide
		if !client {
			e.ServerSide = 1
		}
	}
}

func (m *model) join(token mptcp.Token, c *mptcp.Connection, flags string, tcp mptcp.SocketState) SubflowRow {
	m.port++
	j := row(token, "10.0.2.1:1", c.Remote.String(), flags, 2, 0)
	if c.Local.Addr().Is6() {
		j.Local, j.RemoteID = ap("[fd00::3]:1"), 3
	}
	j.Local, j.TCP = netip.AddrPortFrom(j.Local.Addr(), m.port), tcp
	m.n.subflows = append(m.n.subflows, j)
	return j
}

func (m *model) closeSubflow(token mptcp.Token, r *SubflowRow, told bool) {
	if r == nil {
		return
	}
	m.n.forgetSubflow(token, r.Local, r.Remote)
	if told {
		m.event(mptcp.EventSubflowClosed, token, r)
	}
}

// destroy makes the kernel forget the connection; a subflow may stay behind.
func (m *model) destroy(token mptcp.Token, orphan bool) {
	rows := m.of(token)
	delete(m.n.connections, token)
	delete(m.closing, token)
	delete(m.n.hidden, token)
	m.n.subflows = slices.DeleteFunc(m.n.subflows, func(r SubflowRow) bool { return r.Token == token })
	if orphan && len(rows) > 0 {
		rows[0].TCP = mptcp.StateLastAck
		rows[0].Token |= 1 << 31 // its token is no connection's; a new one may come up meanwhile
		m.n.subflows = append(m.n.subflows, rows[0])
	}
}

// outcome is what a run of the model came to.
type outcome struct {
	want, got []mptcp.Connection
	problems  []string
}

// playModel runs actions against a tracker. With lossAtEnd, one more event is lost
// when all is done, and otherwise the tracker is left to its periodic dumps.
func playModel(t *testing.T, actions []uint32, room int, lossAtEnd bool) (o outcome) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(room)
		config := &Config{Reconcile: -1, Buffer: 1 << 20}
		if !lossAtEnd {
			config.Reconcile = 5 * time.Second
		}
		for _, a := range actions[:len(actions)/4] {
			m.act(a) // before the tracker dumps; the socket is subscribed already
		}
		for _, a := range actions[len(actions)/4 : len(actions)/3] {
			before := m.duringDump
			m.duringDump = func() {
				if before != nil {
					before()
				}
				m.act(a)
			}
		}
		tracker := New(m, config)
		stream := tracker.Deltas(t.Context())
		stop := start(t, tracker)
		for _, a := range actions[len(actions)/3:] {
			if a%7 == 0 {
				time.Sleep(time.Duration(a/7%3000) * time.Millisecond)
				synctest.Wait()
			}
			m.mu.Lock()
			m.act(a)
			m.mu.Unlock()
		}
		m.mu.Lock()
		clear(m.n.hidden)
		if lossAtEnd {
			m.lost++
			m.sent++
			m.emit()
		}
		m.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		o = compareToKernel(m, tracker)
		if err := stop(); err != nil {
			o.problems = append(o.problems, err.Error())
		}
		told, lost := uint64(0), uint64(0)
		for d := range stream {
			switch {
			case d.Kind == KindOverflow:
				o.problems = append(o.problems, "overflow")
			case d.Kind == KindEvent && d.Event.Type == mptcp.EventLost:
				lost += d.Event.Lost
			case d.Kind == KindEvent:
				told++
			}
		}
		if told+lost != m.sent {
			o.problems = append(o.problems, fmt.Sprintf("%d events told and %d lost of %d", told, lost, m.sent))
		}
	})
	return o
}

func compareToKernel(m *model, tracker *Tracker) (o outcome) {
	m.mu.Lock()
	o.want = Join(m.dump()[0])
	m.mu.Unlock()
	s := tracker.State()
	o.got = slices.SortedFunc(s.Connections(), dump.CompareConnections)
	for i := range o.got {
		c := &o.got[i]
		if c.Side != mptcp.SideUnknown && (c.Side == mptcp.SideClient) != c.Local.Addr().Is4() {
			o.problems = append(o.problems, fmt.Sprintf("%v is taken for the %v", c.Token, c.Side))
		}
		c.Since, c.FallbackCause, c.Side = time.Time{}, "", mptcp.SideUnknown // a dump knows less
	}
	for i := range o.want {
		o.want[i].Side = mptcp.SideUnknown
	}
	if n := s.Counts(); n.Connections != len(o.got) {
		o.problems = append(o.problems, fmt.Sprintf("%d connections counted, %d shown", n.Connections, len(o.got)))
	}
	return o
}

func (o *outcome) check(t interface{ Fatalf(string, ...any) }) {
	options := cmp.Options{
		cmpopts.EquateComparable(netip.AddrPort{}),
		cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(mptcp.Subflow{}, "FullyEstablished"),
	}
	if d := cmp.Diff(o.want, o.got, options); d != "" {
		t.Fatalf("the state is not the kernel's (-kernel +tracker):\n%s", d)
	}
	for _, p := range o.problems {
		t.Fatalf("%s", p)
	}
}

// After a loss and the resync that follows it, the state is the kernel's: whatever
// was lost, late, repeated, or passed over by dumps. And each event is told or
// counted as lost.
func TestStateIsTheKernelsAfterALoss(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		actions := rapid.SliceOfN(rapid.Uint32Max(1<<16), 1, 80).Draw(r, "actions")
		o := playModel(t, actions, rapid.SampledFrom([]int{0, 2, 10}).Draw(r, "room"), true)
		o.check(r)
	})
}

// Without a loss at the end, the periodic dumps come to the same.
func TestStateIsTheKernelsAfterAPeriodicDump(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		actions := rapid.SliceOfN(rapid.Uint32Max(1<<16), 1, 80).Draw(r, "actions")
		o := playModel(t, actions, rapid.SampledFrom([]int{0, 2, 10}).Draw(r, "room"), false)
		o.check(r)
	})
}
