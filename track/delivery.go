package track

import "mptcpctl/mptcp"

// delivery gives deltas to the readers of [Tracker.Deltas], and keeps those of live
// connections in their histories.
//
// What the tracker derives while it works on a connection waits: it is reported after
// the record is written, and behind the event that it was derived from.
type delivery struct {
	streams streams
	history *history
	waiting []Delta

	// connection makes what Delta.Connection shows; nil: it is not asked for. gone is the
	// subflow that the event which is being applied ends.
	connection func(slot uint32, gone *mptcp.Subflow) *mptcp.Connection
	gone       *mptcp.Subflow
}

// ofKernel returns the delta of an event of the kernel that is of no live connection.
func ofKernel(e *mptcp.Event) Delta {
	d := Delta{Name: e.Type.String(), Key: mptcp.Key{Netns: e.Netns}, Event: *e}
	if e.Has(mptcp.FieldToken) {
		d.Key.Token = e.Token
	}
	return d
}

// report gives a delta to the readers.
func (v *delivery) report(d *Delta) { v.streams.push(d) }

// reportOf gives a delta of the live connection in the slot to the readers, and to its
// history. The record of the connection must be written before.
func (v *delivery) reportOf(in *table, slot uint32, d *Delta) {
	c := in.writable.core.At(slot)
	d.Key = mptcp.Key{Netns: in.locals.At(c.local).netns, Token: mptcp.Token(c.token), Instance: uint32(c.instance)}
	c.history = v.history.add(d, c.history)
	if v.connection != nil {
		d.Connection = v.connection(slot, v.gone)
	}
	v.report(d)
}

// reportEvent reports an event of the live connection in the slot, and behind it what
// waits.
func (v *delivery) reportEvent(in *table, slot uint32, e *mptcp.Event) {
	v.reportOf(in, slot, &Delta{Name: e.Type.String(), Event: *e})
	v.reportWaiting(in, slot)
	v.gone = nil
}

// wait keeps a derived delta until its connection is written.
func (v *delivery) wait(d *Delta) { v.waiting = append(v.waiting, *d) }

// begin forgets what waits: another connection is worked on.
func (v *delivery) begin() { v.waiting, v.gone = v.waiting[:0], nil }

// reportWaiting reports what waits, as deltas of the live connection in the slot.
func (v *delivery) reportWaiting(in *table, slot uint32) {
	for i := range v.waiting {
		v.reportOf(in, slot, &v.waiting[i])
	}
	v.waiting = v.waiting[:0]
}
