package track

import (
	"slices"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track/dump"
)

// archive keeps what ended, oldest first: connections, and subflows of connections that
// went on. States share its lists, so that what they show is replaced, and never changed.
type archive struct {
	ended      []*Ended
	last       map[identity]*Ended // the newest of ended with each token
	closed     []*ClosedSubflow
	endedGone  uint64 // how many of ended were dropped
	closedGone uint64 // how many of closed were
	given      bool   // a state has both lists, too

	finals    recent[mptcp.Subflow] // last figures that came before the news of the end
	unsettled recent[place]         // subflows that ended, and have not their last figures yet
}

// place is where an ended subflow is kept: in the closed ones, or with its connection
// in the ended ones, counted from the first that there ever was.
type place struct {
	number uint64
	ended  bool
}

// give returns the lists for a state.
func (a *archive) give() ([]*Ended, []*ClosedSubflow) {
	a.given = true
	return a.ended[:len(a.ended):len(a.ended)], a.closed[:len(a.closed):len(a.closed)]
}

// own makes the lists the archive's alone.
func (a *archive) own() {
	if a.given {
		a.ended, a.closed, a.given = slices.Clone(a.ended), slices.Clone(a.closed), false
	}
}

// settle gives a subflow that has ended its last figures. Where they have not come
// yet, they are put where it is kept.
func (a *archive) settle(netns string, s *mptcp.Subflow, kept place, now time.Time) {
	k := tuple{netns, s.Local, s.Remote}
	if last, ok := a.finals.take(k, now); ok {
		takeFigures(s, &last)
	} else {
		a.unsettled.put(k, kept, now)
	}
}

// takeFigures copies what a socket measures.
func takeFigures(s, from *mptcp.Subflow) {
	s.RTTMicros, s.RTTVarMicros = from.RTTMicros, from.RTTVarMicros
	s.MinRTTMicros, s.Cwnd = from.MinRTTMicros, from.Cwnd
	s.BytesSent, s.BytesReceived, s.BytesRetransmitted = from.BytesSent, from.BytesReceived, from.BytesRetransmitted
	s.LastAckMS, s.LastDataSentMS = from.LastAckMS, from.LastDataSentMS
	s.Lost, s.Unacked, s.Backoff = from.Lost, from.Unacked, from.Backoff
}

// final takes the last figures of a subflow, whose end may be known already, and
// reports whether that changed what is kept.
func (a *archive) final(e *EndedSubflow, now time.Time) bool {
	k := tuple{e.Netns, e.Subflow.Local, e.Subflow.Remote}
	at, ok := a.unsettled.take(k, now)
	switch {
	case !ok:
		a.finals.put(k, e.Subflow, now)
	case at.ended && at.number >= a.endedGone:
		a.amend(int(at.number-a.endedGone), func(late *Ended) {
			late.Connection.Subflows = slices.Clone(late.Connection.Subflows)
			if i := findSubflow(late.Connection.Subflows, &e.Subflow); i >= 0 {
				takeFigures(&late.Connection.Subflows[i], &e.Subflow)
			}
			dump.SetShares(late.Connection.Subflows)
		})
		return true
	case !at.ended && at.number >= a.closedGone:
		i := at.number - a.closedGone
		late := *a.closed[i]
		takeFigures(&late.Subflow, &e.Subflow)
		a.own()
		a.closed[i] = &late
		return true
	}
	return false
}

// amend changes what is kept of an ended connection.
func (a *archive) amend(i int, change func(*Ended)) {
	late := *a.ended[i]
	change(&late)
	if id := (identity{late.Key.Netns, late.Key.Token}); a.last[id] == a.ended[i] {
		a.last[id] = &late
	}
	a.own()
	a.ended[i] = &late
}

// amendLast changes what is kept of a connection that was the last with its token.
func (a *archive) amendLast(over *Ended, change func(*Ended)) {
	for i := len(a.ended) - 1; i >= 0; i-- {
		if a.ended[i] == over {
			a.amend(i, change)
			return
		}
	}
}

// nextPlace returns where the next subflow is kept that ended alone, or the next
// connection.
func (a *archive) nextPlace(ended bool) place {
	if ended {
		return place{a.endedGone + uint64(len(a.ended)), true}
	}
	return place{a.closedGone + uint64(len(a.closed)), false}
}

// keepClosed keeps a subflow that ended, and no more of them than most.
func (a *archive) keepClosed(c *ClosedSubflow, most int) {
	a.closed = append(a.closed, c)
	if len(a.closed) > most {
		a.dropClosed()
	}
}

// keepEnded keeps a connection that ended, and no more of them than most.
func (a *archive) keepEnded(e *Ended, most int) {
	a.ended = append(a.ended, e)
	a.last[identity{e.Key.Netns, e.Key.Token}] = e
	if len(a.ended) > most {
		a.dropEnded()
	}
}

// dropClosed drops the oldest ended subflow.
func (a *archive) dropClosed() {
	a.closed = a.closed[1:]
	a.closedGone++
}

// dropEnded drops the oldest ended connection.
func (a *archive) dropEnded() {
	e := a.ended[0]
	a.ended = a.ended[1:]
	a.endedGone++
	if id := (identity{e.Key.Netns, e.Key.Token}); a.last[id] == e {
		delete(a.last, id)
	}
}

// expire drops what was found to have ended longer ago than keep, and reports whether
// there was anything.
func (a *archive) expire(now time.Time, keep time.Duration) (dropped bool) {
	for len(a.ended) > 0 && now.Sub(a.ended[0].found) >= keep {
		a.dropEnded()
		dropped = true
	}
	for len(a.closed) > 0 && now.Sub(a.closed[0].found) >= keep {
		a.dropClosed()
		dropped = true
	}
	return dropped
}

// due returns when the oldest connection expires, zero where there is none.
func (a *archive) due(keep time.Duration) time.Time {
	if len(a.ended) == 0 {
		return time.Time{}
	}
	return a.ended[0].found.Add(keep)
}

// closedSearched is in how many of the last subflows that ended one is looked for
// when its end is told late.
const closedSearched = 64

// hasClosed reports whether the subflow of that connection is among the last that ended.
func (a *archive) hasClosed(k mptcp.Key, like *mptcp.Subflow) bool {
	for _, c := range a.closed[max(0, len(a.closed)-closedSearched):] {
		if c.Key == k && c.Subflow.Local == like.Local && c.Subflow.Remote == like.Remote {
			return true
		}
	}
	return false
}

// nextInstance returns the instance of a new connection with the token.
func (a *archive) nextInstance(netns string, token mptcp.Token) uint32 {
	if e, ok := a.last[identity{netns, token}]; ok {
		return e.Key.Instance + 1
	}
	return 0
}
