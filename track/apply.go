package track

import (
	"fmt"
	"net/netip"
	"time"

	"mptcpctl/mptcp"
)

// soon is how long a closed connection is given before the kernel is asked whether
// it has gone. It lets many be asked for at once.
const soon = 20 * time.Millisecond

// rejectedWithin is how short a join's life must be, with no error to end it, to
// be taken for a peer that accepted it and thought better of it.
const rejectedWithin = 5 * time.Millisecond

// apply takes a batch of events.
func (t *Tracker) apply(batch []mptcp.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range batch {
		t.applyOne(&batch[i])
	}
	t.touch()
}

func (t *Tracker) applyOne(e *mptcp.Event) {
	switch e.Type {
	case mptcp.EventLost:
		t.lost += e.Lost
		t.missed += e.Lost
		t.tell(&Delta{Name: e.Type.String(), Key: mptcp.Key{Netns: e.Netns}, Event: *e})
		return
	case mptcp.EventListenerCreated, mptcp.EventListenerClosed:
		t.applyListener(e)
		return
	}
	t.events++
	if !e.Has(mptcp.FieldToken) {
		t.tell(&Delta{Name: e.Type.String(), Key: mptcp.Key{Netns: e.Netns}, Event: *e})
		return
	}
	if e.Type == mptcp.EventCreated {
		t.applyCreated(e)
		return
	}
	slot, live := t.table.find(e.Netns, e.Token)
	if !live {
		t.applyUnknown(e)
		return
	}
	t.out = t.out[:0]
	switch e.Type {
	case mptcp.EventEstablished:
		t.applyEstablished(slot, e)
	case mptcp.EventClosed:
		t.table.writable.core.at(slot).flags |= coreClosed
		t.check(e, soon).closedAt = e.Time
	case mptcp.EventSubflowEstablished:
		t.applySubflowEstablished(slot, e)
	case mptcp.EventSubflowClosed:
		t.applySubflowClosed(slot, e)
	case mptcp.EventSubflowPriority:
		t.applyPriority(slot, e)
	case mptcp.EventAnnounced:
		t.lookForJoins(e)
	}
	t.note(slot, &Delta{Name: e.Type.String(), Event: *e})
	t.tellOut(slot)
}

// tell gives a delta to the streams.
func (t *Tracker) tell(d *Delta) { t.streams.push(d) }

// note tells a delta of a live connection and keeps it in its history. The record
// of the connection must be written before.
func (t *Tracker) note(slot uint32, d *Delta) {
	c := t.table.writable.core.at(slot)
	d.Key = mptcp.Key{Netns: t.table.locals.at(c.local).netns, Token: mptcp.Token(c.token), Instance: uint32(c.instance)}
	c.history = t.history.add(d, c.history)
	t.tell(d)
}

// tellOut notes the derived deltas that were put aside.
func (t *Tracker) tellOut(slot uint32) {
	for i := range t.out {
		t.note(slot, &t.out[i])
	}
	t.out = t.out[:0]
}

func (t *Tracker) applyListener(e *mptcp.Event) {
	t.events++
	if n := findNamespace(t.namespaces, e.Netns); n != nil && e.Has(mptcp.FieldSport) {
		// Of the facts only the tracker reads this one: no state sees it change.
		if e.Type == mptcp.EventListenerCreated {
			n.facts.listening[e.Sport]++
		} else {
			n.facts.listening[e.Sport]--
		}
	}
	t.tell(&Delta{Name: e.Type.String(), Key: mptcp.Key{Netns: e.Netns}, Event: *e})
}

// side returns which side of a new connection this host is. Kernels that mark the
// server's leave the client's unmarked from 6.18 on: once a mark was seen, its
// absence means something.
func (t *Tracker) side(e *mptcp.Event) mptcp.Side {
	side := e.Side()
	switch {
	case side != mptcp.SideUnknown:
		t.marksServer = true
	case t.marksServer:
		side = mptcp.SideClient
	}
	return side
}

// applyCreated takes a new connection in. The dump may have shown it already, and
// the token may be that of one that is over.
func (t *Tracker) applyCreated(e *mptcp.Event) {
	local, _ := e.Local()
	remote, _ := e.Remote()
	instance := t.nextInstance(e.Netns, e.Token)
	r := &t.rec
	if slot, live := t.table.find(e.Netns, e.Token); live {
		t.table.load(slot, r)
		r.address(local, remote)
		if r.Local == local && r.Remote == remote && r.flags&(coreCreated|coreClosed) == 0 {
			t.created(slot, r, e)
			return
		}
		if r.Local == local && r.Remote == remote && r.flags&coreClosed == 0 {
			t.note(slot, &Delta{Name: e.Type.String(), Event: *e})
			return
		}
		how := HowReplaced
		if r.flags&coreClosed != 0 {
			how = HowClosed
		}
		instance = r.instance + 1
		t.end(slot, how, e.Time)
	}
	t.checks.forget(identity{e.Netns, e.Token})
	*r = record{instance: instance, flags: coreCreated, Connection: mptcp.Connection{
		Token: e.Token, Netns: e.Netns, Family: e.Family, Side: t.side(e), State: mptcp.StateEstablished,
		Local: local, Remote: remote, Since: e.Time, Subflows: r.Subflows[:0],
	}}
	if n := findNamespace(t.namespaces, e.Netns); n != nil {
		r.PathManager = n.snapshot.PathManager
	} else {
		t.check(e, soon) // with it the namespace is looked at
	}
	r.Subflows = append(r.Subflows, mptcp.Subflow{
		Local: local, Remote: remote, Initial: true, State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished,
	})
	slot := t.table.insert(r)
	t.note(slot, &Delta{Name: e.Type.String(), Event: *e})
	t.doubt(e)
}

// created notes CREATED of a connection that a dump has shown already. Where that was
// the first, what became of the connection since is news too.
func (t *Tracker) created(slot uint32, r *record, e *mptcp.Event) {
	t.out = t.out[:0]
	if r.flags&coreUntold != 0 {
		t.fellBack(r, true)
	}
	r.flags = r.flags&^coreUntold | coreCreated
	r.Side, r.Since = orSide(r.Side, t.side(e)), e.Time
	t.table.update(slot, r)
	t.note(slot, &Delta{Name: e.Type.String(), Event: *e})
	t.tellOut(slot)
}

// address gives a connection the addresses that an event tells, where the dump did not.
func (r *record) address(local, remote netip.AddrPort) {
	if nascent(&r.Connection) && r.flags&coreClosed == 0 {
		r.Local, r.Remote = local, remote
	}
}

func orSide(a, b mptcp.Side) mptcp.Side {
	if a != mptcp.SideUnknown {
		return a
	}
	return b
}

func (t *Tracker) applyEstablished(slot uint32, e *mptcp.Event) {
	r := &t.rec
	t.table.load(slot, r)
	local, _ := e.Local()
	remote, _ := e.Remote()
	r.address(local, remote)
	if local != r.Local || remote != r.Remote {
		t.check(e, soon).sample = true // of another connection with the token
		return
	}
	r.flags |= coreEstablished
	r.Side = orSide(r.Side, t.side(e))
	t.table.update(slot, r)
	t.lookForJoins(e)
}

// applyUnknown handles an event of a token that no live connection has. It makes
// none: the connection is over, or the kernel must say what it is.
func (t *Tracker) applyUnknown(e *mptcp.Event) {
	d := Delta{Name: e.Type.String(), Key: mptcp.Key{Netns: e.Netns, Token: e.Token}, Event: *e}
	over, known := t.endedLast[identity{e.Netns, e.Token}]
	if !known {
		t.tell(&d)
		c := t.check(e, soon)
		c.sample = true
		if e.Type == mptcp.EventClosed {
			c.closedAt, c.orphan = e.Time, !e.Time.Before(t.overlap)
		}
		return
	}
	d.Key = over.Key
	for i := len(t.ended) - 1; i >= 0; i-- {
		if t.ended[i] != over {
			continue
		}
		t.amend(i, func(late *Ended) {
			late.history = t.history.add(&d, late.history)
			if e.Type == mptcp.EventClosed && late.How != HowReplaced {
				late.How = HowClosed
			}
		})
		break
	}
	t.tell(&d)
	t.doubt(e)
}

// findSubflow returns the index of the subflow between these addresses, or -1.
func findSubflow(subflows []mptcp.Subflow, like *mptcp.Subflow) int {
	for i := range subflows {
		if subflows[i].Local == like.Local && subflows[i].Remote == like.Remote {
			return i
		}
	}
	return -1
}

// subflowOf returns the subflow that the event tells of.
func subflowOf(e *mptcp.Event) (s mptcp.Subflow, ok bool) {
	var okLocal, okRemote bool
	s.Local, okLocal = e.Local()
	s.Remote, okRemote = e.Remote()
	s.LocalID, s.RemoteID = e.LocalID, e.RemoteID
	s.BackupRemote = e.Backup != 0
	if e.IfIndex > 0 {
		s.IfIndex, s.Bound = uint32(e.IfIndex), true
	}
	return s, okLocal && okRemote
}

func (t *Tracker) applySubflowEstablished(slot uint32, e *mptcp.Event) {
	sub, ok := subflowOf(e)
	if !ok {
		return
	}
	sub.State, sub.TCP, sub.FullyEstablished = mptcp.SubflowEstablished, mptcp.StateEstablished, true
	r := &t.rec
	t.table.load(slot, r)
	if i := findSubflow(r.Subflows, &sub); i >= 0 {
		known := &r.Subflows[i]
		sub.Initial = known.Initial
		sub.TokenRemote, sub.BackupLocal = known.TokenRemote, known.BackupLocal
		takeFigures(&sub, known)
		r.Subflows[i] = sub
	} else {
		r.Subflows = append(r.Subflows, sub)
	}
	t.table.update(slot, r)
	t.doubt(e)
}

// applySubflowClosed takes a subflow out. Kernels before a fix of December 2025
// repeat the event of the initial subflow, with zero addresses: that says nothing.
func (t *Tracker) applySubflowClosed(slot uint32, e *mptcp.Event) {
	sub, ok := subflowOf(e)
	if !ok || sub.Local.Addr().IsUnspecified() && sub.Remote.Port() == 0 {
		return
	}
	r := &t.rec
	t.table.load(slot, r)
	i := findSubflow(r.Subflows, &sub)
	key := r.key()
	if i < 0 {
		if initial := sub.Local == r.Local && sub.Remote == r.Remote; !initial {
			t.failed(slot, key, e)
		}
		return
	}
	gone := r.Subflows[i]
	switch age, came := t.lifeOf(slot, key, e); {
	case gone.Initial:
	case gone.State == mptcp.SubflowPending:
		t.derive(e, KindSubflowFailed, Certain, failure(e)...)
	case came && age <= rejectedWithin && !e.Has(mptcp.FieldError) && !e.Has(mptcp.FieldResetReason):
		t.derive(e, KindSubflowFailed, Likely, fmt.Sprintf("closed %v after it came up, without an error or a reset reason: the peer's limit or policy", age))
	}
	r.Subflows = append(r.Subflows[:i], r.Subflows[i+1:]...)
	t.table.update(slot, r)
	t.closeSubflow(key, gone, e, e.Time)
	t.doubt(e)
}

// failed derives SF_FAILED from the end of a subflow that is not there, unless it
// was there before, or its failure was told.
func (t *Tracker) failed(slot uint32, k mptcp.Key, e *mptcp.Event) {
	known := false
	past := t.history.view()
	past.walk(k, t.table.core.at(slot).history, func(h *entry) bool {
		known = sameSubflow(h, e) && (h.derived == KindSubflowFailed || h.derived == KindEvent &&
			(mptcp.EventType(h.kind) == mptcp.EventSubflowEstablished || mptcp.EventType(h.kind) == mptcp.EventSubflowClosed))
		return !known
	})
	local, _ := e.Local()
	remote, _ := e.Remote()
	for i := len(t.closed) - 1; i >= max(0, len(t.closed)-closedSearched); i-- {
		c := t.closed[i]
		known = known || c.Key == k && c.Subflow.Local == local && c.Subflow.Remote == remote
	}
	if sure := Certain; !known {
		if e.Time.Before(t.blind) && (t.lost > 0 || t.table.writable.core.at(slot).flags&coreCreated == 0) {
			sure = Likely // SF_ESTABLISHED may be among what was missed before the dump
		}
		if why := failure(e); sure == Certain || len(why) > 1 {
			t.derive(e, KindSubflowFailed, sure, why...)
		}
	}
}

// closedSearched is in how many of the last subflows that ended one is looked for
// when its end is told late.
const closedSearched = 64

// lifeOf returns how long ago SF_ESTABLISHED told of the subflow that e closes. It
// is not known where that one had waited for its reader: both may be read at once.
func (t *Tracker) lifeOf(slot uint32, k mptcp.Key, e *mptcp.Event) (age time.Duration, ok bool) {
	past := t.history.view()
	past.walk(k, t.table.core.at(slot).history, func(h *entry) bool {
		if h.derived != KindEvent || mptcp.EventType(h.kind) != mptcp.EventSubflowEstablished || !sameSubflow(h, e) {
			return true
		}
		age, ok = e.Time.Sub(time.Unix(0, h.time)), h.late == 0 && t.config.Lag <= rejectedWithin
		return false
	})
	return age, ok
}

// sameSubflow reports whether the entry tells of the subflow that e tells of.
func sameSubflow(h *entry, e *mptcp.Event) bool {
	d := h.unpack(mptcp.Key{})
	hl, _ := d.Event.Local()
	hr, _ := d.Event.Remote()
	el, _ := e.Local()
	er, _ := e.Remote()
	return hl == el && hr == er
}

// failure returns what an SF_CLOSED says of why a join failed.
func failure(e *mptcp.Event) []string {
	out := []string{"SF_CLOSED came without SF_ESTABLISHED"}
	if e.Has(mptcp.FieldError) && e.Error != 0 {
		out = append(out, fmt.Sprintf("error %d: %s", e.Error, e.Error.Error()))
	}
	if e.Has(mptcp.FieldResetReason) {
		out = append(out, "reset by the peer: "+e.ResetReason.Explain())
	}
	return out
}

func (t *Tracker) applyPriority(slot uint32, e *mptcp.Event) {
	sub, ok := subflowOf(e)
	if !ok {
		return
	}
	r := &t.rec
	t.table.load(slot, r)
	if i := findSubflow(r.Subflows, &sub); i >= 0 {
		r.Subflows[i].BackupRemote = sub.BackupRemote
		t.table.update(slot, r)
	}
	t.doubt(e)
}

// derive puts a derived delta aside that has the subflow of the event.
func (t *Tracker) derive(e *mptcp.Event, k Kind, c Confidence, evidence ...string) {
	d := Delta{Kind: k, Name: k.String(), Event: *e, Evidence: evidence, Confidence: c}
	d.Event.Type = 0
	t.out = append(t.out, d)
}

// doubt has the kernel asked about the connection of an event that may be older
// than the last dump, as those are that waited in the socket meanwhile.
func (t *Tracker) doubt(e *mptcp.Event) {
	if e.Time.Before(t.overlap) {
		t.check(e, 10*soon).sample = true
	}
}

// looksPerPeriod is how many samples events may ask for in a period of sampling.
const looksPerPeriod = 64

// lookForJoins has the subflows looked at soon, where the path manager may now be
// making joins: the kernel announces them only when they are over or up.
func (t *Tracker) lookForJoins(e *mptcp.Event) {
	n := findNamespace(t.namespaces, e.Netns)
	if n == nil || t.looks <= 0 || t.config.Sample < 0 {
		return
	}
	if e.Type == mptcp.EventAnnounced || len(n.snapshot.Endpoints) > 0 || n.snapshot.PathManager == "userspace" {
		t.looks--
		t.check(e, 10*soon).sample = true
	}
}
