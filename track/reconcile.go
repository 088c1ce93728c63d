package track

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mptcpctl/mptcp"
)

// reason is why everything is dumped.
type reason int

const (
	first     reason = iota
	afterLoss        // events were lost: a missing connection may have ended normally
	periodic
)

// sweep is one comparison of everything with the kernel.
type sweep struct {
	why        reason
	seen       []bool // by slot
	covered    map[string]bool
	unread     map[string]bool // namespaces of which nothing is said
	incomplete map[string][]mptcp.Token
	missing    map[string][]mptcp.Token
	added      int
	removed    int
}

// reconcile dumps everything and makes the state agree with the kernel. Connections that
// the dumps do not show are looked up one by one, because a dump may skip sockets.
func (t *Tracker) reconcile(ctx context.Context, why reason) error {
	began, used := time.Now(), processTime()
	snapshots, err := t.source.Snapshots(ctx)
	for i := range snapshots {
		t.clock.seek(snapshots[i].Time)
	}
	now, took := t.clock.now(), time.Since(began)
	// On a busy machine a dump takes longer, but costs no more processor time.
	t.reconciler.dumped(now, min(took, processTime()-used))
	partly := unread(err)
	if err != nil && partly == nil {
		return err
	}
	t.reconciler.compare(why, now)
	s := &sweep{why: why, covered: make(map[string]bool), unread: make(map[string]bool)}
	if partly != nil {
		for _, netns := range partly.Netns {
			s.unread[netns] = true
		}
	}
	s.incomplete, s.missing = make(map[string][]mptcp.Token), make(map[string][]mptcp.Token)
	t.placeNamespaces(s, snapshots)
	t.readAllCounters(ctx)
	for i := range snapshots {
		t.sweepIn(s, &snapshots[i])
	}
	t.unseen(s)
	for netns, tokens := range s.missing {
		err = errors.Join(err, t.sweepMissing(ctx, s, netns, tokens))
	}
	for netns, tokens := range s.incomplete {
		err = errors.Join(err, t.sweepIncomplete(ctx, netns, tokens))
	}
	t.reconciler.compared(now, took)
	if why == afterLoss {
		t.resynced(s)
	}
	return err
}

// placeNamespaces stores the facts of the namespaces, and drops namespaces that are gone.
func (t *Tracker) placeNamespaces(s *sweep, snapshots []Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []*namespace
	for i := range snapshots {
		n := newNamespace(&snapshots[i])
		if before := findNamespace(t.namespaces, n.snapshot.Netns); before != nil {
			n.counters, n.unread = before.counters, before.unread
			n.facts.Succeed(before.facts)
		} else if s.why != first {
			n.counters, n.unread = unrisen(), true // it came meanwhile
		}
		list = putNamespace(list, n)
		s.covered[n.snapshot.Netns] = true
	}
	for netns := range s.unread {
		if before := findNamespace(t.namespaces, netns); before != nil {
			list = putNamespace(list, before)
			s.covered[netns] = true
		}
	}
	t.namespaces = list
	t.deriver.forget(s.covered)
}

// sweptAtATime is how many connections are merged before readers may take the lock.
const sweptAtATime = 1 << 10

// sweepIn merges the connections of one snapshot.
func (t *Tracker) sweepIn(s *sweep, snapshot *Snapshot) {
	rows := chain(snapshot.Subflows)
	for part := range slices.Chunk(snapshot.Connections, sweptAtATime) {
		t.sweepPart(s, snapshot.Netns, part, &rows)
	}
}

// sweepPart merges some connections of a namespace.
func (t *Tracker) sweepPart(s *sweep, netns string, part []mptcp.Connection, rows *chained) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.touch()
	var own []SubflowRow
	for i := range part {
		c := &part[i]
		c.Netns = netns
		own = rows.of(c.Token, own[:0])
		t.joinIn(c, own)
		slot, what := t.takeIn(c, tentative, s.why != first)
		s.see(slot)
		switch what {
		case added:
			s.added++
		case replaced:
			s.added++
			s.removed++
		case incomplete:
			s.incomplete[c.Netns] = append(s.incomplete[c.Netns], c.Token)
		}
	}
}

func (s *sweep) see(slot uint32) {
	for uint32(len(s.seen)) <= slot {
		s.seen = append(s.seen, false)
	}
	s.seen[slot] = true
}

// unseen collects the live connections that the dumps did not show. Those of
// namespaces that are gone have ended.
func (t *Tracker) unseen(s *sweep) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.touch()
	var gone []uint32
	for slot := range t.table.all() {
		if slot < uint32(len(s.seen)) && s.seen[slot] {
			continue
		}
		c := t.table.core.At(slot)
		switch netns := t.table.locals.At(c.local).netns; {
		case s.unread[netns]: // it may be there still
		case s.covered[netns]:
			s.missing[netns] = append(s.missing[netns], mptcp.Token(c.token))
		default:
			gone = append(gone, slot)
		}
	}
	for _, slot := range gone {
		how, at := t.toldEnd(slot)
		t.end(slot, how, at)
		s.removed++
	}
}

// toldEnd returns how and when a connection ended, as far as events say: its CLOSED may
// have come, and the kernel not been asked yet. The caller holds mu.
func (t *Tracker) toldEnd(slot uint32) (How, time.Time) {
	c := t.table.core.At(slot)
	k, asked := t.checks.by[identity{t.table.locals.At(c.local).netns, mptcp.Token(c.token)}]
	switch {
	case asked && !k.closedAt.IsZero():
		return HowClosed, k.closedAt
	case c.flags&coreClosed != 0:
		return HowClosed, t.clock.now()
	}
	return HowUnknown, t.clock.now()
}

// sweepMissing asks for connections that the dump did not show.
func (t *Tracker) sweepMissing(ctx context.Context, s *sweep, netns string, tokens []mptcp.Token) error {
	known, err := t.source.Lookup(ctx, netns, tokens)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	there := make(map[mptcp.Token]bool, len(known))
	for i := range known {
		known[i].Netns = netns
		t.joinIn(&known[i], nil)
		t.takeIn(&known[i], withoutSubflows, true)
		there[known[i].Token] = true
	}
	for _, token := range tokens {
		if there[token] {
			continue
		}
		if s.why == periodic {
			if _, open := t.checks.by[identity{netns, token}]; !open {
				t.notThere(&check{identity: identity{netns, token}})
			}
			continue
		}
		slot, _ := t.table.find(netns, token)
		how, at := t.toldEnd(slot)
		t.end(slot, how, at)
		s.removed++
	}
	t.touch()
	return nil
}

// sweepIncomplete reads the subflows again of connections for which the dump did not show
// all of them.
func (t *Tracker) sweepIncomplete(ctx context.Context, netns string, tokens []mptcp.Token) error {
	rows, err := t.rows(ctx, netns, tokens)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, token := range tokens {
		t.resample(netns, token, rows[token])
	}
	t.touch()
	return nil
}

// resample replaces the subflows of a live connection by those of the rows. The caller
// holds mu.
func (t *Tracker) resample(netns string, token mptcp.Token, rows []SubflowRow) {
	slot, live := t.table.find(netns, token)
	if !live {
		return
	}
	var r record
	t.table.load(slot, &r)
	t.joinIn(&r.Connection, rows)
	t.takeIn(&r.Connection, confirmed, true)
}

// resynced reports RESYNC: after a loss the state agrees with the kernel again.
func (t *Tracker) resynced(s *sweep) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.generation++
	d := Delta{Kind: KindResync, Name: KindResync.String(), Confidence: Certain, Evidence: []string{
		fmt.Sprintf("events lost: %d", t.reconciler.missed),
		fmt.Sprintf("connections that no event told of: %d new, %d gone", s.added, s.removed),
	}}
	d.Event.Lost, d.Event.Time = t.reconciler.missed, t.clock.now()
	t.reconciler.missed = 0
	t.delivery.report(&d)
	t.touch()
}

// chained finds the rows of a token without a slice for each token.
type chained struct {
	rows []SubflowRow
	last map[mptcp.Token]int32
	prev []int32
}

func chain(rows []SubflowRow) chained {
	c := chained{rows, make(map[mptcp.Token]int32, len(rows)), make([]int32, len(rows))}
	for i := range rows {
		if !rows[i].HasToken {
			continue
		}
		before, ok := c.last[rows[i].Token]
		if !ok {
			before = -1
		}
		c.prev[i] = before
		c.last[rows[i].Token] = int32(i)
	}
	return c
}

// of appends the rows of the token.
func (c *chained) of(token mptcp.Token, to []SubflowRow) []SubflowRow {
	i, ok := c.last[token]
	for ; ok && i >= 0; i = c.prev[i] {
		to = append(to, c.rows[i])
	}
	return to
}
