package track

import (
	"fmt"

	"mptcpctl/mptcp"
	"mptcpctl/track/dump"
)

// mergeDepth says how much the kernel's answer about a connection says about its
// subflows.
type mergeDepth int

const (
	withoutSubflows mergeDepth = iota // nothing
	tentative                         // these exist, and there may be others
	confirmed                         // these exist, and there are no others
)

// fate says what takeIn did with the kernel's answer about a connection.
type fate int

const (
	added      fate = iota // the connection was not known
	replaced               // another connection had its token
	merged                 // the connection was known
	incomplete             // it was known, with subflows that the answer does not have
)

// joinIn gives a connection from the kernel its subflows, with the facts of its
// namespace.
func (t *Tracker) joinIn(c *mptcp.Connection, rows []SubflowRow) {
	f := &dump.Facts{}
	if n := findNamespace(t.namespaces, c.Netns); n != nil {
		f = n.facts
	}
	dump.Rows(c, rows, f)
}

// takeIn puts what the kernel says about a connection into the table. With announce, the
// fallback of a connection that is new here is reported. The caller holds mu.
func (t *Tracker) takeIn(c *mptcp.Connection, depth mergeDepth, announce bool) (uint32, fate) {
	t.delivery.begin()
	r := &t.rec
	slot, live := t.table.find(c.Netns, c.Token)
	what := added
	instance := t.archive.nextInstance(c.Netns, c.Token)
	if live {
		t.table.load(slot, r)
		if sameConnection(&r.Connection, c) {
			missing := t.merge(r, c, depth)
			t.table.update(slot, r)
			t.delivery.reportWaiting(t.table, slot)
			if missing {
				return slot, incomplete
			}
			return slot, merged
		}
		how := HowReplaced
		if r.flags&coreClosed != 0 {
			how = HowClosed
		}
		what, instance = replaced, r.instance+1
		t.end(slot, how, t.clock.now())
	}
	*r = record{Connection: *c, instance: instance}
	r.flags |= closedBefore(c)
	// A copy: the record's slice is overwritten later, and the caller keeps its own.
	r.Subflows = append([]mptcp.Subflow(nil), c.Subflows...)
	switch {
	case announce:
		if r.Fallback {
			t.fellBack(r, false)
		}
		for i := range r.Subflows {
			t.reveal(r, mptcp.SubflowUnknown, &r.Subflows[i])
		}
	case r.Fallback:
		r.flags |= coreUntold
	}
	slot = t.table.insert(r)
	t.delivery.reportWaiting(t.table, slot)
	return slot, what
}

// closedBefore returns coreClosed for a connection whose CLOSED was sent before the
// tracker listened: this end is closing, and no process holds the socket.
func closedBefore(c *mptcp.Connection) coreFlags {
	switch c.State {
	case mptcp.StateFinWait1, mptcp.StateFinWait2, mptcp.StateClosing, mptcp.StateLastAck:
		if c.Inode == 0 {
			return coreClosed
		}
	}
	return 0
}

// sameConnection reports whether the kernel's connection is the one that is held
// under its token.
func sameConnection(held, c *mptcp.Connection) bool {
	if held.Cookie != 0 && c.Cookie != 0 {
		return held.Cookie == c.Cookie
	}
	return held.Local == c.Local && held.Remote == c.Remote || dump.Unaddressed(c) || nascent(held)
}

// nascent reports whether the connection has no addresses yet.
func nascent(c *mptcp.Connection) bool {
	return dump.Unaddressed(c) && (c.State == mptcp.StateSynSent || c.State == mptcp.StateEstablished)
}

// merge updates the record with what the kernel says, derives deltas from what that
// reveals, and reports whether the record has subflows that the kernel did not show.
func (t *Tracker) merge(r *record, c *mptcp.Connection, depth mergeDepth) (missing bool) {
	held := r.Connection
	r.Connection = *c
	r.flags |= closedBefore(c)
	r.Since, r.FallbackCause = held.Since, held.FallbackCause
	r.Side = orSide(held.Side, c.Side)
	r.Fallback = held.Fallback || c.Fallback
	if !held.Pair.IsZero() {
		r.Pair = held.Pair // it never changes, and after a fallback the kernel does not tell it
	}
	if !dump.Unaddressed(&held) {
		r.Local, r.Remote = held.Local, held.Remote
	}
	if held.PathManager != "" {
		r.PathManager = held.PathManager // fixed when the socket was made
	}
	r.Subflows = held.Subflows
	if depth != withoutSubflows {
		missing = t.mergeSubflows(r, c.Subflows, depth == confirmed)
	}
	dump.CountBytes(&r.Connection)
	if r.Fallback && !held.Fallback {
		t.fellBack(r, r.flags&(coreCreated|coreEstablished) != 0)
	}
	return missing
}

// mergeSubflows replaces the subflows of the record by those of the kernel.
func (t *Tracker) mergeSubflows(r *record, rows []mptcp.Subflow, confirmed bool) (missing bool) {
	held := r.Subflows
	list := make([]mptcp.Subflow, 0, max(len(rows), cap(held)))
	for i := range held {
		switch {
		case findSubflow(rows, &held[i]) >= 0:
		case confirmed:
			t.vanished(r, &held[i])
		default:
			missing = true
			list = append(list, held[i])
		}
	}
	for i := range rows {
		row := rows[i]
		if row.Remote.Port() == 0 {
			continue // the kernel cleared it: the socket is being destroyed
		}
		before := mptcp.SubflowUnknown
		if j := findSubflow(held, &row); j >= 0 {
			before = held[j].State
		}
		up := row.State == mptcp.SubflowEstablished || row.State == mptcp.SubflowSilent
		if up && before == mptcp.SubflowStale && row.Backoff > 0 {
			row.State = mptcp.SubflowStale // until the peer acknowledges something
		}
		t.reveal(r, before, &row)
		list = append(list, row)
	}
	r.Subflows = list
	return missing
}

// vanished handles a subflow that ended without SF_CLOSED: a join that did not come up,
// a subflow that this end reset, or the last subflow of a connection that closes.
func (t *Tracker) vanished(r *record, s *mptcp.Subflow) {
	now := t.clock.now()
	if s.State == mptcp.SubflowPending {
		t.deriveOf(r, s, KindSubflowFailed, Likely, "its socket was waiting for an answer to the join, and is gone")
	}
	t.closeSubflow(r.key(), *s, nil, now)
}

// reveal derives deltas from the state of a subflow that the kernel shows, and the state
// before.
func (t *Tracker) reveal(r *record, before mptcp.SubflowState, s *mptcp.Subflow) {
	if s.State == before {
		return
	}
	switch s.State {
	case mptcp.SubflowPending:
		if before == mptcp.SubflowUnknown && !s.Initial && s.TCP == mptcp.StateSynSent {
			t.deriveOf(r, s, KindSubflowPending, Certain, fmt.Sprintf("its socket is in state %v", s.TCP))
		}
	case mptcp.SubflowSilent:
		if n := findNamespace(t.namespaces, r.Netns); n != nil {
			evidence, sure := n.facts.Silence(s)
			t.deriveOf(r, s, KindSubflowSilent, sure, evidence...)
		}
	}
}

// deriveOf makes a delta about a subflow, and has it wait for the record.
func (t *Tracker) deriveOf(r *record, s *mptcp.Subflow, k Kind, c Confidence, evidence ...string) {
	d := Delta{Kind: k, Name: k.String(), Evidence: evidence, Confidence: c, Event: t.eventOf(r, s)}
	t.delivery.wait(&d)
}

// eventOf returns the event of a derived delta: connection, subflow and time. The subflow
// may be nil.
func (t *Tracker) eventOf(r *record, s *mptcp.Subflow) mptcp.Event {
	e := mptcp.Event{Fields: mptcp.FieldToken, Token: r.Token, Netns: r.Netns, Time: t.clock.now()}
	if s == nil {
		return e
	}
	e.Fields |= mptcp.FieldFamily | mptcp.FieldLocalID | mptcp.FieldRemoteID | mptcp.FieldSport | mptcp.FieldDport
	e.LocalID, e.RemoteID = s.LocalID, s.RemoteID
	e.Source, e.Sport = s.Local.Addr(), s.Local.Port()
	e.Destination, e.Dport = s.Remote.Addr(), s.Remote.Port()
	e.Family = mptcp.FamilyINET
	if e.Source.Is4() {
		e.Fields |= mptcp.FieldSaddr4 | mptcp.FieldDaddr4
	} else {
		e.Family = mptcp.FamilyINET6
		e.Fields |= mptcp.FieldSaddr6 | mptcp.FieldDaddr6
	}
	if s.IfIndex != 0 {
		e.Fields |= mptcp.FieldIfIndex
		e.IfIndex = int32(s.IfIndex)
	}
	return e
}
