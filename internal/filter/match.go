package filter

import (
	"net/netip"
	"strings"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// truth is what is known of a statement. The order makes `and` the minimum, `or`
// the maximum, and `not` the mirror image.
type truth uint8

const (
	no truth = iota
	unknown
	yes
)

func known(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) not() truth { return yes - t }

// Connection reports whether the expression is true of the connection, as it is
// now.
func (e *Expr) Connection(c *mptcp.Connection) bool {
	if e == nil {
		return true
	}
	s := subject{connection: c, devices: e.devices}
	return s.judge(&e.root) == yes
}

// Listener reports whether the expression is true of a listener: a socket in the
// state listening, with a local address and no peer, token or subflow.
func (e *Expr) Listener(c *mptcp.Connection) bool {
	if e == nil {
		return true
	}
	s := subject{connection: c, listener: true, devices: e.devices}
	return s.judge(&e.root) == yes
}

// Event reports whether the expression is true of the event by itself.
func (e *Expr) Event(ev *mptcp.Event) bool { return e.EventOf(ev, nil) }

// EventOf reports whether the expression is true of the event, where the
// connection answers what the event does not carry; c may be nil. It allocates
// nothing.
func (e *Expr) EventOf(ev *mptcp.Event, c *mptcp.Connection) bool {
	if e == nil || ev.Type == mptcp.EventLost {
		return true
	}
	s := subject{event: ev, connection: c, listener: isListener(ev.Type), devices: e.devices}
	if s.listener {
		s.connection = nil
	}
	return s.judge(&e.root) == yes
}

// Delta reports whether the expression is true of what a tracker tells: an event of
// the kernel as [Expr.EventOf] judges it, or a derived one, which has a name of its
// own. A loss, a resync and what tells that deltas are missing always match.
func (e *Expr) Delta(d *track.Delta, c *mptcp.Connection) bool {
	if e == nil || d.Kind == track.KindOverflow || d.Kind == track.KindResync {
		return true
	}
	if d.Kind == track.KindEvent {
		return e.EventOf(&d.Event, c)
	}
	return e.Tells(d, c)
}

// Tells is like [Expr.Delta], with a loss or a resync that matches only where the
// expression is true of it, as of any other event: for what waits for something.
func (e *Expr) Tells(d *track.Delta, c *mptcp.Connection) bool {
	if d.Kind == track.KindOverflow {
		return false
	}
	if d.Kind == track.KindEvent && d.Event.Type != mptcp.EventLost {
		return e.EventOf(&d.Event, c)
	}
	if e == nil {
		return true
	}
	s := subject{event: &d.Event, derived: d.Kind, connection: c, devices: e.devices}
	return s.judge(&e.root) == yes
}

func isListener(t mptcp.EventType) bool {
	return t == mptcp.EventListenerCreated || t == mptcp.EventListenerClosed
}

// subject is what an expression is asked about: an event, a connection, or an
// event with its connection.
type subject struct {
	event      *mptcp.Event
	derived    track.Kind // of a derived event, else 0
	connection *mptcp.Connection
	listener   bool
	devices    func(ifindex int32) string
}

// judge works out a node.
func (s *subject) judge(n *node) truth {
	switch n.kind {
	case kindAnd:
		t := yes
		for i := 0; i < len(n.kids) && t != no; i++ {
			t = min(t, s.judge(&n.kids[i]))
		}
		return t
	case kindOr:
		t := no
		for i := 0; i < len(n.kids) && t != yes; i++ {
			t = max(t, s.judge(&n.kids[i]))
		}
		return t
	case kindNot:
		return s.judge(&n.kids[0]).not()
	case kindEvent, kindReason, kindErrno:
		if s.event == nil {
			return unknown
		}
		return s.eventOnly(n)
	}
	if s.listener {
		if t, ok := s.asListener(n); ok {
			return t
		}
	}
	if s.event != nil {
		if t := s.fromEvent(n); t != unknown {
			return t
		}
	}
	switch {
	case s.connection == nil:
		return unknown
	case s.event != nil && s.ofSubflow() && (n.kind == kindDevice || n.kind == kindBackup):
		return s.fromSubflow(n)
	}
	return fromConnection(n, s.connection)
}

// ofSubflow reports whether the event is about one subflow.
func (s *subject) ofSubflow() bool {
	switch s.derived {
	case 0:
		return ofSubflow(s.event.Type)
	case track.KindSubflowPending, track.KindSubflowFailed, track.KindSubflowSilent, track.KindSubflowStale:
		return true
	}
	return false
}

// fromSubflow answers from the one subflow that the event is about.
func (s *subject) fromSubflow(n *node) truth {
	l, _ := s.event.Local()
	r, _ := s.event.Remote()
	for i := range s.connection.Subflows {
		if f := &s.connection.Subflows[i]; f.Local == l && f.Remote == r {
			return known(n.subflow(f))
		}
	}
	return unknown
}

// eventOnly works out the terms that only an event can answer, and always does.
func (s *subject) eventOnly(n *node) truth {
	ev := s.event
	switch n.kind {
	case kindEvent:
		if s.derived != 0 {
			return known(firstDerived+uint64(s.derived) == n.number)
		}
		return known(uint64(ev.Type) == n.number)
	case kindReason:
		return known(ev.Has(mptcp.FieldResetReason) && uint64(ev.ResetReason) == n.number)
	}
	return known(ev.Has(mptcp.FieldError) && uint64(ev.Error) == n.number)
}

// asListener answers what is the same for all listeners.
func (s *subject) asListener(n *node) (truth, bool) {
	switch n.kind {
	case kindState:
		return known(stateSet(n.number).has(mptcp.StateListen)), true
	case kindToken, kindPair, kindFallback, kindBackup, kindID:
		return no, true
	case kindSubflows:
		return known(n.op.holds(0, n.number)), true
	case kindSide:
		return known(mptcp.Side(n.number) == mptcp.SideServer), true
	case kindAddress:
		return no, n.end == remote
	}
	return unknown, false
}

// fromEvent answers from what the event carries.
func (s *subject) fromEvent(n *node) truth {
	ev := s.event
	switch n.kind {
	case kindAddress:
		return n.eventAddress(ev)
	case kindToken:
		if ev.Has(mptcp.FieldToken) {
			return known(uint64(ev.Token) == n.number)
		}
	case kindNetns:
		return known(ev.Netns == n.text)
	case kindBackup:
		if ev.Has(mptcp.FieldBackup) && ev.Backup != 0 {
			return yes
		}
	case kindID:
		return n.eventID(ev)
	case kindSide:
		if side := ev.Side(); side != mptcp.SideUnknown {
			return known(uint64(side) == n.number)
		}
	case kindFamily:
		return n.eventFamily(ev)
	case kindDevice:
		if ev.Has(mptcp.FieldIfIndex) && s.devices != nil {
			return known(s.devices(ev.IfIndex) == n.text)
		}
	}
	return unknown
}

func (n *node) eventAddress(ev *mptcp.Event) truth {
	t := no
	if n.end != remote {
		t = n.eventEnd(ev, mptcp.FieldSaddr4|mptcp.FieldSaddr6, mptcp.FieldSport, ev.Source, ev.Sport)
	}
	if n.end != local && !isListener(ev.Type) {
		t = max(t, n.eventEnd(ev, mptcp.FieldDaddr4|mptcp.FieldDaddr6, mptcp.FieldDport, ev.Destination, ev.Dport))
	}
	return t
}

func (n *node) eventEnd(ev *mptcp.Event, hasAddr, hasPort mptcp.EventField, addr netip.Addr, port uint16) truth {
	t := yes
	if n.prefix.IsValid() {
		if ev.Fields&hasAddr == 0 {
			t = unknown
		} else {
			t = known(n.prefix.Contains(addr.Unmap().WithZone("")))
		}
	}
	if n.op != anything {
		if ev.Fields&hasPort == 0 {
			t = min(t, unknown)
		} else {
			t = min(t, known(n.op.holds(uint64(port), n.number)))
		}
	}
	return t
}

func (n *node) eventID(ev *mptcp.Event) truth {
	t := unknown
	if ev.Has(mptcp.FieldLocalID) {
		t = known(uint64(ev.LocalID) == n.number)
	}
	if ev.Has(mptcp.FieldRemoteID) {
		return max(t, known(uint64(ev.RemoteID) == n.number))
	}
	return max(t, unknown)
}

func (n *node) eventFamily(ev *mptcp.Event) truth {
	for _, a := range [...]netip.Addr{ev.Source, ev.Destination} {
		if a.IsValid() {
			return known(wireFamily(a) == mptcp.Family(n.number))
		}
	}
	return unknown
}

// wireFamily is the family of the packets: a v4-mapped address travels as IPv4.
func wireFamily(a netip.Addr) mptcp.Family { return mptcp.FamilyOf(a.Unmap()) }

// fromConnection answers from a connection and its subflows.
func fromConnection(n *node, c *mptcp.Connection) truth {
	switch n.kind {
	case kindState:
		return known(stateSet(n.number).has(c.State))
	case kindToken:
		return known(uint64(c.Token) == n.number)
	case kindPair:
		return known(strings.HasPrefix(c.Pair.String(), n.text))
	case kindFallback:
		return known(c.Fallback)
	case kindSubflows:
		return known(n.op.holds(uint64(c.SubflowsUp()), n.number))
	case kindProcess:
		return known(n.process(c.Processes))
	case kindNetns:
		return known(c.Netns == n.text)
	case kindSide:
		if c.Side == mptcp.SideUnknown {
			return unknown
		}
		return known(uint64(c.Side) == n.number)
	}
	if n.pair(c.Local, c.Remote) {
		return yes
	}
	for i := range c.Subflows {
		if n.subflow(&c.Subflows[i]) {
			return yes
		}
	}
	return no
}

// nameLen is how much of a process' name the kernel keeps.
const nameLen = 15

func (n *node) process(processes []mptcp.Process) bool {
	for i := range processes {
		p := &processes[i]
		if p.Name == n.text || len(p.Name) == nameLen && len(n.text) > nameLen && n.text[:nameLen] == p.Name {
			return true
		}
		if n.op == equal && n.number == uint64(p.PID) {
			return true
		}
	}
	return false
}

// pair reports whether the term is true of a pair of addresses.
func (n *node) pair(l, r netip.AddrPort) bool {
	switch n.kind {
	case kindAddress:
		return n.end != remote && n.addrPort(l) || n.end != local && n.addrPort(r)
	case kindFamily:
		return l.IsValid() && wireFamily(l.Addr()) == mptcp.Family(n.number)
	}
	return false
}

func (n *node) addrPort(a netip.AddrPort) bool {
	return a.IsValid() && n.op.holds(uint64(a.Port()), n.number) &&
		(!n.prefix.IsValid() || n.prefix.Contains(a.Addr().Unmap().WithZone("")))
}

// subflow reports whether the term is true of a subflow.
func (n *node) subflow(f *mptcp.Subflow) bool {
	switch n.kind {
	case kindDevice:
		return f.Device == n.text
	case kindBackup:
		return f.BackupLocal || f.BackupRemote
	case kindID:
		return uint64(f.LocalID) == n.number || uint64(f.RemoteID) == n.number
	}
	return n.pair(f.Local, f.Remote)
}
