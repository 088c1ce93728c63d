package track

import (
	"fmt"
	"strings"
	"time"

	"mptcpctl/ledger"
	"mptcpctl/mptcp"
)

// rejectedWithin is how short a join's life must be, with no error to end it, for the
// peer to have accepted it and then closed it by its limit or policy.
const rejectedWithin = 5 * time.Millisecond

// rejected derives SF_FAILED where a join ended before it could be of use.
func (t *Tracker) rejected(slot uint32, k mptcp.Key, gone *mptcp.Subflow, e *mptcp.Event) {
	switch age, came := t.lifeOf(slot, k, e); {
	case gone.Initial:
	case gone.State == mptcp.SubflowPending:
		t.derive(e, KindSubflowFailed, Certain, append(failure(e), endedBy(e, nil, true)...)...)
	case came && age <= rejectedWithin && !e.Has(mptcp.FieldError) && !e.Has(mptcp.FieldResetReason):
		why := fmt.Sprintf("closed %v after it came up, without an error or a reset reason", age)
		up := &mptcp.Event{Time: e.Time.Add(-age)}
		t.derive(e, KindSubflowFailed, Likely, append([]string{why}, endedBy(e, up, true)...)...)
	}
}

// deriveFailure derives SF_FAILED from the end of an unknown subflow, unless the subflow
// was known before, or its failure has been reported already.
func (t *Tracker) deriveFailure(slot uint32, k mptcp.Key, e *mptcp.Event) {
	known := false
	past := t.delivery.history.view()
	past.walk(k, t.table.core.At(slot).history, func(h *entry) bool {
		known = sameSubflow(h, e) && (h.derived == KindSubflowFailed || h.derived == KindEvent &&
			(mptcp.EventType(h.kind) == mptcp.EventSubflowEstablished ||
				mptcp.EventType(h.kind) == mptcp.EventSubflowClosed))
		return !known
	})
	if sub, _ := SubflowOf(e); t.archive.hasClosed(k, &sub) {
		known = true
	}
	if known {
		return
	}
	sure := Certain
	if t.reconciler.mayBeBlind(e) && (t.lost > 0 || t.table.writable.core.At(slot).flags&coreCreated == 0) {
		sure = Likely // SF_ESTABLISHED may be among what was missed before the dump
	}
	if why := failure(e); sure == Certain || len(why) > 1 {
		t.derive(e, KindSubflowFailed, sure, append(why, endedBy(e, nil, sure == Certain)...)...)
	}
}

// endedBy says for which causes the ledger has a join end with this event, and up before.
// Watched says that no event of the connection can have been missed. An end without an error
// or a reset reason, of a join that was not up, tells nothing: an endpoint may have been deleted.
func endedBy(closed, up *mptcp.Event, watched bool) []string {
	if up == nil && closed.Error == 0 && !closed.Has(mptcp.FieldResetReason) {
		return nil
	}
	join := ledger.Attempt{Up: up, Closed: closed}
	var causes []string
	for _, r := range join.Ended(watched) {
		causes = append(causes, r.Cause.String())
	}
	return []string{strings.Join(causes, "; or ")}
}

// lifeOf returns how long ago SF_ESTABLISHED announced the subflow that e closes. That is
// not known if SF_ESTABLISHED had waited in the socket: both may be read at once.
func (t *Tracker) lifeOf(slot uint32, k mptcp.Key, e *mptcp.Event) (age time.Duration, ok bool) {
	past := t.delivery.history.view()
	past.walk(k, t.table.core.At(slot).history, func(h *entry) bool {
		if h.derived != KindEvent || mptcp.EventType(h.kind) != mptcp.EventSubflowEstablished || !sameSubflow(h, e) {
			return true
		}
		age, ok = e.Time.Sub(time.Unix(0, h.time)), h.late == 0 && t.config.Lag <= rejectedWithin
		return false
	})
	return age, ok
}

// sameSubflow reports whether the entry and the event are about the same subflow.
func sameSubflow(h *entry, e *mptcp.Event) bool {
	d := h.unpack(mptcp.Key{})
	hl, _ := d.Event.Local()
	hr, _ := d.Event.Remote()
	el, _ := e.Local()
	er, _ := e.Remote()
	return hl == el && hr == er
}

// failure returns what an SF_CLOSED says about why a join failed.
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

// derive makes a delta about the subflow of the event, and has it wait for the record.
func (t *Tracker) derive(e *mptcp.Event, k Kind, c Confidence, evidence ...string) {
	d := Delta{Kind: k, Name: k.String(), Event: *e, Evidence: evidence, Confidence: c}
	d.Event.Type = 0
	t.delivery.wait(&d)
}
