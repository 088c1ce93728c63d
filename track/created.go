package track

import (
	"net/netip"

	"mptcpctl/mptcp"
)

// applyCreated adds a new connection. The dump may have shown it already, and the token
// may be that of a connection that has ended.
func (t *Tracker) applyCreated(e *mptcp.Event) {
	local, _ := e.Local()
	remote, _ := e.Remote()
	instance := t.archive.nextInstance(e.Netns, e.Token)
	r := &t.rec
	if slot, live := t.table.find(e.Netns, e.Token); live {
		t.table.load(slot, r)
		r.address(local, remote)
		if r.Local == local && r.Remote == remote && r.flags&(coreCreated|coreClosed) == 0 {
			t.created(slot, r, e)
			return
		}
		if r.Local == local && r.Remote == remote && r.flags&coreClosed == 0 {
			t.delivery.reportEvent(t.table, slot, e)
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
	subflows := r.Subflows
	*r = record{instance: instance, flags: coreCreated}
	r.Subflows = subflows
	begin(&r.Connection, e)
	r.Side = t.side(e)
	if n := findNamespace(t.namespaces, e.Netns); n != nil {
		r.PathManager = n.snapshot.PathManager
	} else {
		t.ask(e, question{after: soon}) // with it the namespace is looked at
	}
	slot := t.table.insert(r)
	t.delivery.reportEvent(t.table, slot, e)
	t.ask(e, t.doubt(e))
}

// created applies CREATED to a connection that a dump has shown already. If that was the
// first dump, nobody has heard of the connection's fallback: it is reported here.
func (t *Tracker) created(slot uint32, r *record, e *mptcp.Event) {
	t.delivery.begin()
	if r.flags&coreUntold != 0 {
		t.fellBack(r, true)
	}
	r.flags = r.flags&^coreUntold | coreCreated
	r.Side, r.Since = orSide(r.Side, t.side(e)), e.Time
	t.table.update(slot, r)
	t.delivery.reportEvent(t.table, slot, e)
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
