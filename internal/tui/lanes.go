package tui

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// stretch is a time during which a subflow was in one state. It lasts to the
// beginning of the next one.
type stretch struct {
	from  time.Time
	state mptcp.SubflowState
}

// mark is a moment on a lane.
type mark struct {
	at   time.Time
	kind rune   // 'b' and 'r': to backup and back; 'F': fallback
	text string // what happened
}

// lane is the life of one subflow.
type lane struct {
	flow      tuple
	local     mptcp.AddressID
	remote    mptcp.AddressID
	device    string // escaped
	initial   bool
	backup    bool
	unknown   bool // it began before anybody looked
	stretches []stretch
	marks     []mark
	end       time.Time // zero: it lives
	reason    string    // why it ended
}

// chart is the life of a connection: a lane for each subflow, and what the peer
// and the tracker had to say besides.
type chart struct {
	lanes []*lane
	marks []mark    // announcements, removals, losses
	from  time.Time // when the first of it is known
	end   time.Time // zero: it goes on
	how   string
}

// story is what a chart is made of.
type story struct {
	connection mptcp.Connection
	closed     []track.ClosedSubflow
	history    []track.Delta
	ended      *track.Ended // nil: it goes on
	now        time.Time
}

// newChart makes the chart of a connection. Without any history a subflow has
// been in its present state for as long as is known.
func newChart(s *story) *chart {
	c := &chart{}
	for i := range s.history {
		c.apply(&s.history[i])
	}
	for i := range s.closed {
		closed := &s.closed[i]
		l := c.lane(tuple{closed.Subflow.Local, closed.Subflow.Remote})
		l.describe(&closed.Subflow)
		if l.end.IsZero() {
			l.finish(closed.At, endReason(&closed.Event))
		}
	}
	c.from = s.connection.Since
	for i := range s.connection.Subflows {
		f := &s.connection.Subflows[i]
		l := c.lane(tuple{f.Local, f.Remote})
		l.describe(f)
		if s.ended == nil {
			l.live(f, s)
		}
	}
	if s.ended != nil {
		c.finish(s.ended)
	}
	c.settle(s)
	return c
}

// lane returns the lane of the subflow, a new one where it has none.
func (c *chart) lane(flow tuple) *lane {
	for _, l := range c.lanes {
		if l.flow == flow {
			return l
		}
	}
	l := &lane{flow: flow}
	c.lanes = append(c.lanes, l)
	return l
}

// apply draws one event.
func (c *chart) apply(d *track.Delta) {
	e := &d.Event
	switch e.Type {
	case mptcp.EventAnnounced, mptcp.EventRemoved:
		c.announce(e)
		return
	case mptcp.EventLost:
		c.marks = append(c.marks, mark{e.Time, '!', "events were lost here"})
		return
	}
	if d.Kind == track.KindResync {
		c.marks = append(c.marks, mark{e.Time, '!', "read again from the kernel after a loss"})
		return
	}
	local, okLocal := e.Local()
	remote, okRemote := e.Remote()
	if !okLocal || !okRemote || remote.Port() == 0 {
		return
	}
	c.lane(tuple{local, remote}).apply(d)
}

func (c *chart) announce(e *mptcp.Event) {
	id := "id " + itoa(int(e.RemoteID))
	if e.Type == mptcp.EventRemoved {
		c.marks = append(c.marks, mark{e.Time, '-', "the peer removed address " + id})
		return
	}
	text := "the peer announced address " + id
	if at, ok := e.Remote(); ok {
		text += " " + withoutZero(at)
	}
	c.marks = append(c.marks, mark{e.Time, '+', text})
}

// apply draws an event of the lane's subflow.
func (l *lane) apply(d *track.Delta) {
	e := &d.Event
	if e.Has(mptcp.FieldLocalID) {
		l.local = e.LocalID
	}
	if e.Has(mptcp.FieldRemoteID) {
		l.remote = e.RemoteID
	}
	switch {
	case e.Type == mptcp.EventCreated:
		l.initial = true
		l.begin(e.Time, mptcp.SubflowEstablished)
	case e.Type == mptcp.EventEstablished:
		l.initial = true
		if len(l.stretches) == 0 {
			l.unknown = true
			l.begin(e.Time, mptcp.SubflowEstablished)
		}
	case e.Type == mptcp.EventSubflowEstablished:
		l.begin(e.Time, mptcp.SubflowEstablished)
	case e.Type == mptcp.EventSubflowClosed:
		l.finish(e.Time, endReason(e))
	case e.Type == mptcp.EventSubflowPriority && e.Backup != 0:
		l.marks = append(l.marks, mark{e.Time, 'b', "the peer made it a backup"})
	case e.Type == mptcp.EventSubflowPriority:
		l.marks = append(l.marks, mark{e.Time, 'r', "the peer made it regular again"})
	case d.Kind == track.KindSubflowPending:
		l.begin(e.Time, mptcp.SubflowPending)
	case d.Kind == track.KindSubflowSilent:
		l.begin(e.Time, mptcp.SubflowSilent)
	case d.Kind == track.KindSubflowStale:
		l.begin(e.Time, mptcp.SubflowStale)
	case d.Kind == track.KindSubflowFailed:
		l.finish(e.Time, failReason(d))
	case d.Kind == track.KindFallback:
		l.marks = append(l.marks, mark{e.Time, 'F', strings.TrimSpace("fell back to TCP " + present.Escape(d.Cause))})
	}
}

// begin starts a stretch. A subflow that had ended lives again: the same ports
// were taken once more.
func (l *lane) begin(at time.Time, state mptcp.SubflowState) {
	l.stretches = append(l.stretches, stretch{at, state})
	l.end, l.reason = time.Time{}, ""
}

// finish ends the lane. The first reason that is known stands.
func (l *lane) finish(at time.Time, reason string) {
	if l.end.IsZero() {
		l.end = at
	}
	l.reason = cmp.Or(l.reason, reason)
}

// describe takes what a dump says of the subflow.
func (l *lane) describe(f *mptcp.Subflow) {
	l.local, l.remote, l.initial = f.LocalID, f.RemoteID, l.initial || f.Initial
	l.device = present.Escape(f.Device)
	l.backup = f.BackupLocal || f.BackupRemote
}

// live ends the lane's story with the state that the subflow has now.
func (l *lane) live(f *mptcp.Subflow, s *story) {
	l.end, l.reason = time.Time{}, ""
	n := len(l.stretches)
	switch {
	case n > 0 && l.stretches[n-1].state == f.State:
	case n > 0:
		l.begin(s.now, f.State)
	case f.Initial && !s.connection.Since.IsZero():
		l.begin(s.connection.Since, f.State)
	default:
		l.unknown = true
		l.begin(time.Time{}, f.State)
	}
}

// finish ends the connection with all lanes that still live.
func (c *chart) finish(e *track.Ended) {
	c.end, c.how = e.At, e.How.String()
	for _, l := range c.lanes {
		if l.end.IsZero() {
			l.finish(e.At, "with the connection")
		}
	}
}

// settle puts in order what came from several places: the lanes by their
// beginnings, and the beginning of the whole.
func (c *chart) settle(s *story) {
	earliest := func(at time.Time) {
		if !at.IsZero() && (c.from.IsZero() || at.Before(c.from)) {
			c.from = at
		}
	}
	for _, l := range c.lanes {
		if len(l.stretches) == 0 {
			l.unknown = true
			l.stretches = []stretch{{time.Time{}, mptcp.SubflowEstablished}}
		}
		earliest(l.stretches[0].from)
		earliest(l.end)
		slices.SortStableFunc(l.marks, func(a, b mark) int { return a.at.Compare(b.at) })
	}
	for _, m := range c.marks {
		earliest(m.at)
	}
	if c.from.IsZero() {
		c.from = s.now
	}
	slices.SortStableFunc(c.lanes, func(a, b *lane) int {
		switch {
		case a.initial != b.initial && a.initial:
			return -1
		case a.initial != b.initial:
			return 1
		}
		return a.stretches[0].from.Compare(b.stretches[0].from)
	})
}

// endReason says why the subflow of an SF_CLOSED ended.
func endReason(e *mptcp.Event) string {
	var parts []string
	if e.Has(mptcp.FieldResetReason) {
		parts = append(parts, "reset: "+e.ResetReason.String())
	}
	if e.Has(mptcp.FieldError) && e.Error != 0 {
		parts = append(parts, e.Error.Name())
	}
	return strings.Join(parts, ", ")
}

// failReason says why a join did not come up.
func failReason(d *track.Delta) string {
	if len(d.Evidence) > 0 {
		return "failed: " + present.Escape(d.Evidence[0])
	}
	return "failed"
}
