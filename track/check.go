package track

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"time"

	"mptcpctl/mptcp"
)

// A check is a question to the kernel about one token, raised by an event or a dump.
type check struct {
	identity
	due      time.Time
	tries    int
	missing  bool      // the kernel did not know the token when it was asked before
	sample   bool      // ask for the subflows too
	closedAt time.Time // of CLOSED, if it came
	orphan   bool      // CLOSED came for a token of no known connection
	place    int       // in the heap
}

// checks holds the open questions, the first due on top.
type checks struct {
	heap []*check
	by   map[identity]*check
}

// The most open questions, and how many are asked at once.
const (
	checksOpen    = 1 << 16
	checksAtATime = 1 << 9
)

// Len, Less, Swap, Push and Pop implement [heap.Interface].
func (c *checks) Len() int           { return len(c.heap) }
func (c *checks) Less(i, j int) bool { return c.heap[i].due.Before(c.heap[j].due) }
func (c *checks) Swap(i, j int) {
	c.heap[i], c.heap[j] = c.heap[j], c.heap[i]
	c.heap[i].place, c.heap[j].place = i, j
}

// Push appends x.
func (c *checks) Push(x any) {
	k := x.(*check)
	k.place = len(c.heap)
	c.heap = append(c.heap, k)
}

// Pop takes the last.
func (c *checks) Pop() any {
	k := c.heap[len(c.heap)-1]
	c.heap = c.heap[:len(c.heap)-1]
	return k
}

// due returns when the first question is due, zero when there is none.
func (c *checks) due() time.Time {
	if len(c.heap) == 0 {
		return time.Time{}
	}
	return c.heap[0].due
}

// put adds a question, or brings the one about the same token forward.
func (c *checks) put(id identity, due time.Time) *check {
	k, ok := c.by[id]
	if !ok {
		k = &check{identity: id, due: due}
		c.by[id] = k
		heap.Push(c, k)
		return k
	}
	if due.Before(k.due) && !k.missing { // else CLOSED is still given time to come
		k.due = due
		heap.Fix(c, k.place)
	}
	return k
}

// again puts back a question that was taken.
func (c *checks) again(k *check, due time.Time) {
	if _, ok := c.by[k.identity]; ok {
		return
	}
	k.due = due
	c.by[k.identity] = k
	heap.Push(c, k)
}

// forget drops the question about a token.
func (c *checks) forget(id identity) {
	if k, ok := c.by[id]; ok {
		heap.Remove(c, k.place)
		delete(c.by, id)
	}
}

// take returns the questions that are due, at most so many.
func (c *checks) take(now time.Time, most int) []*check {
	var out []*check
	for len(c.heap) > 0 && len(out) < most && !c.heap[0].due.After(now) {
		k := heap.Pop(c).(*check)
		delete(c.by, k.identity)
		out = append(out, k)
	}
	return out
}

// check notes a question about the token of the event, to be asked after the given time.
// If too many questions are open, everything is dumped instead.
func (t *Tracker) check(e *mptcp.Event, after time.Duration) *check {
	if len(t.checks.heap) >= checksOpen {
		t.reconciler.hurry(t.clock.now())
		return &check{}
	}
	id := identity{e.Netns, e.Token}
	if k, ok := t.checks.by[id]; ok && e.Type == mptcp.EventClosed {
		k.missing = false // the CLOSED that it waited for has come
	}
	return t.checks.put(id, t.clock.now().Add(after))
}

// lookAtWanted notes questions about the connections that a view shows.
func (t *Tracker) lookAtWanted(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.wanted {
		if _, live := t.table.find(k.Netns, k.Token); live {
			t.checks.put(identity{k.Netns, k.Token}, now).sample = true
		}
	}
}

// verify asks the questions that are due.
func (t *Tracker) verify(ctx context.Context, now time.Time) {
	due := t.checks.take(now, checksAtATime)
	slices.SortFunc(due, func(a, b *check) int {
		return cmp.Or(cmp.Compare(a.netns, b.netns), cmp.Compare(a.token, b.token))
	})
	for len(due) > 0 {
		end := 1
		for end < len(due) && due[end].netns == due[0].netns {
			end++
		}
		err := t.verifyIn(ctx, due[0].netns, due[:end])
		t.keepLook(err)
		if err != nil {
			for _, k := range due[:end] {
				t.checks.again(k, now.Add(time.Second))
			}
		}
		due = due[end:]
	}
}

// verifyIn asks about tokens of one namespace and acts on the answers.
func (t *Tracker) verifyIn(ctx context.Context, netns string, asked []*check) error {
	tokens := make([]mptcp.Token, 0, len(asked))
	var look []mptcp.Token
	for _, k := range asked {
		tokens = append(tokens, k.token)
	}
	known, err := t.source.Lookup(ctx, netns, tokens)
	if err != nil {
		return err
	}
	answers := make(map[mptcp.Token]*mptcp.Connection, len(known))
	for i := range known {
		answers[known[i].Token] = &known[i]
	}
	for _, k := range asked {
		if answers[k.token] != nil && k.sample {
			look = append(look, k.token)
		}
	}
	if findNamespace(t.namespaces, netns) == nil {
		t.refresh(ctx, netns)
	}
	t.readCounters(ctx, netns)
	rows, err := t.rows(ctx, netns, look)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var orphans []*check
	for _, k := range asked {
		switch c := answers[k.token]; {
		case c != nil:
			t.stillThere(k, c, rows)
		case k.orphan:
			orphans = append(orphans, k)
		default:
			t.notThere(k)
		}
	}
	t.orphans(netns, orphans)
	t.touch()
	return nil
}

// rows samples the subflows of these connections, by token.
func (t *Tracker) rows(ctx context.Context, netns string, tokens []mptcp.Token) (map[mptcp.Token][]SubflowRow, error) {
	if len(tokens) == 0 {
		return nil, nil
	}
	list, err := t.source.Sample(ctx, netns, tokens)
	if err != nil {
		return nil, err
	}
	if n := findNamespace(t.namespaces, netns); n != nil && slices.ContainsFunc(list, n.facts.Doubtful) {
		t.refresh(ctx, netns)
	}
	rows := make(map[mptcp.Token][]SubflowRow, len(tokens))
	for _, r := range list {
		if r.HasToken {
			rows[r.Token] = append(rows[r.Token], r)
		}
	}
	return rows, nil
}

// stillThere handles a connection that the kernel knows.
func (t *Tracker) stillThere(k *check, c *mptcp.Connection, rows map[mptcp.Token][]SubflowRow) {
	c.Netns = k.netns
	depth := withoutSubflows
	if k.sample {
		depth = confirmed
	}
	t.joinIn(c, rows[k.token])
	slot, fate := t.takeIn(c, depth, true)
	flags := &t.table.writable.core.At(slot).flags
	if fate != replaced && !k.closedAt.IsZero() {
		*flags |= coreClosed
	}
	if *flags&coreClosed == 0 {
		return
	}
	// The application has closed it, and the kernel still has data to send or receive.
	again := &check{identity: k.identity, tries: k.tries + 1, closedAt: k.closedAt}
	t.checks.again(again, t.clock.now().Add(min(soon<<min(2*again.tries, 10), 10*time.Second)))
}

// notThere handles a token that the kernel does not know.
func (t *Tracker) notThere(k *check) {
	slot, live := t.table.find(k.netns, k.token)
	switch {
	case !live:
	case t.table.core.At(slot).flags&coreClosed != 0:
		at := k.closedAt
		if at.IsZero() {
			at = t.clock.now()
		}
		t.end(slot, HowClosed, at)
	case !k.missing:
		// Its CLOSED may still be queued in our socket.
		again := &check{identity: k.identity, missing: true}
		t.checks.again(again, t.clock.now().Add(confirmAfter+t.config.Lag))
	default:
		t.aborted(slot)
	}
}

// confirmAfter is how long after a first failed lookup the kernel is asked again, before
// the tracker concludes that the connection ended without CLOSED.
const confirmAfter = 500 * time.Millisecond
