package ledger

import (
	"fmt"

	"mptcpctl/mptcp"
)

// spending is how far the counters of the namespace are explained by the joins that
// are there now. What is left over belongs to joins that have ended, of connections
// that are there or have gone: 0 excludes that there is any.
type spending struct {
	syn, synAck, resets left
	bind, connect       left
	longOption          left // announcements that had no room
	answered            left // joins of the peer that came in and are not there
}

// left is a count that is left over, or unknown because the kernel has no such counter.
type left struct {
	n     uint64
	known bool
	name  string
	total uint64
}

// fact says what is left of the counter.
func (l left) fact() string {
	if l.n == 0 && l.total > 0 {
		return fmt.Sprintf("%s is %d, all of subflows that are there", l.name, l.total)
	}
	return fmt.Sprintf("%s is %d", l.name, l.total)
}

// none reports whether it is known that nothing is left.
func (l left) none() bool { return l.known && l.n == 0 }

// spend takes what the living subflows explain from the counters.
func spend(f *Facts) spending {
	var out, up, in uint64
	for i := range f.Connections {
		c := &f.Connections[i]
		for j := range c.Subflows {
			s := &c.Subflows[j]
			switch {
			case s.Initial:
			case !madeHere(c, s):
				in++
			case s.State == mptcp.SubflowPending:
				out++
			default:
				out++
				up++
			}
		}
	}
	rest := func(name string, explained uint64) left {
		n, known := f.Counters.Get(name)
		return left{n - min(n, explained), known, name, n}
	}
	if f.Hidden {
		out, up, in = 0, 0, 0
	}
	return spending{
		syn: rest("MPJoinSynTx", out), synAck: rest("MPJoinSynAckRx", up), resets: rest("MPRstTx", 0),
		bind: rest(BindErrors, 0), connect: rest(ConnectErrors, 0),
		longOption: rest("AddAddrTxDrop", 0), answered: rest("MPJoinAckRx", in),
	}
}

// madeHere reports whether this end sent the SYN of a join.
func madeHere(c *mptcp.Connection, s *mptcp.Subflow) bool {
	return s.TokenRemote != 0 || c.Side == mptcp.SideClient && s.State == mptcp.SubflowPending ||
		c.Side == mptcp.SideClient && s.RemoteID == 0
}

// excluded reports whether the counters show that no join ended for this cause.
func (s *spending) excluded(c Cause) bool {
	l, answered := s.witness(c)
	return l != nil || answered
}

// against returns what the counters show against the cause, "" for nothing.
func (s *spending) against(c Cause) string {
	switch l, answered := s.witness(c); {
	case l != nil:
		return l.fact()
	case answered:
		return fmt.Sprintf("every SYN of a join was answered: MPJoinSynTx %d, MPJoinSynAckRx %d", s.syn.total,
			s.synAck.total)
	}
	return ""
}

// witness returns the counter that excludes the cause, of which nothing is left, or that as
// many SYN were answered as were sent.
func (s *spending) witness(c Cause) (l *left, answered bool) {
	switch c.Counter() {
	case BindErrors:
		return spent(&s.bind), false
	case ConnectErrors:
		return spent(&s.connect), false
	}
	answered = s.syn.known && s.synAck.known && s.syn.n <= s.synAck.n
	switch c {
	case ResetBySomebody, Unreachable, Unanswered:
		return spent(&s.syn), answered
	case WithoutMPJoin:
		if l := spent(&s.syn); l != nil || answered {
			return l, answered
		}
		return spent(&s.resets), false
	case PeerLimit:
		return spent(&s.syn, &s.synAck, &s.resets), false
	case PeerProhibits, TimedOut, ResetLater, Ended:
		return spent(&s.syn, &s.synAck), false
	case OptionTooLong:
		return spent(&s.longOption), false
	}
	return nil, false // of PeerForbids: nothing at all happens then, and what happened has another reason
}

// spent returns the first counter of which nothing is left, nil for none.
func spent(list ...*left) *left {
	for _, l := range list {
		if l.none() {
			return l
		}
	}
	return nil
}

// silent reports whether no counter moved that a join moves, whatever becomes of it.
func (s *spending) silent() bool { return s.syn.none() && s.bind.none() && s.connect.none() }
