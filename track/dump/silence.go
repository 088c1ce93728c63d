package dump

import (
	"fmt"

	"mptcpctl/mptcp"
)

// Nothing seems to get through a subflow when its timer has backed off that often without
// an acknowledgement for that long. Less is seen on any lossy path, also after a rest: of
// one packet and what was sent again both were lost. Where packets still come in, each of
// them counts as an acknowledgement of what came before: then only the timer tells, and it
// has to have backed off once more.
const (
	silentBackoff = 2
	oneWayBackoff = 3
	silentAfterMS = 1000
)

// Unanswered reports whether no acknowledgement comes for what the subflow sends.
func Unanswered(s *mptcp.Subflow) bool {
	return s.Backoff >= silentBackoff && s.LastAckMS >= silentAfterMS && !s.AnswersProbes()
}

// OneWay reports whether packets come in, and what the subflow sends is not acknowledged.
func OneWay(s *mptcp.Subflow) bool {
	return s.Backoff >= oneWayBackoff && s.Unacked > 0 && !Unanswered(s) && !s.AnswersProbes()
}

// Silence returns why nothing gets through an established subflow, with one line
// for each reason, and how sure that is; nothing where it looks alive. A link that
// is down proves it only for a subflow that is bound to it: without policy routing
// the packets of an address leave by any link, so there the retransmission timer
// must agree.
func (f *Facts) Silence(sub *mptcp.Subflow) (evidence []string, sure Confidence) {
	say := func(c Confidence, format string, args ...any) {
		evidence = append(evidence, fmt.Sprintf(format, args...))
		sure = max(sure, c)
	}
	addr := sub.Local.Addr()
	holder, here := f.holder(addr)
	switch {
	case here || !f.knowsAddrs || !addr.IsValid() || addr.IsLoopback():
	case f.gone[addr.WithZone("")]:
		say(Certain, "address %s is no longer on this host", addr.WithZone(""))
	case sub.Backoff > 0: // else a route or a proxy may make the address local
		say(Likely, "address %s is not on this host", addr.WithZone(""))
	}
	if sub.IfIndex != 0 {
		if why := f.linkTrouble(sub.IfIndex); why != "" {
			say(Certain, "%s", why)
		}
	} else if here && sub.Backoff > 0 {
		if why := f.linkTrouble(holder); why != "" {
			say(Likely, "%s", why)
		}
	}
	switch {
	case Unanswered(sub):
		say(Likely, "no acknowledgement for %d ms, retransmission timeout doubled %d times", sub.LastAckMS, sub.Backoff)
	case OneWay(sub):
		say(Likely, "packets arrive, but sent data is not acknowledged, retransmission timeout doubled %d times",
			sub.Backoff)
	}
	return evidence, sure
}

// Doubtful reports whether the subflow's state depends on links and addresses: the facts
// about these must then be as new as the subflow's.
func (f *Facts) Doubtful(r SubflowRow) bool {
	sub := r.Subflow
	sub.Local = mptcp.Unmap(sub.Local)
	_, sure := f.Silence(&sub)
	return r.TCP == mptcp.StateEstablished && (sure > ConfidenceNone || r.Backoff > 0)
}

// linkTrouble returns why the device carries nothing, or "".
func (f *Facts) linkTrouble(index uint32) string {
	if !f.knowsLinks || index == 0 {
		return ""
	}
	switch l, ok := f.links[index]; {
	case !ok:
		return fmt.Sprintf("the device with index %d no longer exists", index)
	case !l.Up:
		return fmt.Sprintf("link %s is down", l.Name)
	case !l.Carrier:
		return fmt.Sprintf("link %s has no carrier", l.Name)
	}
	return ""
}
