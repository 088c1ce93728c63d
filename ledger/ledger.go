package ledger

import (
	"iter"
	"net/netip"
	"slices"

	"mptcpctl/mptcp"
)

// Ledger is the account of a network namespace.
type Ledger struct {
	Entries []Entry // those of one connection stand together

	account *account
	spans   map[mptcp.Token][2]int
}

// Of returns the account of the facts. Facts are not changed; entries hold pointers to
// the subflows of its connections.
func Of(f Facts) Ledger {
	a := newAccount(&f)
	l := Ledger{account: a, spans: make(map[mptcp.Token][2]int, len(f.Connections))}
	for i := range f.Connections {
		c := &f.Connections[i]
		if c.State != mptcp.StateEstablished {
			continue
		}
		from := len(l.Entries)
		l.Entries = append(l.Entries, a.joins(c)...)
		l.Entries = append(l.Entries, a.announcements(c)...)
		l.Entries = append(l.Entries, a.follows(c)...)
		l.spans[c.Token] = [2]int{from, len(l.Entries)}
	}
	a.narrow(l.Entries)
	for i := range l.Entries {
		l.Entries[i].Decides = decides(&l.Entries[i])
	}
	return l
}

// Connection yields the entries of one connection.
func (l *Ledger) Connection(t mptcp.Token) iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		span := l.spans[t]
		for i := span[0]; i < span[1]; i++ {
			if !yield(&l.Entries[i]) {
				return
			}
		}
	}
}

// Join returns the entry of the joins from an endpoint to the peer's first address: nil
// where the path manager could make none.
func (l *Ledger) Join(t mptcp.Token, endpoint netip.Addr) *Entry {
	for e := range l.Connection(t) {
		if e.Kind == JoinPeer && plain(e.Endpoint.Address) == plain(endpoint) && e.RemoteID == 0 {
			return e
		}
	}
	return nil
}

// From returns what became of the endpoint on the connection, whichever address of the peer
// its subflows go to: of the entries whose subflow goes from its address the one that got
// farthest, else that of the join to the peer's first address; nil for none.
func (l *Ledger) From(t mptcp.Token, endpoint netip.Addr) *Entry {
	best := l.Join(t, endpoint)
	for e := range l.Connection(t) {
		if e.Kind == Announce || e.Subflow == nil || plain(e.Subflow.Local.Addr()) != plain(endpoint) {
			continue
		}
		if best == nil || best.Subflow == nil || e.Subflow.State.Up() && !best.Subflow.State.Up() {
			best = e
		}
	}
	return best
}

// joins are the entries of joins from endpoints to addresses of the peer.
func (a *account) joins(c *mptcp.Connection) []Entry {
	var list []Entry
	for _, e := range a.Endpoints {
		if e.Flags.Has(mptcp.FlagImplicit) {
			continue
		}
		for _, to := range a.remotes(c, e) {
			entry := Entry{Candidate: Candidate{JoinPeer, c.Token, e, to.at, to.id}}
			a.judgeJoin(c, &entry)
			list = append(list, entry)
		}
	}
	return list
}

// remotes are the addresses that joins from the endpoint go to: the peer's first one,
// with fullmesh also the others that subflows go to.
func (a *account) remotes(c *mptcp.Connection, e mptcp.Endpoint) []announcement {
	list := []announcement{{0, c.Remote}}
	if !e.Flags.CreatesSubflows() || !e.Flags.Has(mptcp.FlagFullmesh) {
		return list
	}
	for i := range c.Subflows {
		s := &c.Subflows[i]
		if s.RemoteID == 0 || plain(s.Remote.Addr()) == plain(c.Remote.Addr()) || !s.State.Up() {
			continue
		}
		list = append(without(list, s.RemoteID), announcement{s.RemoteID, s.Remote})
	}
	return list
}

// judgeJoin finds the stages of a join from an endpoint.
func (a *account) judgeJoin(c *mptcp.Connection, entry *Entry) {
	e := entry.Endpoint
	if s := subflow(c, e.Address, entry.Remote); s != nil && !s.Initial {
		reach, line := alive(c, s)
		entry.Subflow, entry.Reached, entry.Evidence = s, []Reach{reach}, []string{line}
		return
	}
	entry.Obstacle, entry.SharesLink = a.obstacle(e, entry.Remote.Addr()), a.ground.sharesLink(c, e)
	if cause, line := a.notDue(c, e, entry.Remote, entry.RemoteID); cause != NoCause {
		entry.set(Reach{NotDue, cause}, line)
		return
	}
	if x := a.attemptOf(c.Token, e.Address, entry.Remote.Addr()); x != nil && x.Closed != nil {
		entry.Reached, entry.Evidence = x.Ended(a.watched(c.Token)), []string{x.evidence()}
		return
	}
	entry.setUnlisted(c)
	tried := a.tried(c, e)
	if tried != yes {
		cause, line := a.waits(c)
		entry.set(Reach{NotDue, cause}, line)
		if a.mayBeDenied(c) || a.rules.SignalUsesUp && e.Flags.Has(mptcp.FlagSignal) {
			entry.set(Reach{NotDue, UsedOtherwise})
		}
		if cause == NotLookedAgain && a.mayBeForbidden(c, entry.Remote) {
			entry.set(Reach{NotDue, PeerForbids})
		}
	}
	if tried != no {
		entry.counted = true
		for _, r := range a.ended(c, e, entry.Remote) {
			if !slices.Contains(entry.Reached, r) {
				entry.Reached = append(entry.Reached, r)
			}
		}
		entry.Evidence = append(entry.Evidence, usedLine(c))
	}
}

func (e *Entry) set(r Reach, lines ...string) {
	e.Reached = append(e.Reached, r)
	for _, line := range lines {
		if line != "" {
			e.Evidence = append(e.Evidence, line)
		}
	}
}
