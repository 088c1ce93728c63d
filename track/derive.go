package track

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"mptcpctl/mptcp"
)

// readAllCounters reads the counters of all namespaces.
func (t *Tracker) readAllCounters(ctx context.Context) {
	for _, n := range t.namespaces {
		t.readCounters(ctx, n.snapshot.Netns)
	}
}

// readCounters reads the counters of a namespace and keeps what has risen.
func (t *Tracker) readCounters(ctx context.Context, netns string) {
	counters, err := t.source.Counters(ctx, netns)
	if err != nil || counters == nil {
		return // they are evidence, not state
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := findNamespace(t.namespaces, netns)
	if n == nil {
		return
	}
	t.deriver.compare(n, counters, t.clock.now())
	if maps.Equal(n.counters, counters) && !n.unread {
		return
	}
	next := *n
	next.counters, next.unread = counters, false
	t.namespaces = putNamespace(t.namespaces, &next)
	t.touch()
}

// fellBack derives FALLBACK for a connection whose fallback flag is set. Later says that
// the connection is known to have used MPTCP before.
func (t *Tracker) fellBack(r *record, later bool) {
	names, others := handshakeCauses, laterCauses
	if later {
		names, others = others, names
	}
	evidence := []string{"the kernel's fallback flag is set"}
	cause, more, sure := t.deriver.cause(r.Netns, names)
	if cause == "" {
		cause, more, sure = t.deriver.cause(r.Netns, others)
		sure = min(sure, Likely)
	}
	if cause == "" {
		sure = Certain // of the fallback; the cause stays open
	}
	r.FallbackCause = cause
	t.delivery.wait(&Delta{
		Kind: KindFallback, Name: KindFallback.String(), Event: t.eventOf(r, nil),
		Cause: cause, Evidence: append(evidence, more...), Confidence: sure,
	})
}

// orphans judges CLOSED events that came without CREATED, for tokens that the kernel no
// longer knows. Either the handshake fell back, or connect() failed: only the counters
// tell which. The caller holds mu.
func (t *Tracker) orphans(netns string, list []*check) {
	n := findNamespace(t.namespaces, netns)
	if n == nil {
		return // its counters went with it
	}
	total := uint64(0)
	for _, by := range t.deriver.risen(netns, handshakeCauses) {
		total += by
	}
	for _, k := range list {
		d := Delta{Kind: KindFallback, Name: KindFallback.String(), Key: mptcp.Key{Netns: netns, Token: k.token}}
		d.Event = mptcp.Event{Fields: mptcp.FieldToken, Token: k.token, Netns: netns, Time: t.clock.now()}
		d.Evidence = []string{"CLOSED came for a connection that was never CREATED"}
		if n.counters == nil {
			d.Confidence = Possible
			t.delivery.report(&d)
			continue
		}
		cause, evidence, sure := t.deriver.cause(netns, handshakeCauses)
		if cause == "" {
			continue // a connect that failed is no fallback
		}
		sure = min(sure, Likely) // the rise may be that of a connection that lives
		if uint64(len(list)) > total {
			sure = Possible
			evidence = append(evidence, fmt.Sprintf(
				"%d connections ended so at about this time: some may have failed to connect", len(list)))
		}
		d.Cause, d.Evidence, d.Confidence = cause, append(d.Evidence, evidence...), sure
		t.delivery.report(&d)
	}
}

// aborted ends a connection without CLOSED: the kernel was asked twice, and does not know
// it any more. The caller holds mu.
func (t *Tracker) aborted(slot uint32) {
	r := &t.rec
	t.table.load(slot, r)
	evidence := []string{"the kernel no longer knows it, and no CLOSED came"}
	_, more, sure := t.deriver.cause(r.Netns, abortCauses)
	if sure == ConfidenceNone {
		sure = Possible
		more = []string{"no fast-close was counted: perhaps never accepted by its listener"}
	} else {
		sure = Likely // the counter is the namespace's, not the connection's
	}
	t.delivery.reportOf(t.table, slot, &Delta{
		Kind: KindAborted, Name: KindAborted.String(), Event: t.eventOf(r, nil),
		Evidence: append(evidence, more...), Confidence: sure,
	})
	t.end(slot, HowAborted, t.clock.now())
}

// sampledAtATime is how many connections in trouble are looked at in a period.
const sampledAtATime = 256

// sample reads the counters and looks at the subflows that may be in trouble.
func (t *Tracker) sample(ctx context.Context) {
	t.readAllCounters(ctx)
	for _, n := range t.namespaces {
		netns := n.snapshot.Netns
		stale := t.deriver.risen(netns, []string{counterStale})[counterStale]
		t.skippedEndpoints(ctx, netns)
		tokens := t.troubled(netns, stale > 0)
		if len(tokens) == 0 {
			continue
		}
		rows, err := t.rows(ctx, netns, tokens)
		t.keepLook(err)
		if err != nil {
			continue
		}
		t.mu.Lock()
		for _, token := range tokens {
			t.resample(netns, token, rows[token])
		}
		if stale > 0 {
			t.staleSubflows(netns, tokens, stale)
		}
		t.touch()
		t.mu.Unlock()
	}
}

// troubled returns connections of the namespace with a subflow that is pending,
// silent, stale or retransmitting; with all, also those with several subflows of
// which one waits for an acknowledgement.
func (t *Tracker) troubled(netns string, all bool) []mptcp.Token {
	var out []mptcp.Token
	in := func(f *figures) bool {
		s := mptcp.SubflowState(f.state & 0xf)
		return f.flags&figureHere != 0 &&
			(s == mptcp.SubflowPending || s == mptcp.SubflowSilent || s == mptcp.SubflowStale ||
				f.flags>>4 > 0 || all && f.unacked > 0)
	}
	for slot := range t.table.all() {
		if len(out) == sampledAtATime {
			break
		}
		c := t.table.core.At(slot)
		trouble := t.table.first.Has(slot) && in(t.table.first.At(slot))
		for next := c.join; next != 0 && !trouble; next = t.table.joins.At(next - 1).next {
			trouble = in(&t.table.joins.At(next - 1).figures)
		}
		if trouble && t.table.locals.At(c.local).netns == netns {
			out = append(out, mptcp.Token(c.token))
		}
	}
	return out
}

// staleSubflows derives SF_STALE where the counter rose by n. The kernel counts the
// subflows that it gave up without naming them: those that retransmit most are taken. The
// caller holds mu.
func (t *Tracker) staleSubflows(netns string, tokens []mptcp.Token, n uint64) {
	type candidate struct {
		slot uint32
		at   int
		rank uint8
	}
	var found []candidate
	r := &t.rec
	for _, token := range tokens {
		slot, live := t.table.find(netns, token)
		if !live {
			continue
		}
		t.table.load(slot, r)
		for i := range r.Subflows {
			s := &r.Subflows[i]
			if len(r.Subflows) > 1 && s.Backoff > 0 &&
				(s.State == mptcp.SubflowEstablished || s.State == mptcp.SubflowSilent) {
				found = append(found, candidate{slot, i, s.Backoff})
			}
		}
	}
	if len(found) == 0 {
		return // the next figures may show them
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(b.rank, a.rank) })
	sure := t.deriver.unsure(netns, counterStale, Certain)
	if uint64(len(found)) != n {
		sure = Likely
	}
	t.deriver.account(netns, counterStale, n)
	for _, c := range found[:min(uint64(len(found)), n)] {
		t.table.load(c.slot, r)
		s := &r.Subflows[c.at]
		s.State = mptcp.SubflowStale
		t.delivery.begin()
		t.deriveOf(
			r, s, KindSubflowStale, sure, fmt.Sprintf("counter %s rose by %d", counterStale, n), retransmitting(s),
		)
		t.table.update(c.slot, r)
		t.delivery.reportWaiting(t.table, c.slot)
	}
}

func retransmitting(s *mptcp.Subflow) string {
	text := fmt.Sprintf("retransmission timeout doubled %d times", s.Backoff)
	if s.Unacked > 0 { // segments that another subflow sent again are not counted
		plural := "s"
		if s.Unacked == 1 {
			plural = ""
		}
		text += fmt.Sprintf(", %d segment%s not acknowledged", s.Unacked, plural)
	}
	return text
}
