package recording

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

var (
	_ source.Source   = (*Recording)(nil)
	_ track.Recording = (*Recording)(nil)
)

// replay is the place in a recording that a tracker has come to, and what the kernel
// would have answered there: the last snapshots with the events since.
type replay struct {
	recording *Recording
	next      int               // the first entry behind the place
	stop      int               // the entry that ends the next snapshots, cached; len(entries): none
	order     []string          // of the namespaces
	state     map[string]*model // by namespace
}

// init goes to the snapshots of the first round, where a tracker begins.
func (p *replay) init(r *Recording) {
	p.recording, p.stop, p.state = r, -1, map[string]*model{}
	if len(r.snapshots) == 0 {
		p.load(&recorded{time: r.first, recording: r}, nil)
		return
	}
	p.enter(p.nextStop() + 1)
}

// enter goes on to the entry with that index, which it does not enter.
func (p *replay) enter(end int) {
	entries := p.recording.entries
	for ; p.next < end; p.next++ {
		switch e := &entries[p.next]; {
		case e.gone:
			p.drop(e.netns)
		case e.snapshot != nil:
			p.load(e.snapshot, entries[p.next+1:])
		case p.state[e.netns] != nil:
			event := e.event()
			p.state[e.netns].apply(&event)
		}
	}
}

// nextStop returns the index of the next entry at which there is something new to be
// compared with: the last snapshot of a round, or that a namespace has gone.
func (p *replay) nextStop() int {
	if p.stop < p.next {
		entries := p.recording.entries
		for p.stop = p.next; p.stop < len(entries); p.stop++ {
			if e := &entries[p.stop]; !e.told() && !e.more {
				break
			}
		}
	}
	return p.stop
}

// load has the snapshot hold for its namespace, as of when it was begun: what ended
// before it was whole, as the entries behind it tell, is still there.
func (p *replay) load(s *recorded, behind []entry) {
	before := p.state[s.netns]
	if before == nil {
		p.order = append(p.order, s.netns)
	}
	m := newModel(s)
	p.state[s.netns] = m
	for i := range behind {
		e := &behind[i]
		if before == nil || e.time.After(s.until) {
			return
		}
		if event := e.event(); e.message != nil && e.netns == s.netns {
			m.keep(before, &event)
		}
	}
}

// drop takes a namespace that has gone out.
func (p *replay) drop(netns string) {
	delete(p.state, netns)
	p.order = slices.DeleteFunc(p.order, func(name string) bool { return name == netns })
}

// Seek goes on to the time: what is asked from now on is answered as of then.
func (r *Recording) Seek(to time.Time) {
	end := r.replay.next
	for end < len(r.entries) && !r.entries[end].time.After(to) {
		end++
	}
	r.replay.enter(end)
}

// NextSnapshot returns when the next snapshots are whole for all namespaces of their
// round, or a namespace has gone. It is zero where nothing of that follows.
func (r *Recording) NextSnapshot() time.Time {
	if stop := r.replay.nextStop(); stop < len(r.entries) {
		return r.entries[stop].time
	}
	return time.Time{}
}

// A batch is of events that were recorded within this time, and of so many at most.
const (
	batchTime   = time.Millisecond
	batchLength = 1 << 12
)

// Batches yields the recorded events, and ends. Events that were recorded at about
// the same time, without a snapshot between them, come together.
func (r *Recording) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		var batch []mptcp.Event
		flush := func() bool {
			ok := len(batch) == 0 || yield(batch, nil)
			batch = batch[:0]
			return ok && ctx.Err() == nil
		}
		for i := range r.entries {
			e := &r.entries[i]
			ends := len(batch) == batchLength || len(batch) > 0 && e.time.Sub(batch[0].Time) > batchTime
			if (ends || !e.told()) && !flush() {
				return
			}
			if e.told() {
				batch = append(batch, e.event())
			}
		}
		flush()
	}
}

// Snapshots returns the snapshots that the replay has come to.
func (r *Recording) Snapshots(context.Context) ([]track.Snapshot, error) {
	p := &r.replay
	var all []track.Snapshot
	for _, netns := range p.order {
		m := p.state[netns]
		s := m.base
		s.Connections, s.Subflows = m.list()
		all = append(all, s)
	}
	return all, nil
}

// Lookup returns those of the connections that are there where the replay is.
func (r *Recording) Lookup(_ context.Context, netns string, tokens []mptcp.Token) ([]mptcp.Connection, error) {
	m := r.replay.state[netns]
	if m == nil {
		return nil, nil
	}
	var found []mptcp.Connection
	for _, t := range tokens {
		if c, ok := m.connections[t]; ok {
			found = append(found, c)
		}
	}
	return found, nil
}

// Sample returns the subflows of these connections where the replay is.
func (r *Recording) Sample(_ context.Context, netns string, tokens []mptcp.Token) ([]track.SubflowRow, error) {
	m := r.replay.state[netns]
	if m == nil {
		return nil, nil
	}
	var rows []track.SubflowRow
	for _, t := range tokens {
		rows = append(rows, m.rows[t]...)
	}
	return rows, nil
}

// Namespace returns what the last snapshot says beside the sockets, with what events have
// proved since.
func (r *Recording) Namespace(_ context.Context, netns string) (*track.Snapshot, error) {
	m := r.replay.state[netns]
	if m == nil {
		return nil, nil
	}
	s := m.base
	s.Connections, s.Subflows = nil, nil
	return &s, nil
}

// Counters returns the counters of the snapshot that the replay has come to.
func (r *Recording) Counters(_ context.Context, netns string) (track.Counters, error) {
	if m := r.replay.state[netns]; m != nil {
		if values, err := m.from.MPTCPCounters(); err == nil {
			return source.CounterMap(values), nil
		}
	}
	return nil, nil
}

// model is what the kernel knows: a snapshot, and the events since.
type model struct {
	from        *recorded
	base        track.Snapshot // what events do not change
	connections map[mptcp.Token]mptcp.Connection
	rows        map[mptcp.Token][]track.SubflowRow
	loose       []track.SubflowRow // of no connection
	order       []mptcp.Token
}

// newModel starts from a snapshot.
func newModel(from *recorded) *model {
	s, err := from.Snapshot(context.Background())
	if err != nil { // there was none
		s = track.Snapshot{Time: from.time, Netns: from.netns}
	}
	m := &model{
		from:        from,
		base:        s,
		connections: map[mptcp.Token]mptcp.Connection{},
		rows:        map[mptcp.Token][]track.SubflowRow{},
	}
	for _, c := range s.Connections {
		m.connections[c.Token] = c
		m.order = append(m.order, c.Token)
	}
	for _, row := range s.Subflows {
		if row.HasToken {
			m.rows[row.Token] = append(m.rows[row.Token], row)
		} else {
			m.loose = append(m.loose, row)
		}
	}
	return m
}

func (m *model) apply(e *mptcp.Event) {
	if !e.Has(mptcp.FieldToken) {
		return
	}
	row := track.SubflowRow{Token: e.Token, HasToken: true}
	row.Subflow, _ = track.SubflowOf(e)
	row.TCP, row.FullyEstablished = mptcp.StateEstablished, true
	switch e.Type {
	case mptcp.EventCreated, mptcp.EventSubflowEstablished:
		m.prove(row.Local.Addr(), row.IfIndex)
	}
	switch e.Type {
	case mptcp.EventCreated:
		if _, there := m.connections[e.Token]; !there {
			row.Requested = e.Side() != mptcp.SideServer // else a join of rows would call it the server's
			m.order = append(m.order, e.Token)
			m.rows[e.Token] = []track.SubflowRow{row}
			c := track.Begin(e)
			c.Netns, c.Since, c.Subflows = m.base.Netns, time.Time{}, nil // as a dump shows it
			m.connections[e.Token] = c
		}
	case mptcp.EventSubflowEstablished:
		row.Join, row.Requested = true, m.connections[e.Token].Side != mptcp.SideServer
		if !slices.ContainsFunc(m.rows[e.Token], sameAddresses(row)) {
			m.rows[e.Token] = append(m.rows[e.Token], row)
		}
	case mptcp.EventSubflowClosed:
		m.rows[e.Token] = slices.DeleteFunc(m.rows[e.Token], sameAddresses(row))
	case mptcp.EventClosed:
		delete(m.connections, e.Token)
		delete(m.rows, e.Token)
	}
}

// prove takes over what a subflow that comes up tells of this host: its address is
// here, and the device that it is bound to is up.
func (m *model) prove(local netip.Addr, device uint32) {
	local = local.Unmap()
	if !slices.ContainsFunc(m.base.Addresses, func(a track.AddressFact) bool { return a.Addr.WithZone("") == local }) {
		m.base.Addresses = append(slices.Clip(m.base.Addresses), track.AddressFact{Addr: local, IfIndex: device})
	}
	if device == 0 {
		return
	}
	m.base.Links = slices.Clone(m.base.Links)
	for i := range m.base.Links {
		if l := &m.base.Links[i]; l.Index == device {
			l.Up, l.Carrier = true, true
			return
		}
	}
	m.base.Links = append(
		m.base.Links, track.LinkFact{Index: device, Name: fmt.Sprintf("if%d", device), Up: true, Carrier: true},
	)
}

// keep takes over from the model before what the event says has ended since: the
// snapshot lacks it already.
func (m *model) keep(before *model, e *mptcp.Event) {
	c, was := before.connections[e.Token]
	_, is := m.connections[e.Token]
	switch {
	case !was:
	case e.Type == mptcp.EventClosed && !is:
		m.order = append(m.order, e.Token)
		m.connections[e.Token], m.rows[e.Token] = c, before.rows[e.Token]
	case e.Type == mptcp.EventSubflowClosed && is:
		local, _ := e.Local()
		remote, _ := e.Remote()
		same := sameAddresses(track.SubflowRow{Subflow: mptcp.Subflow{Local: local, Remote: remote}})
		if i := slices.IndexFunc(before.rows[e.Token], same); i >= 0 && !slices.ContainsFunc(m.rows[e.Token], same) {
			m.rows[e.Token] = append(m.rows[e.Token], before.rows[e.Token][i])
		}
	}
}

// list returns the connections and the rows, in the order in which they came.
func (m *model) list() (connections []mptcp.Connection, rows []track.SubflowRow) {
	listed := map[mptcp.Token]bool{}
	for _, t := range m.order {
		if c, ok := m.connections[t]; ok && !listed[t] {
			listed[t] = true
			connections = append(connections, c)
			rows = append(rows, m.rows[t]...)
		}
	}
	return connections, append(rows, m.loose...)
}

// sameAddresses returns what tells the rows of the same subflow.
func sameAddresses(like track.SubflowRow) func(track.SubflowRow) bool {
	return func(r track.SubflowRow) bool { return r.Local == like.Local && r.Remote == like.Remote }
}
