package ledger

import "mptcpctl/mptcp"

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
		return left{n - min(n, explained), known}
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
	unanswered := s.syn.known && s.synAck.known && s.syn.n <= s.synAck.n
	switch c.Counter() {
	case BindErrors:
		return s.bind.none()
	case ConnectErrors:
		return s.connect.none()
	}
	switch c {
	case ResetBySomebody, Unreachable, Unanswered:
		return s.syn.none() || unanswered
	case WithoutMPJoin:
		return s.syn.none() || unanswered || s.resets.none()
	case PeerLimit:
		return s.syn.none() || s.synAck.none() || s.resets.none()
	case PeerProhibits, TimedOut, ResetLater, Ended:
		return s.syn.none() || s.synAck.none()
	case PeerForbids:
		// Nothing at all happens then: anything that happened has another reason.
		return false
	case OptionTooLong:
		return s.longOption.none()
	}
	return false
}

// silent reports whether no counter moved that a join moves, whatever becomes of it.
func (s *spending) silent() bool { return s.syn.none() && s.bind.none() && s.connect.none() }
