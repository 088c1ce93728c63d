package ledger

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"mptcpctl/mptcp"
)

// pair is a connection of two managers with what is under way between them. All that
// may happen next is a step; exploring the steps in every order gives the states that
// the kernels may come to.
type pair struct {
	ends   [2]*Manager // client, server
	wire   [2][]packet // to each end, in order
	dead   [2][]int    // subflows that have ended, and that a worker is still to close
	late   [2][]int    // joins of the peer whose next packet may come, or never
	again  [2][]packet // announcements that came while the last one was in work: sent again some time
	asked  [2]bool     // an early announcement is still to be answered by a worker
	lonely bool        // the server's program has not accepted the connection yet: joins fail
	first  bool        // the client's first acknowledgement is still to come
	made   int
	port   uint16
	source func(end int, to netip.Addr) netip.Addr // what a route chooses
	here   func(end int, addr netip.Addr) bool
}

type packet struct {
	kind     packetKind
	what     Announcement
	ids      []mptcp.AddressID
	flow     int
	from, to netip.AddrPort
	early    bool // the answer may come before the worker that sent it has finished
}

type packetKind uint8

const (
	packetAnnounce packetKind = iota
	packetWithdraw
	packetJoin
	packetUp
	packetClosed
)

// ephemeral stands for the port that a join leaves from: nobody listens there.
const ephemeral = 60000

// answers reports whether the packet answers something that this end sent.
func (k *packet) answers() bool {
	return k.kind == packetUp || k.kind == packetAnnounce && k.what.Echo
}

// end is the Network of one end.
type end struct {
	p *pair
	i int
}

func (p *pair) clone() *pair {
	c := *p
	for i := range 2 {
		c.ends[i] = p.ends[i].Clone()
		c.wire[i], c.dead[i], c.late[i] = slices.Clone(p.wire[i]), slices.Clone(p.dead[i]), slices.Clone(p.late[i])
		c.again[i] = slices.Clone(p.again[i])
	}
	return &c
}

func (p *pair) send(to int, k packet) { p.wire[to] = append(p.wire[to], k) }

func (e end) Connect(j Join) (int, netip.Addr, bool) {
	p := e.p
	from := j.Local
	if !from.IsValid() {
		from = p.source(e.i, j.Remote.Addr())
	}
	if p.lonely && e.i == 1 || !from.IsValid() || !p.here(e.i, from) || !p.source(e.i, j.Remote.Addr()).IsValid() {
		return 0, from, false
	}
	p.made++
	id := p.made*2 + e.i
	local := j.LocalID
	if !j.Local.IsValid() {
		local = p.ends[e.i].localID(netip.AddrPortFrom(from, 0))
	}
	p.send(1-e.i, packet{
		kind: packetJoin, flow: id, ids: []mptcp.AddressID{local},
		from: netip.AddrPortFrom(from, ephemeral), to: j.Remote,
	})
	return id, from, true
}

func (e end) Announce(a Announcement) bool {
	if a.At.Port() != 0 && a.At.Addr().Is6() && !a.Echo {
		return false
	}
	e.p.send(1-e.i, packet{kind: packetAnnounce, what: a})
	return true
}

func (e end) Withdraw(ids []mptcp.AddressID) {
	e.p.send(1-e.i, packet{kind: packetWithdraw, ids: ids})
}

func (e end) Close(f Flow) { e.p.send(1-e.i, packet{kind: packetClosed, flow: f.ID}) }

// listens reports whether joins to the address can be taken.
func (p *pair) listens(i int, to netip.AddrPort) bool {
	if !p.here(i, to.Addr()) {
		return false
	}
	if i == 1 && to.Port() == p.port {
		return true
	}
	return slices.ContainsFunc(p.ends[i].Settings.Endpoints, func(e mptcp.Endpoint) bool {
		return e.Port != 0 && e.Port == to.Port() && e.Address == to.Addr()
	})
}

func (p *pair) deliver(i int) {
	k := p.wire[i][0]
	p.wire[i] = p.wire[i][1:]
	m, n := p.ends[i], end{p, i}
	before := len(p.wire[1-i])
	defer func() {
		for j := before; j < len(p.wire[1-i]); j++ {
			p.wire[1-i][j].early = k.early && k.kind != packetClosed
		}
		if k.early && k.kind == packetAnnounce && !k.what.Echo && m.todo&taskAnnounced != 0 {
			p.asked[i] = true
		}
	}()
	if i == 0 {
		m.FullyEstablishOnce()
	}
	switch k.kind {
	case packetAnnounce:
		if k.what.Echo {
			m.HearEcho(k.what)
		} else if !m.HearAnnouncement(n, k.what) {
			p.again[i] = append(p.again[i], k)
		}
	case packetWithdraw:
		m.HearWithdrawal(k.ids)
	case packetJoin:
		p.join(i, k)
	case packetUp:
		m.Joined(k.flow, k.ids[0])
		m.JoinUp()
	case packetClosed:
		p.dead[i] = append(p.dead[i], k.flow)
	}
}

// FullyEstablishOnce establishes the connection unless it is.
func (m *Manager) FullyEstablishOnce() {
	if !m.Established {
		m.FullyEstablish()
	}
}

// resend sends an announcement again, if it still stands.
func (p *pair) resend(i int) {
	k := p.again[i][0]
	p.again[i] = p.again[i][1:]
	if slices.Contains(p.ends[1-i].sent, k.what.At) {
		p.wire[i] = append(p.wire[i], k)
	}
}

func (p *pair) join(i int, k packet) {
	if !p.listens(i, k.to) || !p.ends[i].Take(k.flow, k.to, k.from, k.ids[0]) {
		p.send(1-i, packet{kind: packetClosed, flow: k.flow})
		return
	}
	id := p.ends[i].localID(k.to)
	p.send(1-i, packet{kind: packetUp, flow: k.flow, ids: []mptcp.AddressID{id}})
	p.late[i] = append(p.late[i], k.flow)
}

func (p *pair) worker(i int) {
	m := p.ends[i]
	before, pending := len(p.wire[1-i]), m.Pending
	m.Work(end{p, i})
	for j := before; j < len(p.wire[1-i]); j++ {
		k := &p.wire[1-i][j]
		k.early = pending && !m.Pending || p.asked[i] && k.kind == packetAnnounce && k.what.Echo
	}
	p.asked[i] = false
	if m.Busy() {
		return
	}
	dead := p.dead[i]
	p.dead[i] = nil
	for _, id := range dead {
		m.Ended(id)
	}
}

// steps returns the states that may be next; final is whether the state may stay.
func (p *pair) steps() (next []*pair, final bool) {
	final = true
	step := func(f func(*pair)) {
		c := p.clone()
		f(c)
		next = append(next, c)
	}
	if p.lonely {
		final = false
		step(func(c *pair) { c.lonely = false })
	}
	if p.first {
		final = false
		step(func(c *pair) { c.first = false; c.ends[0].FullyEstablishOnce() })
	}
	for i := range 2 {
		if len(p.wire[i]) > 0 {
			final = false
			step(func(c *pair) { c.deliver(i) })
			if k := p.wire[i][0]; k.early && !p.ends[i].Pending && k.answers() {
				step(func(c *pair) { c.deliver(i); c.ends[i].Hurry() })
			}
		}
		if p.ends[i].Busy() || len(p.dead[i]) > 0 {
			final = false
			step(func(c *pair) { c.worker(i) })
		}
		if len(p.again[i]) > 0 {
			step(func(c *pair) { c.resend(i) })
		}
		if len(p.late[i]) > 0 && p.ends[i].Pending && p.ends[i].todo&taskNext == 0 {
			step(func(c *pair) { c.late[i] = c.late[i][1:]; c.ends[i].JoinUp() })
		}
	}
	return next, final
}

// mostStates bounds an exploration.
const mostStates = 200_000

// settle returns the states in which the pairs may come to rest.
func settle(start []*pair) (rest []*pair, complete bool) {
	seen := map[string]bool{}
	todo := slices.Clone(start)
	var key []byte
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		key = p.appendKey(key[:0])
		if seen[string(key)] {
			continue
		}
		if len(seen) == mostStates {
			return rest, false
		}
		seen[string(key)] = true
		next, final := p.steps()
		if final {
			rest = append(rest, p)
		}
		todo = append(todo, next...)
	}
	return rest, true
}

// appendKey writes all that makes the state what it is.
func (p *pair) appendKey(b []byte) []byte {
	for i := range 2 {
		m := p.ends[i]
		b = append(b, byte(m.Extra), byte(m.LocalUsed), byte(m.Announced), byte(m.Accepted), byte(m.todo))
		b = append(b, byte(m.initialID))
		for _, f := range []bool{
			m.lostFirst, m.AcceptAddresses, m.AcceptSubflows, m.Pending, m.Established, m.accounted,
		} {
			b = append(b, byte('0'))
			if f {
				b[len(b)-1] = '1'
			}
		}
		for _, w := range m.taken {
			b = binary.BigEndian.AppendUint64(b, w)
		}
		b = fmt.Appendf(b, "%v %v %v", m.received, m.removed, m.sent)
		for _, e := range m.Settings.Endpoints {
			b = append(b, byte(e.ID), byte(e.Flags))
		}
		for _, f := range m.Flows {
			b = append(b, byte(f.ID), byte(f.LocalID), byte(f.RemoteID), '/')
		}
		for _, k := range p.wire[i] {
			b = append(b, byte(k.kind), byte(k.flow), byte(k.what.ID))
			b = fmt.Appendf(b, "%v", k.ids)
			if k.what.Echo {
				b = append(b, 'e')
			}
			if k.early {
				b = append(b, '<')
			}
		}
		b = append(b, '|')
		for _, d := range p.dead[i] {
			b = append(b, byte(d))
		}
		for _, k := range p.again[i] {
			b = append(b, '&', byte(k.what.ID))
		}
		b = append(b, '|', byte(len(p.late[i])))
		if p.asked[i] {
			b = append(b, 'a')
		}
	}
	if p.lonely {
		b = append(b, '?')
	}
	if p.first {
		b = append(b, '!')
	}
	return b
}

// shape is what both kernels show of a state: the counts of mptcp_info, and the
// subflows.
func (p *pair) shape() string {
	return p.ends[0].shape() + "  ||  " + p.ends[1].shape()
}

func (m *Manager) shape() string {
	var flows []string
	for _, f := range m.Flows {
		flows = append(flows, shapeOfFlow(f.Local.Addr(), f.Remote.Addr(), f.LocalID, f.RemoteID))
	}
	return shapeOf(m.Extra, m.LocalUsed, m.Announced, m.Accepted, flows)
}

func shapeOfFlow(local, remote netip.Addr, localID, remoteID mptcp.AddressID) string {
	return fmt.Sprintf("%s(%d)>%s(%d)", local, localID, remote, remoteID)
}

func shapeOf(extra, used, announced, accepted int, flows []string) string {
	sort.Strings(flows)
	return fmt.Sprintf("extra %d used %d announced %d accepted %d: %s",
		extra, used, announced, accepted, strings.Join(flows, " "))
}
