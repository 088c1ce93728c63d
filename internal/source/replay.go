package source

import (
	"context"
	"iter"
	"slices"
	"sort"
	"sync"
	"time"

	"mptcpctl/counters"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

var _ Source = (*Recording)(nil)

// replay is how far a tracker has read a recording, and what the kernel would have
// answered there: the last snapshot with the events since.
type replay struct {
	recording *Recording

	mu      sync.Mutex // guards what follows
	at      int        // the snapshot that holds
	served  int        // how many snapshots were given out, in their order
	asked   chan struct{}
	state   model
	marks   []mark
	started time.Time
}

// mark ties a time of the recording to the time at which it was replayed.
type mark struct{ wall, recorded time.Time }

func (p *replay) init(r *Recording) {
	p.recording, p.asked, p.started = r, make(chan struct{}, 1), time.Now()
	p.state.load(p.snapshot())
}

// snapshot returns the snapshot that holds.
func (p *replay) snapshot() track.Snapshot {
	if len(p.recording.snapshots) == 0 {
		return track.Snapshot{Time: p.recording.first}
	}
	s, err := p.recording.snapshots[p.at].Snapshot(context.Background())
	if err != nil {
		return track.Snapshot{Time: p.recording.snapshots[p.at].time}
	}
	return s
}

// readAhead is more than how many batches a tracker holds that it has not applied
// yet: after so many empty ones it has applied all.
const readAhead = 8

// Batches yields the recorded events, and ends. It stops at each snapshot until
// Snapshots has been asked for it, so that a tracker sees the figures of all of
// them: give it a short Config.Reconcile, or the replay takes as long as those
// pauses. Between two batches it yields empty ones, until the tracker has applied
// what came before: Lookup and Sample answer as of the events that it knows.
func (r *Recording) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		next := 0
		settled := func() bool {
			for range readAhead {
				if !yield(nil, nil) || ctx.Err() != nil {
					return false
				}
			}
			return true
		}
		for next < len(r.entries) && ctx.Err() == nil {
			if e := &r.entries[next]; e.snapshot >= 0 {
				if !settled() || !r.replay.enter(ctx, e) {
					return
				}
				next++
				continue
			}
			var batch []mptcp.Event
			for ; next < len(r.entries) && r.entries[next].snapshot < 0 && len(batch) < 64; next++ {
				batch = append(batch, r.entries[next].event())
			}
			r.replay.apply(batch)
			if !yield(batch, nil) || !settled() {
				return
			}
		}
	}
}

// enter goes on to a snapshot and waits until it was asked for.
func (p *replay) enter(ctx context.Context, e *entry) bool {
	p.mu.Lock()
	p.at = e.snapshot
	p.marks = append(p.marks, mark{time.Now(), e.time})
	p.state.load(p.snapshot())
	p.mu.Unlock()
	for {
		p.mu.Lock()
		done := p.served > e.snapshot
		p.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-p.asked:
		case <-ctx.Done():
			return false
		}
	}
}

func (p *replay) apply(batch []mptcp.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marks = append(p.marks, mark{time.Now(), batch[len(batch)-1].Time})
	for i := range batch {
		p.state.apply(&batch[i])
	}
}

// Recorded returns the time in the recording of something that a tracker found at
// the time t while it was replayed. Times of the recording itself stay as they are.
func (r *Recording) Recorded(t time.Time) time.Time {
	p := &r.replay
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.Before(p.started) {
		return t
	}
	i := sort.Search(len(p.marks), func(i int) bool { return p.marks[i].wall.After(t) })
	if i == 0 {
		return r.first
	}
	return p.marks[i-1].recorded
}

// Snapshots returns the snapshot that the replay has come to.
func (r *Recording) Snapshots(context.Context) ([]track.Snapshot, error) {
	p := &r.replay
	p.mu.Lock()
	defer p.mu.Unlock()
	p.served = p.at + 1
	select {
	case p.asked <- struct{}{}:
	default:
	}
	s := p.snapshot()
	s.Connections, s.Subflows = p.state.list()
	return []track.Snapshot{s}, nil
}

// Lookup returns those of the connections that are there where the replay is.
func (r *Recording) Lookup(_ context.Context, netns string, tokens []mptcp.Token) ([]mptcp.Connection, error) {
	r.replay.mu.Lock()
	defer r.replay.mu.Unlock()
	var found []mptcp.Connection
	for _, t := range tokens {
		if c, ok := r.replay.state.connections[t]; ok && netns == "" {
			found = append(found, c)
		}
	}
	return found, nil
}

// Sample returns the subflows of these connections where the replay is.
func (r *Recording) Sample(_ context.Context, netns string, tokens []mptcp.Token) ([]track.SubflowRow, error) {
	r.replay.mu.Lock()
	defer r.replay.mu.Unlock()
	var rows []track.SubflowRow
	for _, t := range tokens {
		if netns == "" {
			rows = append(rows, r.replay.state.rows[t]...)
		}
	}
	return rows, nil
}

// Counters returns the counters of the snapshot that the replay has come to.
func (r *Recording) Counters(_ context.Context, netns string) (track.Counters, error) {
	p := &r.replay
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(r.snapshots) == 0 || netns != "" {
		return nil, nil
	}
	if values, err := r.snapshots[p.at].MPTCPCounters(); err == nil {
		return counterMap(values), nil
	}
	return nil, nil
}

func counterMap(values counters.Values) track.Counters {
	c := track.Counters{}
	for name, value := range values.All() {
		c[name] = value
	}
	return c
}

// model is what the kernel knows: a snapshot, and the events since.
type model struct {
	connections map[mptcp.Token]mptcp.Connection
	rows        map[mptcp.Token][]track.SubflowRow
	loose       []track.SubflowRow // of no connection
	order       []mptcp.Token
}

func (m *model) load(s track.Snapshot) {
	*m = model{connections: map[mptcp.Token]mptcp.Connection{}, rows: map[mptcp.Token][]track.SubflowRow{}}
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
}

func (m *model) apply(e *mptcp.Event) {
	if !e.Has(mptcp.FieldToken) {
		return
	}
	local, _ := e.Local()
	remote, _ := e.Remote()
	row := track.SubflowRow{Token: e.Token, HasToken: true, Subflow: mptcp.Subflow{
		Local: local, Remote: remote, LocalID: e.LocalID, RemoteID: e.RemoteID, BackupRemote: e.Backup != 0,
		TCP: mptcp.StateEstablished, FullyEstablished: true,
	}}
	switch e.Type {
	case mptcp.EventCreated:
		if _, there := m.connections[e.Token]; !there {
			m.order = append(m.order, e.Token)
			m.rows[e.Token] = []track.SubflowRow{row}
			m.connections[e.Token] = mptcp.Connection{Token: e.Token, Family: e.Family, State: mptcp.StateEstablished, Local: local, Remote: remote}
		}
	case mptcp.EventSubflowEstablished:
		row.Join = true
		if e.IfIndex > 0 {
			row.IfIndex, row.Bound = uint32(e.IfIndex), true
		}
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
