package bothends

import (
	"fmt"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/match"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// settled is how long nothing must have happened on a connection or subflow before a
// difference between its ends is one: the hosts are never read at the very same time.
const settled = 2 * time.Second

// apart is how far the facts of two hosts may be apart in time to be compared.
const apart = 2 * time.Second

// differences are what the two ends of a connection tell differently. Each connection is
// judged once, from the end that comes first.
func (s *side) differences(all []*side) (found []doctor.Finding) {
	for i, e := range s.ends {
		c := &s.Connections[i]
		switch {
		case e.side == nil:
			if f, ok := s.ended(all, c); ok {
				found = append(found, f)
			}
		case order(all, s) < order(all, e.side):
			found = append(found, s.compare(e.side, c, e.c)...)
		}
	}
	return found
}

func order(all []*side, s *side) int {
	for i := range all {
		if all[i] == s {
			return i
		}
	}
	return len(all)
}

// compare judges one connection of which both ends are seen.
func (s *side) compare(o *side, c, d *mptcp.Connection) (found []doctor.Finding) {
	if c.Fallback != d.Fallback {
		found = append(found, oneFellBack(s, o, c, d))
	}
	if f, ok := translated(s, o, c, d); ok {
		found = append(found, f)
	}
	if gap := s.Time.Sub(o.Time).Abs(); gap > apart || !s.sees() || !o.sees() {
		return found
	}
	ends := match.Subflows(c, d)
	for _, i := range ends.OnlyHere {
		if f, ok := halfDead(s, o, c, &c.Subflows[i], d); ok {
			found = append(found, f)
		}
	}
	for _, i := range ends.OnlyThere {
		if f, ok := halfDead(o, s, d, &d.Subflows[i], c); ok {
			found = append(found, f)
		}
	}
	return append(found, unread(s, o, c, d)...)
}

// finding begins one about an end of a connection.
func (s *side) finding(c *mptcp.Connection, id rule.ID, severity doctor.Severity, title string) doctor.Finding {
	return doctor.Finding{
		Rule: id, Severity: severity, Confidence: track.Certain, Title: title,
		Subject:  doctor.Subject{Token: c.Token, Remote: c.Remote, Netns: s.Netns, Host: s.host},
		Evidence: []string{}, Fix: []string{},
		Excluded: []doctor.Exclusion{{Fact: "both hosts were asked, and each says it of its end of this connection"}},
	}
}

// oneFellBack is F02.
func oneFellBack(s, o *side, c, d *mptcp.Connection) doctor.Finding {
	if d.Fallback {
		s, o, c, d = o, s, d, c
	}
	f := s.finding(c, FellBackAlone, doctor.Warn,
		fmt.Sprintf("%s fell back to plain TCP, and %s did not notice", s.host, o.host))
	f.Evidence = []string{
		fmt.Sprintf("on %s: connection %s: fallback", s.host, c.Token),
		fmt.Sprintf("on %s: connection %s: MPTCP, %d bytes received", o.host, d.Token, d.BytesReceived), bySeveral,
	}
	f.Fix = []string{"report to the operator of the path that TCP option 30 (DSS) is removed in one direction"}
	return f
}

// halfDead is F03: a subflow that one end holds, and the other does not have.
func halfDead(s, o *side, c *mptcp.Connection, sub *mptcp.Subflow, d *mptcp.Connection) (f doctor.Finding, ok bool) {
	quiet := time.Duration(min(sub.LastAckMS, sub.LastDataSentMS)) * time.Millisecond
	if sub.State != mptcp.SubflowEstablished && sub.State != mptcp.SubflowSilent || quiet < settled ||
		d.State != mptcp.StateEstablished || d.Fallback || c.Fallback || len(d.Subflows) == 0 {
		return f, false
	}
	f = s.finding(c, HalfDead, doctor.Warn, fmt.Sprintf("%s holds a subflow that %s does not have", s.host, o.host))
	f.Subject.Endpoint = sub.Local.Addr()
	f.Evidence = []string{
		fmt.Sprintf("on %s: %s to %s is %s, the last answer came %s ago",
			s.host, sub.Local, sub.Remote, sub.State, quiet),
		fmt.Sprintf("on %s: connection %s has no such subflow", o.host, d.Token), bySeveral,
	}
	f.Fix = []string{fmt.Sprintf("on %s: mptcpctl connection close-subflow %s %s", s.host, sub.Local, sub.Remote)}
	return f, true
}

// translated is F05: NAT is between.
func translated(s, o *side, c, d *mptcp.Connection) (f doctor.Finding, ok bool) {
	for _, m := range match.Subflows(c, d).Both {
		one, other := &c.Subflows[m.Here], &d.Subflows[m.There]
		if m.By != match.IDs || plain(one.Local.Addr()) == plain(other.Remote.Addr()) &&
			plain(one.Remote.Addr()) == plain(other.Local.Addr()) {
			continue
		}
		f = s.finding(c, rule.AddressTranslated, doctor.Info, fmt.Sprintf("NAT is between %s and %s", s.host, o.host))
		f.Evidence = []string{
			fmt.Sprintf("on %s: %s to %s", s.host, one.Local, one.Remote),
			fmt.Sprintf("on %s: %s to %s", o.host, other.Local, other.Remote), bySeveral,
		}
		return f, true
	}
	return f, false
}

// unread is F07: bytes that the kernel of the other end has, or lacks, while nothing moves.
func unread(s, o *side, c, d *mptcp.Connection) (found []doctor.Finding) {
	for _, way := range []struct {
		from, to *side
		out, in  *mptcp.Connection
	}{{s, o, c, d}, {o, s, d, c}} {
		rest := way.out.BytesSent - way.in.BytesReceived
		quiet := time.Duration(min(way.out.LastDataSentMS, way.in.LastDataRecvMS)) * time.Millisecond
		if c.Fallback || d.Fallback || way.out.BytesSent <= way.in.BytesReceived || quiet < settled {
			continue
		}
		f := way.from.finding(way.out, NotArrived, doctor.Warn,
			fmt.Sprintf("%d bytes that %s sent have not arrived in order at %s", rest, way.from.host, way.to.host))
		f.Confidence, f.Excluded = track.Likely, nil
		f.Evidence = []string{
			fmt.Sprintf("on %s: %d bytes sent, the last %s ago", way.from.host, way.out.BytesSent, quiet),
			fmt.Sprintf("on %s: %d bytes received", way.to.host, way.in.BytesReceived), bySeveral,
		}
		f.Fix = []string{
			"on " + way.to.host + ": see whether the program reads; on both: mptcpctl connection, for a silent subflow",
		}
		found = append(found, f)
	}
	return found
}

// ended is F01: the same addresses and ports are of two different connections, so something
// between the hosts ends the one and makes the other.
func (s *side) ended(all []*side, c *mptcp.Connection) (f doctor.Finding, ok bool) {
	if c.Side != mptcp.SideClient || c.Pair.IsZero() || c.State != mptcp.StateEstablished {
		return f, false
	}
	for _, o := range all {
		if o.host == s.host || s.Time.Sub(o.Time).Abs() > apart {
			continue
		}
		for i := range o.Connections {
			d := &o.Connections[i]
			if d.Pair.IsZero() || d.Pair == c.Pair || d.Side == mptcp.SideClient || d.State != c.State ||
				d.Local != c.Remote || d.Remote != c.Local || o.ends[i].side != nil {
				continue
			}
			f = s.finding(c, TerminatedBetween, doctor.Warn,
				fmt.Sprintf("something between %s and %s ends the connection, and makes another one", s.host, o.host))
			f.Evidence = []string{
				fmt.Sprintf("on %s: connection %s, pair %s", s.host, c.Token, c.Pair),
				fmt.Sprintf("on %s: connection %s has the same addresses and ports, and pair %s",
					o.host, d.Token, d.Pair),
				bySeveral,
			}
			f.Fix = []string{"ask the operator of the path for a transparent proxy"}
			return f, true
		}
	}
	return f, false
}

// clocks is F08: clocks that differ by more than the round trip cannot be used to order what
// happened on two hosts.
func clocks(hosts []Host, _ []*side) (found []doctor.Finding) {
	for i, h := range hosts {
		if i == 0 || h.Within == 0 || h.Ahead.Abs() <= h.Within {
			continue
		}
		word := "ahead of"
		if h.Ahead < 0 {
			word = "behind"
		}
		found = append(found, doctor.Finding{
			Rule: ClocksDiffer, Severity: doctor.Info, Confidence: track.Certain,
			Title:   fmt.Sprintf("the clock of %s is %s %s that of %s", h.Name, h.Ahead.Abs(), word, hosts[0].Name),
			Subject: doctor.Subject{Host: h.Name}, Evidence: []string{fmt.Sprintf("known to within %s", h.Within)},
			Fix: []string{"on both hosts: let one time service set the clock, such as chrony"},
			Excluded: []doctor.Exclusion{
				{Fact: "the clocks were compared with what passed between the hosts meanwhile"},
			},
		})
	}
	return found
}
