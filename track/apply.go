package track

import (
	"time"

	"mptcpctl/mptcp"
)

// soon is how long a closed connection is given before the kernel is asked whether
// it has gone. It lets many be asked for at once.
const soon = 20 * time.Millisecond

// apply applies a batch of events.
func (t *Tracker) apply(batch []mptcp.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range batch {
		t.applyOne(&batch[i])
	}
	t.touch()
}

// applyOne applies one event. Those that name no connection, begin one, or name one that
// is not known, go ways of their own. Any other changes the record of its connection, is
// reported with what the tracker derived from it behind it, and leads to a question to
// the kernel where the event alone does not tell enough.
func (t *Tracker) applyOne(e *mptcp.Event) {
	if e.Type == mptcp.EventLost || !e.Has(mptcp.FieldToken) {
		t.applyHostEvent(e)
		return
	}
	t.events++
	if e.Type == mptcp.EventCreated {
		t.applyCreated(e)
		return
	}
	slot, live := t.table.find(e.Netns, e.Token)
	if !live {
		t.applyUnknown(e)
		return
	}
	t.delivery.begin()
	q := t.change(slot, e)
	t.delivery.reportEvent(t.table, slot, e)
	t.ask(e, q)
}

// applyHostEvent applies an event that names no connection: a loss, a listener, or a
// kind that this program does not know.
func (t *Tracker) applyHostEvent(e *mptcp.Event) {
	switch e.Type {
	case mptcp.EventLost:
		t.lost += e.Lost
		t.reconciler.lose(e.Lost)
	case mptcp.EventListenerCreated:
		t.events++
		t.countListener(e, +1)
	case mptcp.EventListenerClosed:
		t.events++
		t.countListener(e, -1)
	default:
		t.events++
	}
	d := ofKernel(e)
	t.delivery.report(&d)
}

// countListener counts the listeners of a port. Of the facts of a namespace only the
// tracker reads this one: no state sees it change.
func (t *Tracker) countListener(e *mptcp.Event, by int) {
	if n := findNamespace(t.namespaces, e.Netns); n != nil && e.Has(mptcp.FieldSport) {
		n.facts.Listen(e.Sport, by)
	}
}

// applyUnknown applies an event of a token that no live connection has. It begins no
// connection: that one has ended, or the kernel must say what it is.
func (t *Tracker) applyUnknown(e *mptcp.Event) {
	d := ofKernel(e)
	over, known := t.archive.last[identity{e.Netns, e.Token}]
	if !known {
		t.delivery.report(&d)
		t.ask(e, question{
			after: soon, sample: true, closed: e.Type == mptcp.EventClosed, unknown: !t.reconciler.mayBeOlder(e),
		})
		return
	}
	d.Key = over.Key
	if t.config.Connections {
		d.Connection = &over.Connection
	}
	t.archive.amendLast(over, func(late *Ended) {
		late.history = t.delivery.history.add(&d, late.history)
		if e.Type == mptcp.EventClosed && late.How != HowReplaced {
			late.How = HowClosed
		}
	})
	t.delivery.report(&d)
	t.ask(e, t.doubt(e))
}

// change changes the record of a live connection by the event, and returns what the
// kernel is to be asked then.
func (t *Tracker) change(slot uint32, e *mptcp.Event) question {
	switch e.Type {
	case mptcp.EventEstablished:
		return t.changeEstablished(slot, e)
	case mptcp.EventClosed:
		t.table.writable.core.At(slot).flags |= coreClosed
		return question{after: soon, closed: true}
	case mptcp.EventSubflowEstablished:
		return t.addSubflow(slot, e)
	case mptcp.EventSubflowClosed:
		return t.removeSubflow(slot, e)
	case mptcp.EventSubflowPriority:
		return t.changePriority(slot, e)
	case mptcp.EventAnnounced:
		return t.lookForJoins(e)
	}
	return question{}
}

func (t *Tracker) changeEstablished(slot uint32, e *mptcp.Event) question {
	r := &t.rec
	t.table.load(slot, r)
	local, _ := e.Local()
	remote, _ := e.Remote()
	r.address(local, remote)
	if local != r.Local || remote != r.Remote {
		return question{after: soon, sample: true} // of another connection with the token
	}
	r.flags |= coreEstablished
	r.Side = orSide(r.Side, t.side(e))
	t.table.update(slot, r)
	return t.lookForJoins(e)
}

// addSubflow adds a subflow, or brings the one up that was pending.
func (t *Tracker) addSubflow(slot uint32, e *mptcp.Event) question {
	sub, ok := SubflowOf(e)
	if !ok {
		return question{}
	}
	r := &t.rec
	t.table.load(slot, r)
	r.Subflows = bringUp(r.Subflows, sub)
	t.table.update(slot, r)
	return t.doubt(e)
}

// removeSubflow removes a subflow. Kernels before a fix of December 2025 repeat the
// event of the initial subflow, with zero addresses: it is ignored.
func (t *Tracker) removeSubflow(slot uint32, e *mptcp.Event) question {
	sub, ok := SubflowOf(e)
	if !ok || sub.Local.Addr().IsUnspecified() && sub.Remote.Port() == 0 {
		return question{}
	}
	r := &t.rec
	t.table.load(slot, r)
	i := findSubflow(r.Subflows, &sub)
	key := r.key()
	if i < 0 {
		if initial := sub.Local == r.Local && sub.Remote == r.Remote; !initial {
			t.deriveFailure(slot, key, e)
		}
		return question{}
	}
	gone := r.Subflows[i]
	if t.config.Connections {
		kept := gone
		t.delivery.gone = &kept
	}
	t.rejected(slot, key, &gone, e)
	r.Subflows = append(r.Subflows[:i], r.Subflows[i+1:]...)
	t.table.update(slot, r)
	t.closeSubflow(key, gone, e, e.Time)
	return t.doubt(e)
}

func (t *Tracker) changePriority(slot uint32, e *mptcp.Event) question {
	sub, ok := SubflowOf(e)
	if !ok {
		return question{}
	}
	r := &t.rec
	t.table.load(slot, r)
	if i := findSubflow(r.Subflows, &sub); i >= 0 {
		r.Subflows[i].BackupRemote = sub.BackupRemote
		t.table.update(slot, r)
	}
	return t.doubt(e)
}
