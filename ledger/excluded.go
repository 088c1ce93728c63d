package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mptcpctl/mptcp"
)

// Exclusion is a fact, and the causes that it excludes.
type Exclusion struct {
	Fact   string // holds no foreign string
	Causes []Cause
}

// Excluded returns the facts that exclude all causes of an entry of this ledger that its
// stages do not have. Where counters tell what became of it, each cause why a join does not
// come up stands in one of them, or is the cause of a stage.
func (l *Ledger) Excluded(e *Entry) []Exclusion {
	var list []Exclusion
	for _, r := range endings {
		fact := ""
		if !e.May(r.Cause) {
			fact = l.account.against(e, r.Cause)
		}
		if fact == "" {
			continue
		}
		i := slices.IndexFunc(list, func(x Exclusion) bool { return x.Fact == fact })
		if i < 0 {
			i = len(list)
			list = append(list, Exclusion{Fact: fact})
		}
		list[i].Causes = append(list[i].Causes, r.Cause)
	}
	return list
}

// against returns the fact that excludes the cause.
func (a *account) against(e *Entry, cause Cause) string {
	c := a.connection(e)
	if !e.counted || c == nil {
		if c != nil && e.Kind == JoinPeer && (e.Limited() || e.May(NotLookedAgain)) {
			return usedLine(c) + ", and this one was not tried"
		}
		return strings.Join(e.Evidence, ", ")
	}
	if fact := cmp.Or(a.spent.against(cause), a.misfit(c, e.Endpoint, e.Remote, cause)); fact != "" {
		return fact
	}
	return fmt.Sprintf("what the subflows that are there leave of the counters: %s, %s, %s, %s, %s",
		a.spent.syn.rest(), a.spent.synAck.rest(), a.spent.resets.rest(), a.spent.bind.rest(), a.spent.connect.rest())
}

// connection returns the connection that the entry is about.
func (a *account) connection(e *Entry) *mptcp.Connection {
	for i := range a.Connections {
		if a.Connections[i].Token == e.Token {
			return &a.Connections[i]
		}
	}
	return nil
}

// rest says how much is left of the counter.
func (l left) rest() string { return fmt.Sprintf("%d of %s", l.n, l.name) }
